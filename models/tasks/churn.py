"""Churn: the probability of no purchase in the coming 90 days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.reason_texts import NEAR, agrees, write_share
from models.rules import churn_rule
from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.reason_texts import Direction, Subject
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
    bad_direction = "raises"

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Score by recency."""
        _ = offers
        return churn_rule(table)

    def word_reason(
        self, subject: Subject, direction: Direction, rates: Sequence[float], overall: Sequence[float]
    ) -> str:
        """Return the share of such customers who leave, or the direction alone."""
        _ = subject
        if not rates or not agrees(rates[0] - overall[0], direction, NEAR):
            return f"{direction} the risk of leaving"
        only = "only " if direction == "lowers" and rates[0] >= NEAR else ""
        return f"{only}{write_share(rates[0])} of such customers leave"

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
