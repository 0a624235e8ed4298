"""Features as of past events: what was recorded replaces what a row holds."""

from __future__ import annotations

import numpy as np
import pytest

from features.table import FeatureTable
from streams.feature_history import overlay

TABLE = FeatureTable.from_rows(("ann", "bob"), ("days", "consent", "country"), [(5, True, "GB"), (None, False, None)])


def test_recorded_facts_replace_those_of_the_row() -> None:
    found = overlay(TABLE, {"ann": {"days": 70, "consent": False, "country": "DE"}})
    assert found.row(0) == {"days": 70.0, "consent": False, "country": "DE"}
    assert found.row(1) == TABLE.row(1)


def test_what_is_no_column_is_left_out() -> None:
    """Scores and signals are facts of a decision, and are computed again."""
    assert overlay(TABLE, {"ann": {"churn_probability": 0.9}}) is TABLE


def test_customers_without_a_record_keep_their_row() -> None:
    assert overlay(TABLE, {"eve": {"days": 70}}) is TABLE


@pytest.mark.parametrize("column", ["days", "consent", "country"])
def test_a_recorded_null_is_null(column: str) -> None:
    assert overlay(TABLE, {"ann": {column: None}}).row(0)[column] is None


def test_a_column_keeps_its_kind_where_the_recorded_facts_fit() -> None:
    found = overlay(TABLE, {"bob": {"days": 70, "consent": True}})
    assert (found.columns["days"].dtype, found.columns["consent"].dtype) == (np.float64, np.bool_)


def test_a_column_of_another_kind_by_now_takes_the_recorded_facts_as_they_are() -> None:
    """A column may have become a number since: the text that was recorded still is what the decision read."""
    found = overlay(TABLE, {"ann": {"days": "seventy"}})
    assert [found.row(0)["days"], found.row(1)["days"]] == ["seventy", None]
