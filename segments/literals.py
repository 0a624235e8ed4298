"""Literals in a rule that are always a mistake, whatever the facts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from features.table import EXACT_BELOW
from segments.moments import AGES, read_moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EQUALITIES = frozenset({"==", "===", "!=", "!==", "in"})
_ORDERINGS = frozenset({"<", "<=", ">", ">=", "between"})
_TIMESTAMP = re.compile(r"\s*\d{4}-?\d\d-?\d\d[T ]\d\d.*", re.DOTALL)


class Problem(NamedTuple):
    """What is wrong, with which value, and what to write instead."""

    problem: str
    value: Any
    hint: str


def find_problem(operator: str, values: Any) -> Problem | None:
    """Return the first literal that an operator cannot have as an argument, or None.

    Args:
        operator: its name.
        values: its arguments as parsed from JSON.
    """
    args = values if isinstance(values, list) else [values]
    if operator in _EQUALITIES:
        return next(map(_inexact, filter(_is_inexact, _members(args))), None)
    if operator in _ORDERINGS:
        return next((_text_order(each) for each in args if _is_timestamp(each)), None)
    if operator.startswith("time."):
        return _untimely(operator, args)
    return None


def _members(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _members(each)
    else:
        yield value


def _is_inexact(value: Any) -> bool:
    """Return whether a whole number is one that no fact can have: facts are doubles, exact below 2^53."""
    return isinstance(value, int) and abs(value) >= EXACT_BELOW


def _inexact(value: Any) -> Problem:
    hint = f'let the view return the column as text, and write "{value}" in quotes'
    return Problem("numbers from 2^53 are not compared exactly", value, hint)


def _is_timestamp(value: Any) -> bool:
    """Return whether a text is a time of day on a date: in another zone, such texts have another order than moments."""
    return isinstance(value, str) and bool(_TIMESTAMP.fullmatch(value)) and read_moment(value) is not None


def _text_order(value: str) -> Problem:
    hint = "write time.before or time.after, which know zones and precisions"
    return Problem("times are not compared as texts", value, hint)


def _untimely(operator: str, args: Sequence[Any]) -> Problem | None:
    times = 1 if operator in AGES else len(args)
    for value in args[:times]:
        if not isinstance(value, dict) and read_moment(value) is None:
            hint = 'write a fact, or ISO 8601 as "2011-06-01" or "2011-06-01T12:00:00+02:00"'
            return Problem(f"{operator!r} takes times, and this is none", value, hint)
    for value in args[times:]:
        if not (isinstance(value, dict) or (_is_number(value) and value >= 0)):
            return Problem(f"{operator!r} takes a number of days, 0 or more", value, "write one without quotes")
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
