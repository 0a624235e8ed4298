"""Gate names of earlier versions and the names they have now."""

from __future__ import annotations

RENAMED = {
    "beats_rfm": "not_worse_than_rfm",
    "beats_logistic_regression": "not_worse_than_logistic_regression",
    "beats_tweedie": "not_worse_than_tweedie",
    "no_worse_than_gradient_boosting": "not_worse_than_gradient_boosting",
    "no_worse_than_champion": "not_worse_than_champion",
}
"""These gates pass on a tie. Manifests written before the rename keep the old names."""


def current_gate_name(name: str) -> str:
    """Return the current name of a gate that a manifest names, whichever version wrote it."""
    return RENAMED.get(name, name)
