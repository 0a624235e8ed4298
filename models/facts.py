"""The facts that models and their rules add to a customer, and those they read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.routing import RoutedScorer

if TYPE_CHECKING:
    from collections.abc import Collection

    from models.registry import Scorers

RFM_FACTS = frozenset({"rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment"})
SCORE_FACTS = RFM_FACTS | {
    "churn_probability",
    "churn_risk",
    "predicted_ltv",
    "predicted_ltv_low",
    "predicted_ltv_high",
    "value_segment",
    "decision_basis",
}
"""What `models.scores.score_customers` adds."""

RFM_INPUTS = frozenset({"days_since_last_transaction", "transaction_count", "total_revenue"})
"""What RFM reads: the columns that every view must have."""

RULE_INPUTS = RFM_INPUTS | {"lifetime_value", "tenure_days"}
"""What RFM and the rules of models/rules.py read. A rule may score one customer of a batch that a model serves."""


def facts_read(scorers: Scorers, feature_columns: Collection[str]) -> frozenset[str]:
    """Return the names of the facts that can influence a score.

    Args:
        scorers: what serves.
        feature_columns: the warehouse columns that models take, the values of ML_FEATURE_MAPPING.
    """
    routes = {each.column for each in scorers.by_name.values() if isinstance(each, RoutedScorer)}
    return RULE_INPUTS | routes | frozenset(feature_columns)
