"""Next purchase: how likely a customer buys within 30, 60 and 90 days, and after how many days.

A model gives a survival curve: the probability that the customer has still bought nothing at the end of each of twelve
equal parts of the window it was trained on. Between those days the curve is taken as a straight line.
"""

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

PERIODS = 12
"""Points of the curve; with 90 days one each 7.5, so that 30 and 60 are among them."""
RULE_DAYS = 90.0
"""Days of the rule's curve: what the rule of churn speaks of."""
HORIZONS = (30, 60, 90)
SOONEST = 0.01
"""The rule takes no customer for more certain to buy than this: on the day of an order it would say at once."""
_WITHIN = np.array(["30 days", "60 days", "90 days", "later", None], dtype=object)
_LATER, _UNKNOWN = 3, 4


class NextPurchase(ModelTask):
    """The task `next_purchase`: one score for each period, the probability of no purchase until its end."""

    name = "next_purchase"
    facts = (
        *(f"purchase_probability_{days}d" for days in HORIZONS),
        "expected_days_to_next_purchase",
        "next_purchase_within",
    )
    rule_columns = frozenset({"days_since_last_transaction", "transaction_count"})
    fact = "next_purchase_within"

    def outputs(self, offers: int) -> tuple[int, ...]:
        """Return 12, the periods."""
        _ = offers
        return (PERIODS,)

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Return the curve of a constant rate that ends, after 90 days, at the probability of the churn rule."""
        _ = offers
        ends = np.arange(1, PERIODS + 1) / PERIODS
        curve: NDArray[np.float32] = (np.maximum(churn_rule(table), SOONEST) ** ends).astype(np.float32)
        return curve

    def add_facts(
        self, scores: NDArray[np.float32], basis: Column, manifest: Mapping[str, Any], rfm: RfmCuts
    ) -> dict[str, Column]:
        """Return what a curve says, null where the window does not reach.

        purchase_probability_30d, _60d and _90d; expected_days_to_next_purchase, where who does not buy within the
        window counts with all of its days (the restricted mean); next_purchase_within, the shortest of the three times
        within which the customer buys more likely than not.
        """
        _ = rfm
        trained_on = float(manifest.get("window_days") or RULE_DAYS)
        window = np.where(basis == "model", trained_on, RULE_DAYS)
        curve = np.minimum.accumulate(np.hstack([np.ones((len(scores), 1)), scores.astype(np.float64)]), axis=1)
        bought = np.stack([1 - read_curve(curve, window, days) for days in HORIZONS], axis=1).round(6)
        mean = (curve[:, :-1] + curve[:, 1:]).sum(axis=1) / (2 * PERIODS) * window
        first = np.where((bought >= 1 / 2).any(axis=1), (bought >= 1 / 2).argmax(axis=1), _LATER)
        # Within the window it is known, beyond it is not.
        first[(first == _LATER) & np.isnan(bought).any(axis=1)] = _UNKNOWN
        named = {f"purchase_probability_{days}d": bought[:, place] for place, days in enumerate(HORIZONS)}
        return {
            **named,
            "expected_days_to_next_purchase": mean.round(1),
            "next_purchase_within": _WITHIN[np.where(np.isnan(mean), _UNKNOWN, first)],
        }


def read_curve(curve: NDArray[np.float64], window: NDArray[np.float64], days: float) -> NDArray[np.float64]:
    """Return the probability of no purchase within a number of days, shape [customers]; NaN beyond the window.

    Args:
        curve: shape [customers, periods + 1], at the ends of equal periods, the first 1.
        window: shape [customers], the days that a curve covers.
        days: from now on.
    """
    periods = curve.shape[1] - 1
    place = np.minimum(days / window * periods, periods)
    before = np.minimum(place.astype(np.intp), periods - 1)
    rows = np.arange(len(curve))
    part = place - before
    found = (1 - part) * curve[rows, before] + part * curve[rows, before + 1]
    return np.where(days > window, np.nan, found)
