"""What is shown of a fact: its type, its group, its coverage, and values that identify no customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from campaigns.ports import LedgerState
from console.use_cases.segment_columns import (
    GROUPS,
    describe_fact,
    describe_ledger_facts,
    find_group,
    find_type,
    identifies,
    pick_values,
)
from features.signals import Signals
from features.table import column
from models.facts import SCORE_FACTS

if TYPE_CHECKING:
    from features.table import Kind


@pytest.mark.parametrize(
    ("name", "kind", "group"),
    [
        ("event_time", "other", "activity"),
        ("sentiment_score_30d", "number", "conversation"),
        ("rfm_segment", "other", "risk and engagement"),
        ("churn_probability", "number", "predictions"),
        ("value_segment", "other", "predictions"),
        ("total_revenue", "number", "financial"),
        ("monthly_charges", "number", "financial"),
        ("MONTHLY_CHARGES", "number", "financial"),
        ("logins_30d", "number", "activity"),
        ("support_complaints", "number", "risk and engagement"),
        ("country", "other", "profile"),
        ("sms_consent", "boolean", "profile"),
        ("country", "number", "warehouse"),
        ("payment_method", "other", "warehouse"),
        ("revenue_per_visits", "number", "warehouse"),
        ("costume", "number", "warehouse"),
        ("items_total", "number", "warehouse"),
    ],
)
def test_a_group_follows_from_a_known_name_or_from_words_that_leave_no_doubt(name: str, kind: Kind, group: str) -> None:
    """A name with words of two groups, or of the wrong kind, is a column of the warehouse and no more."""
    assert find_group(name, kind) == group


def test_every_fact_of_the_models_has_a_group_of_its_own() -> None:
    assert {find_group(name, "number") for name in SCORE_FACTS} == {"risk and engagement", "predictions"}
    assert len(set(GROUPS)) == 7


@pytest.mark.parametrize(
    ("kind", "cells", "type_name"),
    [
        ("number", [], "number"),
        ("boolean", [True], "boolean"),
        ("other", ["gold", "2020-01-01"], "text"),
        ("other", ["2020-01-01", "2020-01-01T10:00:00+00:00"], "time"),
        ("other", [True, False], "boolean"),
        ("other", [["a"], []], "list"),
        ("other", [{"a": 1}], "object"),
        ("other", ["a", ["a"]], "other"),
        ("other", [], "other"),
    ],
)
def test_a_type_follows_from_the_kind_and_then_from_the_values(kind: Kind, cells: list[Any], type_name: str) -> None:
    assert find_type(kind, cells) == type_name


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([f"ann{number}@example.org" for number in range(20)], True),
        (["ann", "ann"] * 5 + [f"bob{number}" for number in range(10)], True),
        (["gold", "silver"] * 10, False),
        ([float(number) for number in range(1000, 1020)], True),
        ([number + 0.5 for number in range(20)], False),
        ([1.0, 2.0] * 10, False),
        (["France", "Spain"], False),
        ([], False),
    ],
)
def test_values_that_differ_by_customer_identify_them(cells: list[Any], *, expected: bool) -> None:
    assert identifies(cells) is expected


@pytest.mark.parametrize("name", ["id", "account_id", "device_uuid", "accountId", "order_key"])
def test_a_column_that_is_an_id_shows_no_value(name: str) -> None:
    """Its coverage is shown."""
    shown = describe_fact(name, column(["a", "a", None, None]))
    assert (shown.coverage, list(shown.values)) == (0.5, [])


@pytest.mark.parametrize("name", ["paid", "grid", "monkey", "valid"])
def test_a_name_that_only_ends_like_an_id_shows_values(name: str) -> None:
    assert describe_fact(name, column(["a", "a", None, None])).values == ["a"]


def test_values_are_few_numbers_in_order_and_others_by_frequency() -> None:
    assert pick_values([5.0, 1.0, 5.0]) == [1.0, 5.0]
    assert pick_values([float(number) for number in range(101)]) == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert pick_values(["b", "a", "a", "c", "d", "e", "f"]) == ["a", "b", "c", "d", "e"]
    assert pick_values([["x"], ["x"], []]) == [["x"], []]
    assert pick_values([]) == []


def test_a_fact_of_no_customer_has_no_coverage() -> None:
    """An empty view; it is not 0 %."""
    shown = describe_fact("spend", column([], "number"))
    assert (shown.type, shown.coverage, list(shown.values)) == ("number", None, [])


def test_facts_of_conversations_and_feedback_are_listed_without_a_ledger() -> None:
    known, unknown = LedgerState({}, {"ann": Signals(message_count=2)}, {}, ()), LedgerState({}, {}, {}, ())
    heard = {fact.name: fact for fact in describe_ledger_facts(known, ["ann"], is_sampled=True)}
    assert (heard["message_count"].values, heard["sentiment_score"].coverage) == ([2.0], 0.0)
    unheard = {fact.name: fact for fact in describe_ledger_facts(unknown, ["ann"], is_sampled=False)}
    assert heard.keys() == unheard.keys()
    assert {fact.coverage for fact in unheard.values()} == {None}
    assert unheard["key_concerns"].type == "list"
    assert (heard["always_vip"].type, heard["always_vip"].group, heard["always_vip"].values) == (
        "boolean",
        "profile",
        [False],
    )
