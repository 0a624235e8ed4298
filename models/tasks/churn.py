"""Churn: the probability of no purchase in the coming 90 days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.rules import churn_rule
from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.rfm import RfmCuts

MEDIUM_RISK = 0.4
HIGH_RISK = 0.7
_RISKS = np.array(["low", "medium", "high"], dtype=object)


class Churn(ModelTask):
    """The task `churn`."""

    name = "churn"
    facts = ("churn_probability", "churn_risk", "decision_basis")
    rule_columns = frozenset({"days_since_last_transaction", "transaction_count"})
    fact = "churn_risk"

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Score by recency."""
        _ = offers
        return churn_rule(table)

    def add_facts(
        self, scores: NDArray[np.float32], basis: Column, manifest: Mapping[str, Any], rfm: RfmCuts
    ) -> dict[str, Column]:
        """Return churn_probability; churn_risk: low below .4, medium below .7, else high; decision_basis."""
        _ = manifest, rfm
        # Rounded before it is compared, so that a rule on the probability and the risk never disagree.
        probability = scores[:, 0].astype(np.float64).round(6)
        return {
            "churn_probability": probability,
            "churn_risk": _RISKS[np.searchsorted((MEDIUM_RISK, HIGH_RISK), probability, side="right")],
            "decision_basis": basis,
        }
