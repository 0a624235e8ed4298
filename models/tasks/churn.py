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

_LEVELS = np.array(["low", "medium", "high", "critical", None], dtype=object)
_BANDS = np.array(["low", "medium", "high", "high", None], dtype=object)
_UNKNOWN = 4


class Churn(ModelTask):
    """The task `churn`."""

    name = "churn"
    facts = ("churn_probability", "churn_risk", "churn_risk_level", "decision_basis")
    rule_columns = frozenset({"days_since_last_transaction", "transaction_count"})
    fact = "churn_risk"

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Score by recency."""
        _ = offers
        return churn_rule(table)

    def add_facts(
        self, scores: NDArray[np.float32], basis: Column, manifest: Mapping[str, Any], rfm: RfmCuts
    ) -> dict[str, Column]:
        """Return churn_probability; churn_risk_level: low, medium, high, critical; churn_risk; decision_basis.

        churn_risk has three bands: `high` includes critical. Rules, messages and consumers of triggers compare it with
        "high", and must not lose the customers of the highest risk (docs/decisions/0019-one-prediction-service.md).
        """
        _ = manifest
        # Rounded before it is compared, so that a rule on the probability and the risk never disagree.
        probability = scores[:, 0].astype(np.float64).round(6)
        places = np.where(np.isnan(probability), _UNKNOWN, np.searchsorted(rfm.risk, probability, side="right"))
        return {
            "churn_probability": probability,
            "churn_risk": _BANDS[places],
            "churn_risk_level": _LEVELS[places],
            "decision_basis": basis,
        }
