"""Rules over columns against other implementations of JSONLogic, where they too give what JavaScript gives.

datalogic-py is written in Rust, json-logic-qubit in Python.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from datalogic_py import DataLogicError, Engine
from hypothesis import assume, given
from hypothesis import strategies as st
from json_logic import jsonLogic

from features.table import FeatureTable
from segments.jsonlogic import compile_expression
from segments.operators import normal
from tests.examples import examples

SETTINGS = examples(800)
ENGINE = Engine()
FAILS = object()

# Where datalogic-py departs from the JavaScript implementation: the rule, its data, and the value there. The property
# below keeps clear of these by the types of what it puts together.
DEPARTURES = {
    "what is no number is an error in + and -": ({"+": ["abc", 1]}, {}, FAILS),
    "what is no number is an error in < and >": ({"<": ["abc", 5]}, {}, FAILS),
    "what is no number is an error in ==": ({"==": ["abc", 1]}, {}, FAILS),
    "division by zero is an error": ({"/": [1, 0]}, {}, FAILS),
    "min and max take numbers alone": ({"max": ["1", 2]}, {}, FAILS),
    "null equals 0": ({"==": [None, 0]}, {}, True),
    "null is 0 in + and not NaN": ({"+": [None, 1]}, {}, 1),
    "an empty object is false": ({"!!": {"var": "x"}}, {"x": {}}, False),
    "arrays are equal by their members": ({"==": [{"var": "x"}, [1]]}, {"x": [1]}, True),
    "merge leaves null out": ({"merge": [None, 1]}, {}, [1]),
    "members of an array are joined without commas": ({"cat": [[1, 2]]}, {}, "12"),
    "null is not missing": ({"missing": ["x"]}, {"x": None}, []),
    "an empty text is not missing": ({"missing": ["x"]}, {"x": ""}, []),
    "an exponent is written out": ({"cat": [1e-7]}, {}, "0.0000001"),
}


def as_json(value: Any) -> str:
    """Return JSON in which 1 is 1.0, 0 is -0 and neither is true or false."""
    return json.dumps(_unsigned(normal(value)), sort_keys=True)


def _unsigned(value: Any) -> Any:
    if isinstance(value, list):
        return [_unsigned(each) for each in value]
    return value + 0.0 if isinstance(value, float) else value


@pytest.mark.parametrize(("rule", "data", "theirs"), DEPARTURES.values(), ids=DEPARTURES)
def test_a_known_departure_is_still_one(rule: Any, data: Any, theirs: Any) -> None:
    ours = compile_expression(rule, where="test").value(data)
    try:
        assert as_json(ENGINE.eval(rule, data)) == as_json(theirs) != as_json(ours)
    except DataLogicError:
        assert theirs is FAILS


def operation(name: str, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*parts).map(lambda args: {name: list(args)})


def variable(*names: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(names).map(lambda name: {"var": name})


def reduction(lists: st.SearchStrategy[Any], numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    step = st.sampled_from(["+", "*", "-", "max", "min"]).map(
        lambda name: {name: [{"var": "accumulator"}, {"var": "current"}]}
    )
    return operation("reduce", lists, step, numbers)


WHOLE = st.integers(-3, 3)
WORDS = st.sampled_from(["", "a", "ab", "b", "Zoë", "snow"])
NAMES = st.lists(st.sampled_from(["a", "b", "texts", "o.k", "o.absent", "absent"]), min_size=1, max_size=4)
ELEMENT = st.one_of(WHOLE, st.just({"var": ""}))
TESTS = st.one_of(*(operation(name, ELEMENT, ELEMENT) for name in ("<", "<=", ">", ">=", "==", "!=", "===")))
ORDER = ("<", "<=", ">", ">=", "==", "!=", "===", "!==")
LISTS = st.deferred(
    lambda: st.one_of(
        variable("list", "nothing"),
        st.lists(WHOLE, min_size=1, max_size=3),
        operation("filter", LISTS, TESTS),
        operation("map", LISTS, st.one_of(*(operation(name, ELEMENT, ELEMENT) for name in ("+", "-", "*")))),
        operation("merge", st.lists(WHOLE, min_size=1, max_size=2), NUMBERS),
        operation("map", variable("orders"), variable("sum")),
    )
)
NUMBERS: st.SearchStrategy[Any] = st.deferred(
    lambda: st.one_of(
        WHOLE,
        variable("a", "b", "o.k"),
        *(operation(name, NUMBERS, NUMBERS) for name in ("+", "-", "*", "min", "max")),
        operation("%", NUMBERS, st.sampled_from([2, 3, -2])),
        operation("-", NUMBERS),
        operation("if", TRUTHS, NUMBERS, NUMBERS),
        reduction(variable("list"), NUMBERS),
    )
)
TEXTS: st.SearchStrategy[Any] = st.deferred(
    lambda: st.one_of(
        WORDS,
        variable("texts"),
        operation("cat", TEXTS, TEXTS),
        operation("cat", TEXTS, WHOLE),
        operation("substr", TEXTS, WHOLE),
        operation("substr", TEXTS, WHOLE, WHOLE),
        operation("?:", TRUTHS, TEXTS, TEXTS),
    )
)
TRUTHS: st.SearchStrategy[Any] = st.deferred(
    lambda: st.one_of(
        st.booleans(),
        *(operation(name, side, side) for name in ORDER for side in (NUMBERS, TEXTS)),
        *(operation(name, NUMBERS, NUMBERS, NUMBERS) for name in ("<", "<=")),
        operation("in", NUMBERS, LISTS),
        operation("in", WORDS, st.lists(WORDS)),
        *(operation(name, LISTS, TESTS) for name in ("all", "none", "some")),
        operation("some", variable("orders"), operation(">", variable("sum"), WHOLE)),
        *(operation(name, part) for name in ("!", "!!") for part in (NUMBERS, TEXTS, LISTS, MISSING)),
        *(operation(name, TRUTHS, TRUTHS) for name in ("and", "or")),
    )
)
MISSING = st.one_of(
    NAMES.map(lambda names: {"missing": names}),
    st.tuples(st.integers(0, 4), NAMES).map(lambda args: {"missing_some": list(args)}),
)
RULES = st.one_of(TRUTHS, NUMBERS, TEXTS, LISTS, MISSING)
FACTS = ("a", "b", "texts", "list", "orders", "nothing", "o")
ORDERS = st.lists(st.fixed_dictionaries({"sum": WHOLE}), max_size=3)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "a": WHOLE,
            "b": WHOLE,
            "texts": WORDS.filter(bool),
            "list": st.lists(WHOLE, max_size=3),
            "orders": ORDERS,
            "nothing": st.none(),
            "o": st.fixed_dictionaries({"k": WHOLE}),
        }
    ),
    min_size=3,
    max_size=3,
)


def table_of(rows: list[dict[str, Any]]) -> FeatureTable:
    return FeatureTable.from_rows(["1", "2", "3"], FACTS, [[row[name] for name in FACTS] for row in rows])


@SETTINGS
@given(RULES, ROWS)
def test_a_column_has_the_values_of_datalogic(rule: Any, rows: list[dict[str, Any]]) -> None:
    theirs = ENGINE.compile(json.dumps(rule))
    values = compile_expression(rule, where="property").values(table_of(rows))
    assert [as_json(value) for value in values] == [as_json(theirs.evaluate(row)) for row in rows]


# json-logic-qubit takes the remainder as Python does, with the sign of the divisor, does not compute the initial value
# of a `reduce`, and reads an element that is false, as 0, as an empty object.
DEPARTURES_OF_QUBIT = ('{"%": ', '{"reduce": ', '{"var": ""}')


@SETTINGS
@given(RULES, ROWS)
def test_a_column_has_the_values_of_json_logic_qubit(rule: Any, rows: list[dict[str, Any]]) -> None:
    assume(not any(each in json.dumps(rule) for each in DEPARTURES_OF_QUBIT))
    values = compile_expression(rule, where="property").values(table_of(rows))
    assert [as_json(value) for value in values] == [as_json(jsonLogic(rule, row)) for row in rows]
