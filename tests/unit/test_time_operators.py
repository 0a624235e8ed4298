from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from features.table import FeatureTable
from segments.definition import build_segment
from segments.engine import Activation, classify
from segments.errors import RuleError
from segments.explanation import explain_rule
from segments.jsonlogic import compile_rule

NOON = "2011-06-10T12:00:00+00:00"
AT = {"var": "at"}


def value(rule: Any, *rows: dict[str, Any]) -> Any:
    """Return the value of a rule for the first of the rows, in a column of all of them and alone."""
    compiled = compile_rule(rule, where="test")
    table = FeatureTable.from_rows(
        [str(n) for n in range(len(rows))], list(rows[0]), [list(row.values()) for row in rows]
    )
    values = compiled.values(table)
    assert list(values) == [compiled.value(row) for row in rows]
    return values[0]


@pytest.mark.parametrize(
    ("at", "days"),
    [
        ("2011-06-09", 1.5),
        ("2011-06-10T12:00:00Z", 0.0),
        ("2011-06-10T12:00", 0.0),
        ("2011-06-10T18:00:00+00:00", -0.25),
        ("2011-06-10T00:00:00-06:00", 0.25),
        ("2011-06-10 11:59:59.999999", 1e-6 / 86_400),
        ("20110609", 1.5),
        (datetime(2011, 6, 9, 12, tzinfo=UTC), 1.0),
        (None, None),
        ("", None),
        ("last week", None),
        (20110609, None),
        (True, None),
        (["2011-06-09"], None),
    ],
)
def test_days_since_counts_from_a_time_to_the_event(at: Any, days: float | None) -> None:
    rows = [{"at": at, "event_time": NOON}, {"at": None, "event_time": NOON}]
    assert value({"time.days_since": [AT]}, *rows) == (None if days is None else pytest.approx(days, rel=1e-12))


@pytest.mark.parametrize(
    ("at", "days", "expected"),
    [
        ("2011-05-11T12:00:00Z", 30, True),
        ("2011-05-11T11:59:59Z", 30, False),
        (NOON, 0, True),
        ("2011-06-10T12:00:01Z", 30, False),
        ("2011-06-10T00:00:00", 0.5, True),
        (None, 30, False),
        ("soon", 30, False),
    ],
)
def test_within_last_is_a_window_that_ends_with_the_event(at: Any, days: float, *, expected: bool) -> None:
    row = {"at": at, "event_time": NOON, "days": days}
    assert value({"time.within_last": [AT, days]}, row) is expected
    assert value({"time.within_last": [AT, {"var": "days"}]}, row, {**row, "days": None}) is expected


@pytest.mark.parametrize(
    ("left", "right", "before", "after"),
    [
        ("2011-06-01", "2011-06-02", True, False),
        ("2011-06-01T01:00:00+02:00", "2011-06-01", True, False),
        ("2011-06-01T00:00:00", "2011-06-01", False, False),
        ("2011-06-01T00:00:00.000001Z", "2011-06-01T00:00:00Z", False, True),
        ("2011-06-01T10:00:00-05:00", "2011-06-01T15:00:00Z", False, False),
        ("0001-01-01", "9999-12-31", True, False),
        (None, "2011-06-01", False, False),
        ("2011-06-01", None, False, False),
        (None, None, False, False),
        ("never", "2011-06-01", False, False),
    ],
)
def test_times_are_compared_as_moments(left: Any, right: Any, *, before: bool, after: bool) -> None:
    facts = {"at": left, "until": right}
    assert value({"time.before": [AT, {"var": "until"}]}, facts, {"at": "2011-01-01", "until": left}) is before
    assert value({"time.after": [AT, {"var": "until"}]}, facts, {"at": "2011-01-01", "until": left}) is after
    if right:
        assert value({"time.before": [AT, right]}, facts) is before
        assert value({"time.after": [right, AT]}, facts) is before


def test_an_age_is_unknown_where_the_event_time_is() -> None:
    assert value({"time.days_since": [AT]}, {"at": "2011-06-01"}) is None
    assert value({"time.within_last": ["2011-06-01", 30]}, {"event_time": None}) is False


def test_each_element_has_the_time_of_its_customers_event() -> None:
    rule = {"some": [{"var": "orders"}, {"time.within_last": [AT, 7]}]}
    rows = [{"orders": [{"at": "2011-06-01"}, {"at": None}], "event_time": f"2011-06-{day}"} for day in ("08", "09")]
    assert value(rule, *rows) is True
    assert value(rule, *reversed(rows)) is False


def test_the_ages_of_a_column_are_those_of_its_rows_to_the_last_digit() -> None:
    generator = np.random.default_rng(5)
    starts = [
        datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(n)) for n in generator.integers(0, 3 * 10**17, 200)
    ]
    assert value({"time.days_since": [AT]}, *({"at": each.isoformat(), "event_time": NOON} for each in starts))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"<": [AT, "2011-06-01T00:00:00Z"]}, r"times are not compared as texts at \$\[\"<\"\], value .*time\.before"),
        ({">=": ["2011-06-01 10:00", AT]}, "write time.before or time.after, which know zones and precisions"),
        ({"between": [AT, "2011-06-01", "2011-06-02T00:00+01:00"]}, "times are not compared as texts"),
        ({"some": [{"var": "x"}, {"<": [AT, "2011-06-01T00:00"]}]}, r"\$\.some\[1\]\[\"<\"\]"),
        (
            {"time.before": [AT, "tomorrow"]},
            "'time.before' takes times, and this is none at .*\"tomorrow\"; write a fact",
        ),
        ({"time.after": [AT, None]}, "'time.after' takes times"),
        ({"time.days_since": [20110601]}, "'time.days_since' takes times"),
        ({"time.within_last": [AT, -1]}, "takes a number of days, 0 or more"),
        ({"time.within_last": [AT, "30"]}, "write one without quotes"),
        ({"time.within_last": [AT]}, r"takes 2 argument\(s\), not 1"),
        ({"time.now": []}, "unknown operator 'time.now'"),
    ],
)
def test_a_literal_that_is_always_a_mistake_is_refused(rule: Any, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        compile_rule(rule, where="test")


@pytest.mark.parametrize("literal", ["2011-06-01", "2011-06-01T", "10:00", "2011-06-01 sale", "2011-13-01T00:00"])
def test_a_date_and_any_other_text_may_be_compared_as_text(literal: str) -> None:
    assert compile_rule({"<": [AT, literal]}, where="test").holds({"at": ""})


def test_an_age_is_explained_by_the_recorded_event_time() -> None:
    rule = compile_rule({"<": [{"time.days_since": [AT]}, 30]}, where="test")
    (comparison,) = explain_rule(rule, {"at": "2011-06-09", "event_time": NOON}).comparisons
    assert (comparison.subject, comparison.value, comparison.met) == ('{"time.days_since": [{"var": "at"}]}', 1.5, True)


@pytest.mark.parametrize(
    ("rule", "absent"),
    [
        ({"time.within_last": [AT, 30]}, "event_time"),
        ({"time.within_last": [AT, 30]}, "at"),
        ({"!": {"missing": ["at", "event_time"]}}, "at"),
        ({"missing_some": [1, ["at", "event_time"]]}, "at"),
        ({"some": [{"var": "at"}, {"time.before": [{"var": ""}, "2011-06-01"]}]}, "at"),
    ],
)
def test_a_segment_is_frozen_while_a_column_that_it_looks_for_is_absent(rule: Any, absent: str) -> None:
    segment = build_segment({"key": "s", "name": "S", "rule": rule}, where="test")
    facts = {name: text for name, text in (("at", NOON), ("event_time", NOON)) if name != absent}
    table = FeatureTable.from_rows(["ann"], list(facts), [list(facts.values())])
    activations = {"s": Activation(segment.version, datetime(2011, 1, 1, tzinfo=UTC), "emit")}
    outcome = classify([segment], table, {}, activations=activations, joined_at={})
    assert (outcome.changes, outcome.frozen) == ((), {"s": (absent,)})
