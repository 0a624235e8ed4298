"""How sure a model is of a customer: low, medium or high, by its uncertainty and not by its score. Pure.

The uncertainty of a probability is its spread, the standard deviation over the members of an ensemble (Lakshminarayanan
et al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles"). That of an amount is the
width of its conformal interval (Romano et al. 2019, "Conformalized quantile regression") on the scale of log1p, so that
100 to 200 is as wide as 1,000 to 2,000. Where it is low, medium and high the manifest says: training chooses the
thresholds on validation rows, and keeps them only where the error falls from low to high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import Column
    from models.ports import Scorer

LEVELS = ("high", "medium", "low")
"""In the order of the uncertainty."""
_LEVELS = np.array([*LEVELS, None], dtype=object)
_UNKNOWN = len(LEVELS)


def interval_width(bounds: NDArray[Any]) -> NDArray[np.float64]:
    """Return how wide intervals of shape [rows, 2] are, shape [rows], on the scale of log1p."""
    logs = np.log1p(np.maximum(bounds.astype(np.float64), 0.0))
    width: NDArray[np.float64] = logs[:, 1] - logs[:, 0]
    return width


def levels_of(uncertainty: NDArray[np.float64], cuts: tuple[float, float]) -> NDArray[np.intp]:
    """Return positions in LEVELS, one past the last where the uncertainty is not known."""
    return np.where(np.isnan(uncertainty), _UNKNOWN, np.searchsorted(cuts, uncertainty, side="left"))


def find_confidence(uncertainty: NDArray[np.float64] | None, basis: Column, manifest: Mapping[str, Any]) -> Column:
    """Return high, medium, low, or None where it is not known, for each customer.

    A rule is a guess that no data stand behind: low. A version without thresholds was trained before confidence was
    measured, or its error does not fall with it: None.

    Args:
        uncertainty: shape [customers]; None where the model gives none.
        basis: shape [customers], what scored each.
        manifest: the model's; empty for a rule.
    """
    described = manifest.get("confidence")
    found: Column = np.full(len(basis), None, dtype=object)
    if described and uncertainty is not None:
        found = _LEVELS[levels_of(uncertainty, tuple(described["cuts"]))]
    found[basis == "rules"] = "low"
    return found


def explain_confidence(scorer: Scorer) -> str | None:
    """Return why the confidence of a model is not known; None where it is."""
    if scorer.basis != "model" or getattr(scorer, "manifest", {}).get("confidence"):
        return None
    return f"{scorer.version}: no confidence: training measured none, or the error does not fall with it"


def describe_confidence(confidence: str | None, version: str) -> str:
    """Return what a prediction rests on, in words."""
    return f"confidence {confidence or 'not known'}, by {version}"
