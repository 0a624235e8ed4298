from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from features.table import FeatureTable
from segments.compiler import KNOWN_OPERATORS
from segments.definition import SHIPPED, build_segment, load_segments
from segments.jsonlogic import compile_rule
from segments.null_safety import find_null_holds
from segments.operators import normal
from streams.known_facts import report_null_rules

DOCUMENTED = re.findall(
    r"^\| `(\{.*\})` \| `(.*)` \|$",
    (Path(__file__).parents[2] / "docs" / "definitions.md").read_text().split("What each operator gives")[1],
    re.MULTILINE,
)
AGE, SPENT = {"var": "age"}, {"var": "spent"}
NOON = "2011-06-10T12:00:00+00:00"


def found(rule: Any, *rows: dict[str, Any], exit_rule: Any = None) -> list[str]:
    segment = build_segment({"key": "x", "name": "X", "rule": rule, "exit_rule": exit_rule}, where="test")
    if not rows:
        return find_null_holds(segment)
    cells = [list(row.values()) for row in rows]
    return find_null_holds(segment, FeatureTable.from_rows([str(n) for n in range(len(rows))], list(rows[0]), cells))


@pytest.mark.parametrize(("rule", "value"), DOCUMENTED)
def test_the_documented_table_of_null_is_true(rule: str, value: str) -> None:
    compiled = compile_rule(json.loads(rule), where="docs")
    table = FeatureTable.from_rows(["ann"], ["x", "event_time"], [[None, NOON]])
    expected = json.dumps(normal(json.loads(value)))
    assert json.dumps(compiled.value({"x": None, "event_time": NOON})) == expected
    assert json.dumps(compiled.values(table)[0]) == expected


def test_the_documented_table_of_null_has_every_operator() -> None:
    assert {next(iter(json.loads(rule))) for rule, _ in DOCUMENTED} == set(KNOWN_OPERATORS)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"<": [AGE, 30]}, True),
        ({">": [AGE, 30]}, False),
        ({"!=": [AGE, 30]}, True),
        ({"and": [{"!=": [AGE, None]}, {"<": [AGE, 30]}]}, False),
        ({"between": [AGE, 0, 30]}, False),
        ({"<": [{"time.days_since": [AGE]}, 30]}, True),
        ({"time.within_last": [AGE, 30]}, False),
        ({"none": [AGE, {"<": [{"var": ""}, 30]}]}, True),
    ],
)
def test_a_rule_that_holds_without_its_fact_is_named(rule: Any, *, holds: bool) -> None:
    assert found(rule) == (['segment "x": $.rule holds for a customer without "age"'] if holds else [])


def test_a_rule_that_holds_for_a_customer_of_whom_nothing_is_known_names_all_its_facts() -> None:
    assert found({"or": [{"<": [AGE, 30]}, {">": [SPENT, 100]}]}) == [
        'segment "x": $.rule holds for a customer without "age" and "spent"'
    ]
    assert found({"and": [{"<": [AGE, 30]}, {">": [SPENT, 100]}]}) == []


def test_a_worker_logs_such_rules_when_it_loads_them() -> None:
    rules: dict[str, Any] = {"young": {"<": [AGE, 30]}, "old": {">": [AGE, 60]}}
    with capture_logs() as logged:
        report_null_rules([build_segment({"key": key, "name": key, "rule": rules[key]}, where="test") for key in rules])
    note = 'segment "young": $.rule holds for a customer without "age"'
    assert logged == [{"event": "rule_holds_without_facts", "log_level": "warning", "note": note}]


def test_with_customers_each_fact_is_looked_at_alone() -> None:
    rule = {"and": [{"<": [AGE, 30]}, {">": [SPENT, 100]}]}
    rows = [{"age": 20, "spent": 50}, {"age": 50, "spent": 500}, {"age": None, "spent": 200}]
    assert found(rule, *rows) == ['segment "x": $.rule would hold without "age" for 2 of 3 customers']


def test_a_customer_about_whom_another_fact_decides_is_not_counted() -> None:
    rule = {"or": [{"<": [AGE, 30]}, {">": [SPENT, 100]}]}
    rows = [{"age": 20, "spent": 50}, {"age": 50, "spent": 500}]
    assert found(rule, *rows) == ['segment "x": $.rule would hold without "age" for 1 of 2 customers']


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"<": [AGE, 150]}, 40),
        ({">=": [AGE, 0]}, 40),
        ({"!": [AGE]}, True),
        ({"!=": [AGE, "gold"]}, "gold"),
        ({"!": {"time.after": [AGE, "2011-06-01"]}}, "2011-05-01"),
        ({"none": [{"var": "age"}, True]}, [1]),
    ],
)
def test_a_bound_that_all_customers_are_within_is_still_one(rule: Any, value: Any) -> None:
    assert found(rule, {"age": value}, {"age": None}) == [
        'segment "x": $.rule would hold without "age" for 2 of 2 customers'
    ]


def test_an_exit_rule_is_looked_at_too() -> None:
    assert found({">": [SPENT, 100]}, exit_rule={"<": [SPENT, 50]}) == [
        'segment "x": $.exit_rule holds for a customer without "spent"'
    ]


def test_a_part_of_an_object_is_a_fact_of_its_own() -> None:
    rule = {"<": [{"var": "kpi.age"}, 30]}
    assert found(rule) == ['segment "x": $.rule holds for a customer without "kpi.age"']
    for row in ({"kpi": {"age": 20}}, {"kpi.age": 20}, {"kpi": {}}):
        assert found(rule, row) == ['segment "x": $.rule would hold without "kpi.age" for 1 of 1 customers']


def test_a_rule_without_facts_and_a_fact_without_a_column_are_passed_over() -> None:
    assert found(None) == found({"==": [1, 1]}) == []
    assert found({"<": [AGE, 30]}, {"spent": 1}) == []


def test_the_shipped_segments_admit_no_customer_without_facts() -> None:
    assert [sentence for segment in load_segments(SHIPPED) for sentence in find_null_holds(segment)] == []
