"""Rules over columns against rules over single rows, and against another implementation of JSONLogic."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from json_logic import jsonLogic

from features.table import FeatureTable
from segments.jsonlogic import compile_rule

SETTINGS = settings(derandomize=True, deadline=None, max_examples=400)

TEXTS = st.sampled_from(
    ["", "0", "1", "-2.5", " 3 ", "0x10", "1e3", "Infinity", "abc", "b", "\u00e9", "\U0001f600", "\uff5e"]
)
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.5, 16.0, 1e21, 1e-7])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JSON = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just({}), st.dictionaries(st.just("k"), SCALARS))
NAMES = ["a", "b", "c.k", "c.0", "unknown"]


def operation(name: str, least: int, most: int, parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(parts, min_size=least, max_size=most).map(lambda args: {name: args})


def compound(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        *(operation(name, 2, 2, parts) for name in ("==", "!=", "===", "!==", ">", ">=", "in", "/", "%")),
        *(operation(name, 2, 3, parts) for name in ("<", "<=")),
        *(operation(name, 1, 3, parts) for name in ("and", "or", "if", "+", "*", "min", "max")),
        *(operation(name, 1, 1, parts) for name in ("!", "!!", "-")),
        st.tuples(st.sampled_from(NAMES), parts).map(lambda pair: {"var": list(pair)}),
        st.lists(parts, max_size=2),
    )


LITERALS = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
RULES = st.recursive(
    st.one_of(LITERALS, st.sampled_from(NAMES).map(lambda name: {"var": name})), compound, max_leaves=8
)
COLUMNS = st.one_of(
    *(st.lists(cells, min_size=4, max_size=4) for cells in (NUMBERS, TEXTS, st.booleans(), SCALARS, JSON))
)


def table(a: list[Any], b: list[Any], c: list[Any]) -> FeatureTable:
    return FeatureTable.from_rows(["1", "2", "3", "4"], ["a", "b", "c"], list(zip(a, b, c, strict=True)))


@SETTINGS
@given(RULES, COLUMNS, COLUMNS, COLUMNS)
def test_a_column_answers_as_each_of_its_rows(rule: Any, a: list[Any], b: list[Any], c: list[Any]) -> None:
    compiled, facts = compile_rule(rule, where="property"), table(a, b, c)
    rows = [{"a": a[n], "b": b[n], "c": c[n]} for n in range(4)]
    assert compiled.evaluate(facts).tolist() == [compiled.holds(row) for row in rows]


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
