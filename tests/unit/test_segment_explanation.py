from __future__ import annotations

import json
from typing import Any

import pytest

from segments.explanation import Comparison, explain_rule
from segments.jsonlogic import compile_rule

P, R = {"var": "p"}, {"var": "r"}


def explained(rule: Any, **facts: Any) -> Any:
    return explain_rule(compile_rule(rule, where="test"), facts)


def leaf(comparison: Comparison | None) -> Any:
    return comparison and (comparison.subject, comparison.operator, comparison.threshold, comparison.met)


def test_a_comparison_tells_value_operator_and_threshold() -> None:
    explanation = explained({">=": [P, 0.7]}, p=0.65)
    assert explanation.comparisons == (Comparison("p", 0.65, ">=", 0.7, met=False, negated=False, blocking=True),)
    assert not explanation.met


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"<": [5, P]}, ("p", ">", 5.0, False)),
        ({"in": [P, ["a", "b"]]}, ("p", "in", ["a", "b"], False)),
        ({"==": [{"var": "a.b"}, "c"]}, ("a.b", "==", "c", False)),
        ({"!!": P}, ("p", "is", True, True)),
        ({"!": P}, ("p", "is", True, False)),
        ({">": [{"+": [P, 1]}, 9]}, ('{"+": [{"var": "p"}, 1.0]}', ">", 9.0, False)),
        ({"if": [P, False, True]}, ('{"if": [{"var": "p"}, false, true]}', "is", True, False)),
    ],
)
def test_every_form_has_the_fact_on_the_left(rule: Any, expected: Any) -> None:
    assert leaf(explained(rule, p=3).comparisons[0]) == expected


@pytest.mark.parametrize(
    "condition",
    [
        {"missing": ["p"]},
        {"missing_some": [1, ["p", "r"]]},
        {"missing": {"if": [P, ["r"], []]}},
        {"some": [P, {">": [{"var": ""}, 1]}]},
        {"filter": [P, {"var": "x.y"}]},
        {"startsWith": [P, "a"]},
        {"time.within_last": [P, 30.0]},
        {"var": [{"if": [P, "p", "r"]}]},
    ],
)
def test_a_condition_is_named_by_its_text(condition: Any) -> None:
    (comparison,) = explained(condition, p=None).comparisons
    assert (json.loads(comparison.subject), comparison.operator) == (condition, "is")


def test_a_list_is_compared_by_what_is_computed_from_it() -> None:
    total = {"reduce": [P, {"+": [{"var": "accumulator"}, {"var": "current"}]}, 0]}
    assert leaf(explained({">": [total, 9]}, p=[1, 2]).comparisons[0]) == (json.dumps(total), ">", 9.0, False)


def test_between_is_two_comparisons() -> None:
    explanation = explained({"<": [0, P, 10]}, p=12)
    assert [leaf(each) for each in explanation.comparisons] == [("p", ">", 0.0, True), ("p", "<", 10.0, False)]


def test_the_nearest_miss_is_relatively_closest() -> None:
    rule = {"and": [{">=": [R, 1000]}, {">=": [P, 0.7]}, {"==": [{"var": "c"}, "France"]}]}
    assert explained(rule, r=990, p=0.6, c="Spain").nearest_miss.subject == "r"
    assert explained(rule, r=500, p=0.6, c="Spain").nearest_miss.subject == "p"
    assert explained(rule, r=1000, p=0.7, c="Spain").nearest_miss.subject == "c"


def test_a_rule_that_holds_has_no_miss() -> None:
    explanation = explained({"or": [{">=": [P, 0.7]}, {">": [R, 5]}]}, p=0.9, r=1)
    assert explanation.met
    assert explanation.nearest_miss is None


def test_what_would_not_help_is_no_miss() -> None:
    rule = {"and": [{"or": [{">": [P, 1]}, {">": [R, 1]}]}, {">=": [{"var": "n"}, 100]}]}
    explanation = explained(rule, p=0.99, r=2, n=1)
    assert explanation.nearest_miss.subject == "n"


def test_under_a_negation_the_comparison_must_fail() -> None:
    explanation = explained({"!": [{"<": [P, 5]}]}, p=3)
    (comparison,) = explanation.comparisons
    assert (comparison.met, comparison.negated) == (False, True)
    assert explanation.nearest_miss is comparison


def test_a_missing_fact_is_the_last_to_be_called_a_near_miss() -> None:
    explanation = explained({"and": [{">": [P, 1]}, {">": [R, 1]}]}, r=-100)
    assert explanation.comparisons[0].value is None
    assert explanation.nearest_miss.subject == "r"


@pytest.mark.parametrize(
    ("value", "distance"), [(0.35, 0.5), (0.7, 0.0), (-0.7, 2.0), ("0.7", None), (None, None), (True, None)]
)
def test_distance_is_relative_and_only_for_numbers(value: Any, distance: float | None) -> None:
    assert explained({"!=": [P, 0.7]}, p=value).comparisons[0].distance == distance
