"""What a customer looked like on a day, and what came of it, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.point_in_time import Orders, Windows, choose_cut_offs, take_snapshots
from training.errors import TrainingDataError

CUT_OFF = np.array(["2011-07-01"], dtype="datetime64[D]")


def orders(*rows: tuple[str, str, float]) -> Orders:
    customer, day, amount = zip(*rows, strict=True)
    return Orders(np.array(customer), np.array(day, dtype="datetime64[D]"), np.array(amount, dtype=np.float64))


HISTORY = orders(
    ("a", "2010-06-01", 1000.0),
    ("a", "2011-02-01", 100.0),
    ("a", "2011-05-02", 50.0),
    ("a", "2011-05-03", -20.0),
    ("a", "2011-06-30", 150.0),
    ("a", "2011-07-01", 70.0),
    ("a", "2011-09-29", 9.0),
    ("b", "2011-06-01", 30.0),
    ("c", "2010-12-01", 30.0),
)


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("days_since_last_transaction", 0),
        ("transactions_180d", 3),
        ("transactions_90d", 2),
        ("transactions_30d", 1),
        ("revenue_180d", 300),
        ("revenue_90d", 200),
        ("avg_transaction_value_180d", 100),
        ("largest_transaction_180d", 150),
        ("revenue_trend_180d", 1 / 3),
        ("active_days_180d", 3),
        ("avg_days_between_orders_180d", 74.5),
        ("longest_gap_180d", 90),
        ("overdue_180d", 1 / 74.5),
        ("cancellations_180d", 1),
        ("refunded_180d", 20),
        ("tenure_days_180d", 180),
    ],
)
def test_each_feature_is_what_its_name_says(feature: str, value: float) -> None:
    taken = take_snapshots(HISTORY, CUT_OFF, Windows())
    assert taken.features[feature][0] == pytest.approx(value)


def test_only_customers_who_bought_in_the_observation_window_have_a_row() -> None:
    taken = take_snapshots(HISTORY, CUT_OFF, Windows())
    assert taken.customer.tolist() == ["a", "b"]
    assert take_snapshots(HISTORY, CUT_OFF, Windows(minimum_orders=2)).customer.tolist() == ["a"]


def test_churn_is_no_purchase_in_the_window_and_spend_is_what_was_bought_in_it() -> None:
    taken = take_snapshots(HISTORY, CUT_OFF, Windows())
    assert taken.churned.tolist() == [0, 1]
    assert taken.spend.tolist() == [70, 0]


def test_what_needs_two_purchases_is_null_after_one() -> None:
    taken = take_snapshots(HISTORY, CUT_OFF, Windows())
    assert np.isnan(taken.features["overdue_180d"]).tolist() == [False, True]


def a_year() -> Orders:
    days = np.arange(np.datetime64("2010-12-01"), np.datetime64("2011-12-10"))
    return Orders(np.full(len(days), "a"), days, np.ones(len(days)))


def test_what_is_learned_from_was_known_on_the_day_of_evaluation() -> None:
    cut_offs = choose_cut_offs(a_year(), Windows())
    assert cut_offs[-1] + np.timedelta64(90, "D") == np.datetime64("2011-12-10")
    assert cut_offs[-2] + np.timedelta64(90, "D") == cut_offs[-1]
    assert cut_offs[0] - np.timedelta64(180, "D") >= np.datetime64("2010-12-01")
    assert len(cut_offs) == 4


def test_too_short_a_history_is_refused_with_the_days_needed() -> None:
    with pytest.raises(TrainingDataError, match=r"span 374 days.* are 910"):
        choose_cut_offs(a_year(), Windows(prediction=365))


def test_no_orders_at_all_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="returned no rows"):
        choose_cut_offs(a_year().take(np.zeros(374, dtype=np.bool_)), Windows())
