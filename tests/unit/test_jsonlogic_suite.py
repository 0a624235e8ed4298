"""The public suite of JSONLogic, each case in three ways: for a row, for columns, and inside a map for an element."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from features.table import FeatureTable
from segments.jsonlogic import compile_expression, compile_rule
from segments.operators import normal

SUITE = json.loads((Path(__file__).parents[1] / "data" / "jsonlogic_suite.json").read_text())
CASES = [pytest.param(*case, id=json.dumps(case[:2])) for group in SUITE["groups"] for case in group["cases"]]


def table_of(row: dict[str, Any]) -> FeatureTable:
    return FeatureTable.from_rows(["1", "2"], list(row), [list(row.values())] * 2)


def as_json(value: Any) -> str:
    """Return JSON in which 1 is 1.0 and not true."""
    return json.dumps(normal(value), sort_keys=True)


def test_the_suite_is_complete_and_names_its_source_and_licence() -> None:
    assert len(CASES) == 277
    assert {"source", "licence"} <= SUITE.keys()


@pytest.mark.parametrize(("rule", "data", "expected"), CASES)
def test_a_row_gives_the_value_of_the_suite(rule: Any, data: Any, expected: Any) -> None:
    assert as_json(compile_expression(rule, where="suite").value(data)) == as_json(expected)


@pytest.mark.parametrize(("rule", "data", "expected"), CASES)
def test_a_column_gives_the_value_of_the_suite(rule: Any, data: Any, expected: Any) -> None:
    if data is None or isinstance(data, dict):
        values = compile_expression(rule, where="suite").values(table_of(data or {}))
        assert as_json(list(values)) == as_json([expected, expected])
    else:
        # What is no object cannot be the facts of a customer; it can be one fact, an element of which is read.
        inside = {"map": [{"var": "data"}, rule]}
        values = compile_rule(inside, where="suite").values(table_of({"data": [data]}))
        assert as_json(list(values)) == as_json([[expected], [expected]])


@pytest.mark.parametrize(("rule", "data", "expected"), CASES)
def test_an_element_gives_the_value_of_the_suite(rule: Any, data: Any, expected: Any) -> None:
    compiled = compile_expression({"map": [{"var": "data"}, rule]}, where="suite")
    facts = {"data": [data, data]}
    assert as_json(list(compiled.values(table_of(facts)))) == as_json([[expected] * 2] * 2)
    assert as_json(compiled.value(facts)) == as_json([expected] * 2)
    assert compiled.facts == {"data"}
