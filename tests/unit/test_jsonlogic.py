from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.table import FeatureTable
from segments.errors import RuleError
from segments.jsonlogic import DEEPEST, LONGEST, compile_expression, compile_rule
from segments.vectorized import Facts

CASES = json.loads((Path(__file__).parents[1] / "data" / "jsonlogic_cases.json").read_text())


def table_of(*rows: dict[str, Any]) -> FeatureTable:
    names = list(rows[0])
    return FeatureTable.from_rows([str(n) for n in range(len(rows))], names, [list(row.values()) for row in rows])


@pytest.mark.parametrize("column", [True, False], ids=["column", "row"])
@pytest.mark.parametrize("group", CASES, ids=[group["about"] for group in CASES])
def test_rules_answer_as_javascript_does(group: dict[str, Any], *, column: bool) -> None:
    for rule, row, expected in group["cases"]:
        compiled = compile_rule(rule, where="test")
        answers = compiled.evaluate(table_of(row, row)).tolist() if column else [compiled.holds(row)] * 2
        assert answers == [expected, expected], rule


ARRAY_OF_ARRAYS = {"map": [{"var": "a"}, {"merge": [1]}]}
LAST = {"reduce": [ARRAY_OF_ARRAYS, {"var": "current"}, None]}
EMPTY = {"reduce": [[1], [], []]}


@pytest.mark.parametrize("computed", [EMPTY, LAST, {"merge": [1]}, {"map": [{"var": "a"}, 1]}])
@pytest.mark.parametrize(("operator", "expected"), [("==", False), ("===", False), ("!=", True), ("!==", True)])
def test_an_array_that_a_rule_computes_twice_is_two_arrays(computed: Any, operator: str, *, expected: bool) -> None:
    """As in JavaScript, where an array equals only itself; a batch computes most things once."""
    compiled, row = compile_rule({operator: [computed, computed]}, where="test"), {"a": [1.0, 2.0]}
    assert compiled.evaluate(table_of(row, row)).tolist() == [compiled.holds(row)] * 2 == [expected] * 2


@pytest.mark.parametrize("others", [["x"], [True], [[1]], [{"a": 1}], ["x", 2.0, None, False]])
def test_a_column_of_mixed_values_gives_each_its_own_answer(others: list[Any]) -> None:
    table = table_of(*({"x": each} for each in [1, "1", None, *others]))
    mask = compile_rule({"==": [{"var": "x"}, 1]}, where="test").evaluate(table)
    assert mask[:3].tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("column", "rule", "expected"),
    [
        (np.array([0.5, 1.5], dtype=np.float32), {">": [{"var": "x"}, 1]}, [False, True]),
        (np.array([0, 2]), {">": [{"var": "x"}, 1]}, [False, True]),
        (np.array([np.nan, 2.0]), {"==": [{"var": "x"}, None]}, [True, False]),
        (np.array([None, np.float64("nan"), "a"], dtype=object), {"==": [{"var": "x"}, None]}, [True, True, False]),
        (np.array([np.int64(3), "a"], dtype=object), {"==": [{"var": "x"}, 3]}, [True, False]),
        (np.array(["a", "b"]), {"==": [{"var": "x"}, "b"]}, [False, True]),
        (np.array([], dtype=np.float64), {"==": [{"var": "x"}, 1]}, []),
        (np.array([], dtype=object), {"and": [{"var": "x"}, {"in": [{"var": "x"}, "ab"]}]}, []),
    ],
)
def test_every_type_of_column_is_read(column: Any, rule: Any, expected: list[bool]) -> None:
    table = FeatureTable(tuple(map(str, range(len(column)))), {"x": column})
    assert compile_rule(rule, where="test").evaluate(table).tolist() == expected


def test_a_rule_without_facts_gives_one_answer_per_customer() -> None:
    table = table_of({"x": 1}, {"x": 2}, {"x": 3})
    assert compile_rule({"==": [1, 1]}, where="test").evaluate(table).tolist() == [True, True, True]


def test_a_rule_names_the_facts_it_reads() -> None:
    rule = compile_rule(
        {"and": [{"<": [{"var": "a.b"}, {"var": ["c", {"var": "d"}]}]}, {"!": {"var": 3}}]}, where="test"
    )
    assert rule.facts == {"a.b", "a", "c", "d", "3"}
    assert rule.missing({"a", "d"}) == {"3", "c"}
    assert rule.missing({"a.b", "c", "d", "3"}) == set()
    assert rule.missing({"c", "d", "3"}) == {"a"}


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        ({"missing": ["a", "b.c"]}, {"a", "b", "b.c"}),
        ({"missing_some": [1, ["a", 3]]}, {"a", "3"}),
        ({"missing": {"merge": ["a", {"if": [{"var": "b"}, ["c"], "d"]}]}}, {"a", "b", "c", "d"}),
        ({"var": [{"?:": [{"var": "b"}, "c", "d"]}, {"var": "e"}]}, {"b", "c", "d", "e"}),
        ({"some": [{"var": "orders"}, {">": [{"var": "total"}, {"var": ""}]}]}, {"orders"}),
        ({"map": [{"var": "orders"}, {"missing": ["total"]}]}, {"orders"}),
        (
            {"reduce": [{"var": "orders"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, {"var": "n"}]},
            {"orders", "n"},
        ),
        ({"filter": [{"var": "orders"}, {"time.within_last": [{"var": "at"}, 30]}]}, {"orders", "event_time"}),
        ({"time.before": [{"var": "a"}, "2011-06-01"]}, {"a"}),
    ],
)
def test_what_a_rule_reads_is_known_when_it_is_loaded(rule: Any, facts: set[str]) -> None:
    compiled = compile_rule(rule, where="test")
    assert compiled.facts == facts
    assert not compiled.reads_everything


@pytest.mark.parametrize(
    "rule", [{"var": ""}, {"var": []}, {"var": {"var": "a"}}, {"missing": {"var": "a"}}, {"if": []}]
)
def test_what_only_an_expression_may_have_is_refused_in_the_rule_of_a_segment(rule: Any) -> None:
    with pytest.raises(RuleError):
        compile_rule(rule, where="test")
    assert compile_expression(rule, where="test").reads_everything is (rule != {"if": []})


def test_a_computed_name_finds_what_the_name_itself_would() -> None:
    rule = compile_expression({"var": [{"var": "name"}, 7]}, where="test")
    rows = [{"name": name, "kpi.x": 1, "kpi": {"x": 2, "y": 3}} for name in ("kpi.x", "kpi.y", "kpi.z", "none")]
    assert rule.values(table_of(*rows)) == [rule.value(row) for row in rows] == [1, 3, 7, 7]


def test_log_writes_nothing(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    rule = compile_rule({"log": {"var": "x"}}, where="test")
    assert (rule.value({"x": 3}), rule.values(table_of({"x": 3}))) == (3, [3])
    assert (*capfd.readouterr(), caplog.text) == ("", "", "")


def test_elements_that_several_rules_read_are_found_once() -> None:
    facts = Facts(table_of({"x": [1, 2]}, {"x": [3]}))
    for bound in (1, 2):
        compile_rule({"some": [{"var": "x"}, {">": [{"var": ""}, bound]}]}, where="test").mask(facts)
    (elements,) = facts.elements.values()
    assert (elements.count, elements.owners.tolist()) == (3, [0, 0, 1])


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"kpi.x": 2, "kpi": {"x": 1}}, 2),
        ({"kpi.x": None, "kpi": {"x": 1}}, None),
        ({"kpi": {"x": 1}}, 1),
        ({"kpi": {"y": 1}}, 7),
        ({"x": 1}, 7),
    ],
    ids=["both", "a null is a value", "object", "another field", "neither"],
)
def test_a_name_with_a_dot_is_a_column_before_it_is_a_field(row: dict[str, Any], expected: Any) -> None:
    rule = compile_rule({"===": [{"var": ["kpi.x", 7]}, expected]}, where="test")
    assert rule.evaluate(table_of(row)).tolist() == [True]
    assert rule.holds(row)


@pytest.mark.parametrize(
    "rule",
    [
        {"==": [{"var": "account"}, 2**53 + 1]},
        {"in": [{"var": "account"}, [1, -(2**53)]]},
        {"!": {"!==": [10**20, {"var": "account"}]}},
    ],
)
def test_a_number_that_no_fact_can_have_is_refused(rule: Any) -> None:
    with pytest.raises(RuleError, match=r'let the view return the column as text, and write "-?\d+" in quotes'):
        compile_rule(rule, where="test")


def test_a_large_number_may_be_a_bound() -> None:
    assert compile_rule({"<": [{"var": "x"}, 2**63 - 1]}, where="test").holds({"x": 1})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"and": [True, {"matches": ["x", "y"]}]}, r"unknown operator 'matches' at \$\.and\[1\]\.matches, value \["),
        ({"===": [1, {"Var": "x"}]}, r"unknown operator 'Var' at \$\[\"===\"\]\[1\]\.Var"),
        ({"xor": [1, 2]}, "known operators: var and or if"),
        ({">": [1, 2, 3]}, r"'>' takes 2 argument\(s\), not 3 at \$\[\">\"\]"),
        ({"==": [1]}, r"'==' takes 2 argument\(s\), not 1"),
        ({"and": []}, r"'and' takes at least 1 argument\(s\), not 0"),
        ({"!": [1, 2]}, r"'!' takes 1 argument\(s\)"),
        ({"var": "a", "default": 3}, r"an operation has one key, not 2 at \$"),
        ({"var": ""}, "'var' takes the name of a fact"),
        ({"var": [{"if": [1, "a", {"var": "b"}]}]}, "'var' takes the name of a fact"),
        ({"missing": {"var": "a"}}, "'missing' takes names of facts"),
        ({"missing_some": [1, [True]]}, "'missing_some' takes names of facts"),
        ({"var": ["a", 1, 2]}, "at most one default"),
        ({"in": [1, [2, {"nope": 1}]]}, r"\$\.in\[1\]\[1\]\.nope"),
        ({"some": [{"var": "x"}]}, r"'some' takes 2 argument\(s\), not 1 at \$\.some"),
        ({"reduce": "x"}, r"'reduce' takes 2 to 3 argument\(s\), not 1"),
        ({"map": [{"var": "x"}, {"nope": 1}]}, r"unknown operator 'nope' at \$\.map\[1\]\.nope"),
        ({"between": [{"var": "x"}, 1]}, r"'between' takes 3 argument\(s\), not 2"),
        ({"missing_some": ["x", "y", "z"]}, r"'missing_some' takes 2 argument\(s\), not 3"),
        ({"missing": {"var": "a"}}, "what a segment reads must be known when it is loaded: write the name itself"),
    ],
)
def test_a_rule_that_cannot_mean_anything_is_refused_with_file_and_path(rule: Any, said: str) -> None:
    with pytest.raises(RuleError, match=said) as refused:
        compile_rule(rule, where="definitions/x.json: rule")
    assert str(refused.value).startswith("definitions/x.json: rule: ")


def nested(depth: int) -> Any:
    rule: Any = {"var": "x"}
    for _ in range(depth - 1):
        rule = {"!": rule}
    return rule


def test_a_rule_as_deep_as_allowed_works_and_a_deeper_one_is_refused() -> None:
    assert compile_rule(nested(DEEPEST), where="test").evaluate(table_of({"x": 1})).tolist() == [False]
    for depth in (DEEPEST + 1, 100_000):
        with pytest.raises(RuleError, match="nested deeper than 64 levels"):
            compile_rule(nested(depth), where="test")


def test_a_rule_that_is_too_long_is_refused() -> None:
    with pytest.raises(RuleError, match="more than the 100000 allowed"):
        compile_rule({"in": [{"var": "x"}, ["y" * LONGEST]]}, where="test")


@pytest.mark.parametrize(
    ("name", "facts"), [(r"kpi\.x", {"kpi.x"}), ("kpi.x", {"kpi", "kpi.x"}), (r"a\.b.c", {"a.b", "a.b.c"})]
)
def test_a_dot_behind_a_backslash_belongs_to_the_name(name: str, facts: set[str]) -> None:
    rule = compile_rule({"==": [{"var": name}, 1]}, where="test")
    row = {"kpi.x": 1, "kpi": {"x": 1}, "a.b": {"c": 1}}
    assert rule.facts == facts
    assert rule.holds(row)
    assert rule.evaluate(FeatureTable.from_rows(["ann"], list(row), [list(row.values())])).tolist() == [True]
