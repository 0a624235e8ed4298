"""Rules that replace a missing model: always available, never failing, less accurate.

A column that is missing counts as null, as does a cell that is no number, and null has a stated meaning: nothing
stands behind these rules. Each customer is scored by the customer's own row alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from models.inputs import readable_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.rfm import RfmCuts

    Rule = Callable[[FeatureTable], NDArray[np.float32]]

LAPSE_DAYS = 45.0
RATE_DAYS_AT_LEAST = 180.0
YEAR_DAYS = 365.0


class RuleScorer:
    """A Scorer that applies a rule.

    Attributes:
        reason: why a rule is used and not a model.
    """

    version = "rules"
    basis = "rules"
    columns = ()
    spreads = 0

    def __init__(self, rule: Rule, reason: str) -> None:
        self._rule = rule
        self.reason = reason

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the rule's scores, shape [customers, outputs]."""
        return self._rule(table)

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the same: a rule knows no spread."""
        return self._rule(table)


def churn_rule(table: FeatureTable) -> NDArray[np.float32]:
    """Return d / (d + 45 sqrt(n)) for d days since the last of n orders, shape [customers, 1].

    So one half is reached after 45 days by a customer of one order and after 135 by one of nine; .5 where
    the last order is not known.
    """
    days = _column(table, "days_since_last_transaction", np.nan)
    orders = np.maximum(_column(table, "transaction_count", 1.0), 1.0)
    probability = np.maximum(days, 0.0) / (np.maximum(days, 0.0) + LAPSE_DAYS * np.sqrt(orders))
    return _float32(np.where(np.isnan(probability), 0.5, probability)[:, None])


def offers_rule(table: FeatureTable, offers: int) -> NDArray[np.float32]:
    """Return a score for each offer, shape [customers, offers].

    The first eight are those of the shipped offers.json, each from 0 to 1 by three facts of a customer: how lapsed
    (full at 90 days), how frequent (full at 10 orders) and how valuable (full at 2,000 in revenue). Free shipping
    suits low value; discounts suit the lapsed, larger ones more so; points and early access the frequent; the advisor
    the valuable; the gift anyone. Of further offers nothing is known: they score as the gift does.

    Args:
        table: the customers.
        offers: how many offers there are.
    """
    lapsed = np.clip(_column(table, "days_since_last_transaction", 45.0) / 90.0, 0, 1)
    frequent = np.clip(_column(table, "transaction_count", 1.0) / 10.0, 0, 1)
    valuable = np.clip(_column(table, "total_revenue", 0.0) / 2000.0, 0, 1)
    suits_anyone = np.full(len(table), 0.30)
    scores = (
        0.40 - 0.25 * valuable,
        0.20 + 0.15 * lapsed,
        0.15 + 0.30 * lapsed,
        0.10 + 0.45 * lapsed,
        suits_anyone,
        0.15 + 0.35 * frequent * (1 - lapsed),
        0.10 + 0.25 * frequent + 0.15 * valuable * (1 - lapsed),
        0.05 + 0.50 * valuable,
    )
    further = [suits_anyone] * max(offers - len(scores), 0)
    return _float32(np.stack([*scores[:offers], *further], axis=1))


def lifetime_value_rule(table: FeatureTable) -> NDArray[np.float32]:
    """Return the spend of the next 365 days if it goes on at the rate to date, shape [customers, 1].

    The rate is lifetime_value over tenure_days, taken as 180 days at least so that a first order is not
    multiplied; never below 0, and null where lifetime_value is.
    """
    spent = _column(table, "lifetime_value", np.nan)
    days = np.maximum(_column(table, "tenure_days", RATE_DAYS_AT_LEAST), RATE_DAYS_AT_LEAST)
    return _float32(np.maximum(spent / days * YEAR_DAYS, 0.0)[:, None])


def usual_customers(cuts: RfmCuts) -> dict[str, Column]:
    """Return five customers whom the rules' scores are explained against, one for each fifth of RFM, the best first.

    Each has the middle of a score's range in every column: as many days since the last order, orders and revenue; the
    last ones a quarter beyond the outermost cut point. The revenue is the spend to date, in a year.
    """
    recency, frequency, monetary = cuts.recency, cuts.frequency[::-1], cuts.monetary[::-1]
    revenue = _middles(monetary)
    return {
        "days_since_last_transaction": _middles(recency),
        "transaction_count": np.maximum(np.round(_middles(frequency)), 1.0),
        "total_revenue": revenue,
        "lifetime_value": revenue,
        "tenure_days": np.full(len(revenue), YEAR_DAYS),
    }


def _middles(cuts: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """Return the middle of each of the five ranges between cut points, in their order."""
    first, last = (cut * 1.25 if cut == max(cuts) else cut / 2 for cut in (cuts[0], cuts[-1]))
    return np.array([first, *((low + high) / 2 for low, high in pairwise(cuts)), last])


def _column(table: FeatureTable, name: str, null: float) -> NDArray[np.float64]:
    """Return a column with nulls replaced; all null where it is missing, one null for a cell that is no number."""
    if name not in table.columns:
        return np.full(len(table), null)
    cells, _ = readable_numbers(table.columns[name])
    return np.where(np.isfinite(cells), cells, null)


def _float32(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    # A sum beyond float32 would become infinite.
    return np.minimum(scores, np.finfo(np.float32).max).astype(np.float32)
