"""Rules over columns against rules over single rows, and against another implementation of JSONLogic."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st
from json_logic import jsonLogic

from features.table import FeatureTable
from features.times import EVENT_TIME
from segments.errors import RuleError
from segments.jsonlogic import Rule, compile_expression, compile_rule
from segments.vectorized import Facts, to_cells
from tests.examples import examples

SETTINGS = examples(400)

WORDS = ["", "0", "1", "-2.5", " 3 ", "0x10", "1e3", "Infinity", "abc", "b", "\u00e9", "\U0001f600", "\uff5e"]
MOMENTS = ["2011-06-01", "2011-06-01T02:00:00+02:00", "2011-05-31T23:59:59.999999Z", "0001-01-01", "9999-12-31T23:59"]
TEXTS = st.sampled_from([*WORDS, *MOMENTS])
NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, 16.0, 1e21, 1e-7])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
OBJECTS = st.dictionaries(st.sampled_from(["k", "a", "c", "c.0"]), SCALARS, max_size=2)
JSON = st.one_of(SCALARS, OBJECTS, st.lists(st.one_of(SCALARS, OBJECTS, st.lists(SCALARS, max_size=2)), max_size=3))
NAMES = ["a", "b", "c.k", "c.0", "unknown"]
INNER_NAMES = ["", "k", "a", "0", "c.0", "current", "current.c.0", "accumulator", "accumulator.k"]


def operation(name: str, least: int, most: int, parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(parts, min_size=least, max_size=most).map(lambda args: {name: args})


def variable(names: list[str]) -> st.SearchStrategy[Any]:
    return st.sampled_from(names).map(lambda name: {"var": name})


LITERALS = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
INNER_RULES = st.recursive(
    st.one_of(LITERALS, variable(INNER_NAMES)),
    lambda parts: st.one_of(
        *(operation(name, 2, 2, parts) for name in ("==", ">", "+", "in", "merge", "cat", "and", "filter")),
        *(operation(name, 1, 1, parts) for name in ("!", "missing", "var", "time.days_since")),
    ),
    max_leaves=4,
)
TIMES = st.one_of(st.just("2011-06-01T00:00:00+14:00"), variable(NAMES))


def compound(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        *(operation(name, 2, 2, parts) for name in ("==", "!=", "===", "!==", ">", ">=", "in", "/", "%")),
        *(operation(name, 2, 2, parts) for name in ("startsWith", "endsWith", "missing_some")),
        *(operation(name, 2, 2, TIMES) for name in ("time.before", "time.after")),
        *(operation(name, 2, 3, parts) for name in ("<", "<=", "substr")),
        *(operation(name, 1, 3, parts) for name in ("and", "or", "if", "+", "*", "min", "max", "cat", "merge")),
        *(operation(name, 1, 1, parts) for name in ("!", "!!", "-", "log", "var", "missing")),
        *(
            st.tuples(parts, INNER_RULES).map(lambda pair, name=name: {name: list(pair)})
            for name in ("map", "filter", "all", "none", "some")
        ),
        st.tuples(parts, INNER_RULES, parts).map(lambda args: {"reduce": list(args)}),
        operation("between", 3, 3, parts),
        operation("time.days_since", 1, 1, TIMES),
        st.tuples(TIMES, variable(NAMES)).map(lambda pair: {"time.within_last": list(pair)}),
        st.tuples(st.sampled_from(NAMES), parts).map(lambda pair: {"var": list(pair)}),
        st.lists(parts, max_size=2),
    )


RULES = st.recursive(st.one_of(LITERALS, variable([*NAMES, ""])), compound, max_leaves=8)
COLUMNS = st.one_of(
    *(st.lists(cells, min_size=4, max_size=4) for cells in (NUMBERS, TEXTS, st.booleans(), SCALARS, JSON))
)


def table(a: list[Any], b: list[Any], c: list[Any]) -> FeatureTable:
    return FeatureTable.from_rows(["1", "2", "3", "4"], ["a", "b", "c"], list(zip(a, b, c, strict=True)))


def compiled_if_it_means_anything(rule: Any) -> Rule:
    """Skip the rules with a literal that is always a mistake, as a name that is true, or a time that is none."""
    try:
        return compile_expression(rule, where="property")
    except RuleError:
        reject()


@examples(1_500)
@given(RULES, COLUMNS, COLUMNS, COLUMNS, st.lists(TEXTS, min_size=4, max_size=4))
def test_a_column_has_the_values_and_answers_of_each_of_its_rows(
    rule: Any, a: list[Any], b: list[Any], c: list[Any], times: list[str]
) -> None:
    compiled = compiled_if_it_means_anything(rule)
    facts = table(a, b, c).with_columns({EVENT_TIME: np.array(times, dtype=object)})
    rows = [{"a": a[n], "b": b[n], "c": c[n], EVENT_TIME: times[n]} for n in range(4)]
    assert repr(list(compiled.values(facts))) == repr([compiled.value(row) for row in rows])
    assert compiled.evaluate(facts).tolist() == [compiled.holds(row) for row in rows]


ARRAYS = st.one_of(
    *(st.lists(st.lists(each, max_size=4), min_size=4, max_size=4) for each in (NUMBERS, TEXTS, OBJECTS, JSON)),
    st.lists(st.one_of(st.none(), TEXTS, st.lists(SCALARS, max_size=3)), min_size=4, max_size=4),
)
CURRENT, ACCUMULATOR = variable(["current", "current.k", "current.0"]), variable(["accumulator"])
STEPS = st.one_of(
    *(
        st.permutations(pair).map(lambda args, name=name: {name: list(args)})
        for name in ("+", "-", "max", "cat", "merge")
        for current in ("current", "current.k", "current.c.0")
        for pair in ([{"var": "accumulator"}, {"var": current}],)
    ),
    st.tuples(CURRENT, ACCUMULATOR, CURRENT).map(lambda args: {"if": list(args)}),
    INNER_RULES,
)
ARRAY_RULES = st.one_of(
    st.tuples(STEPS, LITERALS).map(lambda pair: {"reduce": [{"var": "a"}, *pair]}),
    SCALARS.map(lambda needle: {"in": [needle, {"var": "a"}]}),
    st.tuples(SCALARS, INNER_RULES).map(lambda pair: {"in": [pair[0], {"map": [{"var": "a"}, pair[1]]}]}),
    st.tuples(st.sampled_from(["map", "filter", "all", "none", "some"]), INNER_RULES).map(
        lambda pair: {pair[0]: [{"var": "a"}, pair[1]]}
    ),
)


@SETTINGS
@given(st.lists(ARRAY_RULES, min_size=2, max_size=2), ARRAYS)
def test_arrays_of_a_batch_give_each_row_what_it_gives_alone(rules: list[Any], a: list[Any]) -> None:
    facts = Facts(table(a, a, a))
    for rule in rules:
        compiled = compiled_if_it_means_anything(rule)
        values = to_cells(compiled.program.column(facts), facts.count)
        assert repr(list(values)) == repr([compiled.value({"a": each}) for each in a])
        assert compiled.mask(facts).tolist() == [compiled.holds({"a": each}) for each in a]


@SETTINGS
@given(RULES, JSON, JSON, JSON)
def test_a_rule_reads_the_facts_that_it_names_and_no_others(rule: Any, a: Any, b: Any, c: Any) -> None:
    compiled = compiled_if_it_means_anything(rule)
    row = {"a": a, "b": b, "c": c}
    if not compiled.reads_everything:
        only = {name: value for name, value in row.items() if name in compiled.facts}
        alone = FeatureTable.from_rows(["1"], list(only), [list(only.values())])
        assert repr(compiled.value(row)) == repr(compiled.value(only))
        assert compiled.evaluate(alone).tolist() == [compiled.holds(row)]


# json-logic-qubit departs from JavaScript in these ways, and the property keeps clear of them:
# null: `null < 1` and `null >= 0` are false there, so facts and literals compared for order are never null;
# texts against numbers: "" and "abc" raise there, and "1" == 1.0 is false, so both sides are of one type;
# truth: {} is false there, so there are no objects;
# in: true is found in [1] there, so `in` is asked for texts and numbers alone.
PLAIN_NUMBERS = st.integers(-3, 3).map(float)
PLAIN_TEXTS = st.sampled_from(["", "a", "ab", "b", "\u00e9"])
NUMERIC = st.one_of(PLAIN_NUMBERS, st.sampled_from([{"var": "a"}, {"var": "b"}]))
TEXTUAL = st.one_of(PLAIN_TEXTS, st.just({"var": "c"}))
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=", "===", "!==")
PLAIN_LEAVES = st.one_of(
    *(operation(name, 2, 2, side) for name in COMPARISONS for side in (NUMERIC, TEXTUAL)),
    *(operation(name, 3, 3, NUMERIC) for name in ("<", "<=")),
    st.tuples(NUMERIC, st.lists(PLAIN_NUMBERS)).map(lambda pair: {"in": list(pair)}),
    st.tuples(TEXTUAL, st.lists(PLAIN_TEXTS)).map(lambda pair: {"in": list(pair)}),
    st.tuples(st.sampled_from(["a", "b", "c"]), st.none()).map(lambda pair: {"==": [{"var": pair[0]}, pair[1]]}),
    st.sampled_from([{"var": "a"}, {"var": "c"}, {"var": "unknown"}, {"var": ["unknown", 1]}]),
)
PLAIN_RULES = st.recursive(
    PLAIN_LEAVES,
    lambda parts: st.one_of(
        *(operation(name, 1, 4, parts) for name in ("and", "or", "if")),
        *(operation(name, 1, 1, parts) for name in ("!", "!!")),
    ),
    max_leaves=10,
)


@SETTINGS
@given(
    PLAIN_RULES,
    *(st.lists(cells, min_size=4, max_size=4) for cells in (PLAIN_NUMBERS, PLAIN_NUMBERS, PLAIN_TEXTS)),
)
def test_a_column_answers_as_json_logic_qubit_where_that_follows_javascript(
    rule: Any, a: list[float], b: list[float], c: list[str]
) -> None:
    mask = compile_rule(rule, where="property").evaluate(table(a, b, c))
    assert mask.tolist() == [bool(jsonLogic(rule, {"a": a[n], "b": b[n], "c": c[n]})) for n in range(4)]
