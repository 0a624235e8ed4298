"""JSONLogic's operators on single JSON values, with the coercions of JavaScript.

JSONLogic (https://jsonlogic.com) is defined by its JavaScript implementation, which applies the
language's own operators. The coercion rules are ECMAScript's: IsLooselyEqual, IsStrictlyEqual,
IsLessThan, ToNumber, ToString and ToPrimitive (https://tc39.es/ecma262/, chapter 7). A value here is
None, bool, float, str, list or dict; NaN is JavaScript's NaN, never null.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from segments.moments import days_since, is_after, is_before, is_within_last

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# ECMAScript's WhiteSpace and LineTerminator; str.strip() without arguments removes others.
_SPACE = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
_DECIMAL = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")

# Number::toString writes digits without an exponent between these two.
_PLAIN_FROM, _PLAIN_BELOW = 1e-6, 1e21


_AS_THEY_ARE = frozenset({bool, str, float, type(None)})


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator that takes between `least` and `most` evaluated arguments (`most` None: any number)."""

    apply: Callable[..., Any]
    least: int
    most: int | None


def normal(value: Any) -> Any:
    """Return a JSON value with every number as float, as JavaScript has them."""
    # The usual types come first, and those of members before the call for each: a batch has many members.
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is int:
        return _float(value)
    if kind is list:
        return [each if type(each) in _AS_THEY_ARE else normal(each) for each in value]
    if kind is dict:
        return _normal_object(value)
    return _normal_of_others(value)


def _normal_object(value: dict[str, Any]) -> dict[str, Any]:
    if _AS_THEY_ARE.issuperset(map(type, value.values())):
        return value
    # A copy and the few members that change take half the time of a new object.
    changed = value.copy()
    for key, each in value.items():
        if type(each) not in _AS_THEY_ARE:
            changed[key] = _float(each) if type(each) is int else normal(each)
    return changed


def _normal_of_others(value: Any) -> Any:
    match value:
        case int() | float():
            return _float(value)
        case list() | tuple():
            return normal(list(value))
        case dict():
            return normal(dict(value))
        case _:
            return str(value)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def truthy(value: Any) -> bool:
    """Return whether a value is true in JSONLogic: 0, NaN, "", null and [] are false, {} is true."""
    if isinstance(value, dict):
        return True
    return bool(value) and value == value  # noqa: PLR0124 - only NaN differs from itself


def to_number(value: Any) -> float:
    """Return ToNumber of a value: null is 0, a value that is not a number is NaN."""
    value = _primitive(value)
    if isinstance(value, str):
        return _number_in(value)
    return 0.0 if value is None else float(value)


def _number_in(text: str) -> float:
    text = text.strip(_SPACE)
    if not text:
        return 0.0
    if _RADIX.fullmatch(text):
        return _float(int(text, 0))
    return float(text) if _DECIMAL.fullmatch(text) else math.nan


def parse_float(value: Any) -> float:
    """Return parseFloat of a value: the number at the start of its text, or NaN."""
    if isinstance(value, float):
        return value
    found = _DECIMAL.match(to_string(value).lstrip(_SPACE))
    return float(found.group()) if found else math.nan


def to_string(value: Any) -> str:
    """Return ToString of a value."""
    value = _primitive(value)
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _digits(value)
    return "null" if value is None else str(value).lower()


def _digits(number: float) -> str:
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if number == 0 or _PLAIN_FROM <= abs(number) < _PLAIN_BELOW:
        text = format(Decimal(repr(number)), "f")
        return "0" if number == 0 else text.removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


def _primitive(value: Any) -> Any:
    if isinstance(value, list):
        return ",".join("" if each is None else to_string(each) for each in value)
    return "[object Object]" if isinstance(value, dict) else value


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool | str):
        return type(value).__name__
    return "object" if isinstance(value, list | dict) else "number"


def strictly_equal(left: Any, right: Any) -> bool:
    """Compare as `===` does: same type and value; arrays are equal only to themselves."""
    kind = _kind(left)
    if kind != _kind(right):
        return False
    return left is right if kind == "object" else bool(left == right)


def loosely_equal(left: Any, right: Any) -> bool:
    """Compare as `==` does: null equals only null; values of different types are compared as numbers."""
    kinds = {_kind(left), _kind(right)}
    if len(kinds) == 1:
        return strictly_equal(left, right)
    if "NoneType" in kinds:
        return False
    if "object" in kinds and "bool" not in kinds:
        return loosely_equal(_primitive(left), _primitive(right))
    return to_number(left) == to_number(right)


def less(left: Any, right: Any) -> bool:
    """Compare as `<` does: two strings by their UTF-16 code units, anything else as numbers, NaN never."""
    left, right = _primitive(left), _primitive(right)
    if isinstance(left, str) and isinstance(right, str):
        return _code_units(left) < _code_units(right)
    return to_number(left) < to_number(right)


def less_or_equal(left: Any, right: Any) -> bool:
    """Compare as `<=` does."""
    left, right = _primitive(left), _primitive(right)
    if isinstance(left, str) and isinstance(right, str):
        return _code_units(left) <= _code_units(right)
    return to_number(left) <= to_number(right)


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def contains(needle: Any, haystack: Any) -> bool:
    """Return whether a string has a substring, or an array an equal member by `===` (never NaN)."""
    if isinstance(haystack, str):
        return haystack != "" and to_string(needle) in haystack
    # What is equal by `===` is equal in Python; most arrays lack the needle, and Python finds that sooner.
    return isinstance(haystack, list) and needle in haystack and any(strictly_equal(needle, each) for each in haystack)


def _between(compare: Callable[[Any, Any], bool], values: tuple[Any, ...]) -> bool:
    return all(compare(left, right) for left, right in pairwise(values))


def _total(*values: Any) -> float:
    return reduce(lambda total, value: total + parse_float(value), values, 0.0)


def _product(*values: Any) -> Any:
    return values[0] if len(values) == 1 else reduce(lambda made, value: made * parse_float(value), values, 1.0)


def _difference(first: Any, *rest: Any) -> float:
    return to_number(first) - to_number(rest[0]) if rest else -to_number(first)


def divide(left: Any, right: Any) -> float:
    """Divide as `/` does: by zero gives an infinity, and zero by zero NaN."""
    dividend, divisor = to_number(left), to_number(right)
    if divisor:
        return dividend / divisor
    if not dividend or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def _remainder(left: Any, right: Any) -> float:
    dividend, divisor = to_number(left), to_number(right)
    return math.fmod(dividend, divisor) if divisor and math.isfinite(dividend) else math.nan


def _least(*values: Any) -> float:
    numbers = [to_number(value) for value in values]
    return math.nan if any(map(math.isnan, numbers)) else min(numbers)


def _greatest(*values: Any) -> float:
    numbers = [to_number(value) for value in values]
    return math.nan if any(map(math.isnan, numbers)) else max(numbers)


def join_texts(*values: Any) -> str:
    """Join values as `cat` does: null is empty, an array its members with commas."""
    return "".join("" if value is None else to_string(value) for value in values)


def cut_text(value: Any, start: Any = None, length: Any = math.inf) -> str:
    """Return a part of a text as `substr` does: a negative start, or length, counts from the end.

    Characters are counted, where JavaScript counts UTF-16 code units: half of an emoji is not text.
    """
    text, begin, count = to_string(value), _whole(start), _whole(length)
    rest = text[int(max(len(text) + begin, 0) if begin < 0 else min(begin, len(text))) :]
    return rest[: int(max(len(rest) + count, 0) if count < 0 else min(count, len(rest)))]


def _whole(value: Any) -> float:
    number = to_number(value)
    return number if math.isinf(number) else 0.0 if math.isnan(number) else float(math.trunc(number))


def merge(*values: Any) -> list[Any]:
    """Return one array of all members of arrays and all other values."""
    return [each for value in values for each in (value if isinstance(value, list) else [value])]


def lies_between(value: Any, low: Any, high: Any) -> bool:
    """Return whether a value lies between two others, or equals one of them by `<=`; null never does."""
    return None not in (value, low, high) and _between(less_or_equal, (low, value, high))


def starts_with(text: Any, prefix: Any) -> bool:
    """Return whether a text or number begins with another; null and arrays never do."""
    return _are_texts(text, prefix) and to_string(text).startswith(to_string(prefix))


def ends_with(text: Any, suffix: Any) -> bool:
    """Return whether a text or number ends with another; null and arrays never do."""
    return _are_texts(text, suffix) and to_string(text).endswith(to_string(suffix))


def _are_texts(*values: Any) -> bool:
    return all(isinstance(value, str | float) for value in values)


OPERATORS: Mapping[str, Operator] = {
    "==": Operator(loosely_equal, 2, 2),
    "===": Operator(strictly_equal, 2, 2),
    "!=": Operator(lambda left, right: not loosely_equal(left, right), 2, 2),
    "!==": Operator(lambda left, right: not strictly_equal(left, right), 2, 2),
    "<": Operator(lambda *values: _between(less, values), 2, 3),
    "<=": Operator(lambda *values: _between(less_or_equal, values), 2, 3),
    ">": Operator(lambda left, right: less(right, left), 2, 2),
    ">=": Operator(lambda left, right: less_or_equal(right, left), 2, 2),
    "!": Operator(lambda value: not truthy(value), 1, 1),
    "!!": Operator(truthy, 1, 1),
    "in": Operator(contains, 2, 2),
    "+": Operator(_total, 1, None),
    "*": Operator(_product, 1, None),
    "-": Operator(_difference, 1, 2),
    "/": Operator(divide, 2, 2),
    "%": Operator(_remainder, 2, 2),
    "min": Operator(_least, 1, None),
    "max": Operator(_greatest, 1, None),
    "cat": Operator(join_texts, 0, None),
    "substr": Operator(cut_text, 2, 3),
    "merge": Operator(merge, 0, None),
    "log": Operator(lambda value: value, 1, 1),
    "between": Operator(lies_between, 3, 3),
    "startsWith": Operator(starts_with, 2, 2),
    "endsWith": Operator(ends_with, 2, 2),
    "time.days_since": Operator(days_since, 1, 1),
    "time.within_last": Operator(lambda value, days, now: is_within_last(value, parse_float(days), now), 2, 2),
    "time.before": Operator(is_before, 2, 2),
    "time.after": Operator(is_after, 2, 2),
}
"""Operators by name, without those that evaluate their arguments themselves, as `and`, or read the data, as `var`.

`log` writes nothing: it returns its argument. `between`, `startsWith` and `endsWith` are not of JSONLogic itself;
visual builders of rules write them. The operators of `time.` are Holdfast's, see segments/moments.py; their numbers of
arguments do not count the time of the event.
"""
