"""Facts that are changed by words: names and types are checked, and computed facts are replaced."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.errors import FactChangeError
from console.use_cases.fact_changes import change_columns, read_changes
from features.table import FeatureTable, Kind
from models.registry import Scorers
from models.rfm import RfmCuts
from models.rules import RuleScorer
from models.scores import score_customers
from models.tasks.registry import TASKS

COLUMNS = ("days_since_last_transaction", "plan", "email_consent", "joined", "tags", "sms_consent", "note")
KINDS: tuple[Kind, ...] = ("number", "other", "boolean", "other", "other", "boolean", "other")
ROW = (5.0, "silver", True, "2020-01-02", ["a"], None, None)


def scorers() -> Scorers:
    rules = {
        name: RuleScorer(lambda table, task=task: task.apply_rule(table, 8), "test") for name, task in TASKS.items()
    }
    return Scorers(rules, RfmCuts())


def facts() -> FeatureTable:
    return score_customers(FeatureTable.from_rows(["ann"], COLUMNS, [ROW], KINDS), scorers())


def change(*nulls: str, **values: str) -> dict[str, Any]:
    changes = read_changes(facts(), values, nulls, scorers())
    return {each.fact: each.after for each in changes}


@pytest.mark.parametrize(
    ("fact", "text", "value"),
    [
        ("days_since_last_transaction", "90", 90.0),
        ("plan", "gold", "gold"),
        ("plan", "", ""),
        ("email_consent", "False", False),
        ("joined", "2026-03-01", "2026-03-01"),
        ("tags", '["b", 1]', ["b", 1]),
        ("sms_consent", "true", True),
        ("note", "call back", "call back"),
        ("churn_risk", "low", "low"),
    ],
)
def test_a_value_is_read_by_the_type_of_its_fact(fact: str, text: str, value: Any) -> None:
    assert change(**{fact: text}) == {fact: value}


def test_a_fact_becomes_null() -> None:
    assert change("plan", "days_since_last_transaction") == {"plan": None, "days_since_last_transaction": None}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"days_since_last": "1"},
            "no fact 'days_since_last' that a decision reads; did you mean days_since_last_transaction",
        ),
        ({"zzz": "1"}, "it has churn_probability, "),
        ({"event_time": "2026-03-01"}, "give it with --at"),
        ({"days_since_last_transaction": "inf"}, "is a number; 'inf' is none"),
        ({"email_consent": "yes"}, "is true or false; 'yes' is neither"),
        ({"joined": "lately"}, "is a time; 'lately' is none"),
        ({"tags": "a"}, "is a JSON array; 'a' is none"),
        ({"tags": "{}"}, "is a JSON array; '{}' is none"),
    ],
)
def test_another_value_is_refused_with_a_sentence(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(FactChangeError) as caught:
        read_changes(facts(), values, (), scorers())
    assert sentence in str(caught.value)


def test_the_risk_follows_from_the_probability() -> None:
    """Unless it is given, too."""
    (given,) = read_changes(facts(), {"churn_probability": "0.9"}, (), scorers())
    assert given.note == (
        "churn_probability is set in place of what Holdfast computes; churn_risk and churn_risk_level follow from it"
    )
    assert change_columns(facts(), [given]).row(0)["churn_risk"] == "high"
    assert change_columns(facts(), [given]).row(0)["churn_risk_level"] == "critical"
    both = read_changes(facts(), {"churn_probability": "0.9", "churn_risk": "low"}, (), scorers())
    assert change_columns(facts(), both).row(0)["churn_risk"] == "low"


def test_what_stays_as_computed_is_named() -> None:
    (given,) = read_changes(facts(), {"predicted_ltv": "5000"}, (), scorers())
    assert given.note.endswith("; predicted_ltv_low, predicted_ltv_high, value_segment stay as computed")
    (column,) = read_changes(facts(), {"plan": "gold"}, (), scorers())
    assert (column.note, column.is_computed) == ("", False)
