"""What a marketer reads of a factor."""

from __future__ import annotations

from typing import Any

import pytest

from models.feature_labels import FeatureLabel
from models.reason_texts import Known, Subject, write_number, write_text
from models.tasks.protocol import ModelTask
from models.tasks.registry import TASKS

CHURN, LTV = Subject(TASKS["churn"]), Subject(TASKS["ltv"], factor=4.0)
OFFER = Subject(TASKS["nbo"], "10 % off", "a gift")


def word(column: str, value: Any, direction: Any = "raises") -> str:
    """What is said of a feature, without what it means."""
    return write_text(CHURN, [Known("f", column, value)], direction, [], [None]).partition("; ")[0]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("days_since_last_transaction", 69.0, "no purchase for 69 days"),
        ("days_since_last_transaction", 1.0, "no purchase for 1 day"),
        ("days_since_last_order", 0.0, "last purchase today"),
        ("transaction_count", 12.0, "12 orders in all"),
        ("transactions_90d", 1.0, "1 order in 90 days"),
        ("transactions_180d", 0.0, "no orders in 180 days"),
        ("cancellations", 0.0, "no cancellations"),
        ("total_revenue", 1240.4, "revenue of 1,240"),
        ("revenue_90d", 17.5, "revenue of 17.50 in 90 days"),
        ("lifetime_value", 310.0, "lifetime value of 310"),
        ("avg_transaction_value", 24.5, "an average order of 24.50"),
        ("avg_transaction_value_180d", 24.5, "an average order of 24.50"),
        ("revenue_trend_180d", -0.4, "spends less lately than before"),
        ("avg_days_between_orders_180d", 12.25, "an order every 12.25 days on average"),
        ("overdue_180d", 2.5, "2.50 times the usual time between orders has passed"),
        ("tenure_days", 210.0, "customer for 210 days"),
        ("active_days_180d", 1.0, "orders on 1 day"),
        ("tickets_open_30d", 4.0, "tickets open in 30 days: 4"),
        ("NPS", 7.0, "nps: 7"),
        ("is_b2b", True, "is b2b: yes"),
        ("is_b2b", False, "is b2b: no"),
        ("plan", "gold", "plan: gold"),
        ("transaction_count", None, "transaction count: not known"),
        ("30d", 3.0, "30d: 3"),
        ("", 3.0, ": 3"),
    ],
)
def test_a_feature_is_worded_by_its_kind(column: str, value: Any, text: str) -> None:
    assert word(column, value) == text


@pytest.mark.parametrize(
    ("subject", "direction", "text"),
    [
        (CHURN, "raises", "no purchase for 9 days"),
        (CHURN, "lowers", "last purchase 9 days ago"),
        (LTV, "raises", "last purchase 9 days ago"),
        (LTV, "lowers", "no purchase for 9 days"),
        (OFFER, "raises", "last purchase 9 days ago"),
    ],
)
def test_recency_is_worded_by_whom_it_speaks_against(subject: Subject, direction: Any, text: str) -> None:
    known = [Known("f", "days_since_last_transaction", 9.0)]
    assert write_text(subject, known, direction, [], [None]).partition("; ")[0] == text


@pytest.mark.parametrize(
    ("direction", "rate", "overall", "text"),
    [
        ("raises", 0.5, 0.38, "half of such customers leave"),
        ("raises", 0.66, 0.38, "two thirds of such customers leave"),
        ("raises", 0.41, 0.38, "41 % of such customers leave"),
        ("raises", 0.99, 0.38, "nearly all of such customers leave"),
        ("lowers", 0.12, 0.38, "only 12 % of such customers leave"),
        ("lowers", 0.26, 0.38, "only a quarter of such customers leave"),
        ("lowers", 0.01, 0.38, "hardly any of such customers leave"),
        # The rate says something else than the contribution, or next to nothing, or is not known.
        ("raises", 0.2, 0.38, "raises the risk of leaving"),
        ("lowers", 0.39, 0.4, "lowers the risk of leaving"),
        ("raises", None, 0.38, "raises the risk of leaving"),
    ],
)
def test_a_rate_is_told_where_it_agrees(direction: Any, rate: float | None, overall: float, text: str) -> None:
    known = [Known("f", "transaction_count", 2.0)]
    assert write_text(CHURN, known, direction, [rate], [overall]) == f"2 orders in all; {text}"


def test_lifetime_value_is_told_for_12_months() -> None:
    known = [Known("f", "transaction_count", 2.0)]
    assert write_text(LTV, known, "raises", [310.0], [100.0]) == (
        "2 orders in all; such customers spend 1,240 in 12 months on average"
    )
    assert write_text(LTV, known, "lowers", [310.0], [100.0]) == "2 orders in all; lowers the expected spend"


def test_an_offer_is_told_next_to_the_second() -> None:
    known = [Known("f", "transaction_count", 2.0)]
    assert write_text(OFFER, known, "raises", [0.12, 0.05], [0.1, 0.1]) == (
        "2 orders in all; 12 % of such customers take 10 % off, 5 % a gift"
    )
    assert write_text(OFFER, known, "raises", [0.051, 0.05], [0.1, 0.1]) == "2 orders in all; speaks for 10 % off"
    assert write_text(OFFER, known, "lowers", [], [None, None]) == "2 orders in all; speaks for a gift"


def test_features_of_a_group_with_the_same_words_are_told_once() -> None:
    known = [Known("a", "total_revenue", 240.0), Known("b", "revenue", 240.0), Known("c", "items", 3.0)]
    assert write_text(CHURN, known[:2], "lowers", [], [None]) == "revenue of 240; lowers the risk of leaving"
    assert write_text(CHURN, known[1:], "lowers", [], [None]) == "revenue of 240, 3 items; lowers the risk of leaving"


@pytest.mark.parametrize("name", ["f", "revenue"])
def test_a_label_is_found_by_feature_and_by_column(name: str) -> None:
    subject = Subject(TASKS["churn"], labels={name: FeatureLabel("spent with us", "GBP")})
    text = write_text(subject, [Known("f", "revenue", 240.0)], "lowers", [], [None])
    assert text == "spent with us: 240 GBP; lowers the risk of leaving"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.001, "0"), (0.125, "0.12"), (99.999, "100.00"), (-1234567.8, "-1,234,568"), (2e17, "2e+17")],
)
def test_numbers_are_plain(value: float, text: str) -> None:
    assert write_number(value) == text


def test_a_task_without_words_of_its_own_tells_the_direction() -> None:
    class Other(ModelTask):
        name = "other"

    assert (
        write_text(Subject(Other()), [Known("f", "items", 2.0)], "raises", [1.0], [0.5]) == "2 items; raises the score"
    )
