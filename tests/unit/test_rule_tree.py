"""Rules as people draw them."""

from __future__ import annotations

from typing import Any

import pytest

from segments.compiler import KNOWN_OPERATORS
from segments.definition import SHIPPED, load_segments
from segments.definition_files import read_content
from segments.jsonlogic import compile_rule
from segments.rule_tree import (
    COMPARISONS,
    DAYS,
    Condition,
    Group,
    Raw,
    Value,
    build_rule,
    describe,
    draw_rule,
    walk,
)

NESTED = {
    "and": [
        {">=": [{"var": "churn_probability"}, 0.7]},
        {"or": [{"in": [{"var": "country"}, ["DE", "AT"]]}, {"==": [{"var": "tier"}, "gold"]}]},
        {"!": [{"time.within_last": [{"var": "last_message_at"}, 30]}]},
    ]
}


def test_a_rule_reads_as_a_person_would_say_it() -> None:
    said = ["  " * len(path) + describe(part) for path, part in walk(draw_rule(NESTED))]
    assert said == [
        "all of",
        "  churn_probability is at least 0.7",
        "  any of",
        "    country is one of DE, AT",
        "    tier is gold",
        "  none of",
        "    last_message_at was within the last 30 days",
    ]


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.json")), ids=lambda file: file.stem)
def test_shipped_segments_are_drawn_completely(file: Any) -> None:
    tree = draw_rule(read_content(file)["rule"])
    assert not [part for _, part in walk(tree) if isinstance(part, Raw)]
    assert load_segments(SHIPPED)


@pytest.mark.parametrize("key", COMPARISONS)
def test_each_comparison_is_one_of_the_compiler_and_compiles(key: str) -> None:
    comparison = COMPARISONS[key]
    kind = "number" if key in DAYS else "text"
    text = "2" if kind == "number" else "2011-06-01"
    condition = Condition("fact", key, tuple(Value(text, kind) for _ in comparison.values))
    rule, problems = build_rule(condition)
    assert problems == []
    assert comparison.operator in KNOWN_OPERATORS
    assert compile_rule(rule, where="test").facts >= {"fact"}
    assert draw_rule(rule) == condition


@pytest.mark.parametrize(
    ("tree", "path", "said"),
    [
        (Group("or"), (), "add a condition, or remove the group"),
        (Group("and", (Raw("true"), Condition("", "=="))), (1,), "choose a fact"),
        (Condition("a", "<", (Value("12 %", "number"),)), (), "'12 %' is no number; write one as 12 or 0.5"),
        (Condition("a", "<", (Value("1e999", "number"),)), (), "'1e999' is no number; write one as 12 or 0.5"),
        (Condition("a", "in", (Value("\n", "text"),)), (), "enter at least one value"),
        (Condition("a", "==", (Value("", "boolean"),)), (), "choose yes or no"),
        (Raw("{"), (), "this is not JSON: "),
        (Raw("NaN"), (), "this is not JSON: NaN is no JSON value"),
    ],
)
def test_what_is_not_a_rule_yet_is_said_where_it_is(tree: Any, path: tuple[int, ...], said: str) -> None:
    rule, (problem,) = build_rule(tree)
    assert rule is None
    assert problem.path == path
    assert problem.said.startswith(said)


def test_no_condition_at_all_is_no_rule() -> None:
    assert draw_rule(None) == Group("and")
    assert build_rule(Group("and")) == (None, [])


def test_parts_nested_beyond_reading_stay_json() -> None:
    rule: Any = {"==": [{"var": "a"}, 1]}
    for _ in range(100):
        rule = {"and": [rule, True]}
    parts = [part for _, part in walk(draw_rule(rule))]
    assert max(len(path) for path, _ in walk(draw_rule(rule))) == 20
    assert any(isinstance(part, Raw) and "var" in part.text for part in parts)
    assert build_rule(draw_rule(rule)) == (rule, [])
