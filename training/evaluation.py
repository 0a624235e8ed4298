"""How good a model is on rows later than any it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.evidence import Evidence
    from training.limits import Costs, Limits


def evaluate(evidence: Evidence, costs: Costs | None = None, limits: Limits | None = None) -> dict[str, Any]:
    """Measure a model and its baselines on the later rows; JSON-ready.

    Args:
        evidence: what the run collected.
        costs: what the operating threshold of churn is chosen by; the defaults where None.
        limits: of these, how much evidence the value of a policy needs; the defaults where None.
    """
    del costs, limits
    return {"task": evidence.task, "rows": len(evidence.outcome)}
