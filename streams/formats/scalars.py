"""Ids and times as producers write them: text, integers, times since 1970. Pure.

Only what has one meaning is read. A time without a zone is UTC, as everywhere in Holdfast. A number is a time when it
lies in the years 2000 to 2099 in one unit of seconds, milliseconds, microseconds or nanoseconds; these ranges do not
overlap.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S, _LAST_S = 946_684_800, 4_102_444_800
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
_WRITE = "write RFC 3339, as 2026-01-31T12:00:00Z"


class ScalarError(Exception):
    """A value is no id or no time; the message names what was found and what to write."""


def read_id(value: object) -> str:
    """Return an id as text: text as it is, an integer in decimal.

    Raises:
        ScalarError: it is something else.
    """
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ScalarError(f"is {_show(value)}; it must be text or an integer")


def read_time(value: object) -> datetime:
    """Return a time: ISO 8601 text, or a number since 1970 whose unit is certain, also as text; a time as it is.

    Raises:
        ScalarError: it is neither.
    """
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, str):
        text = value.strip()
        number = _find_number(text)
        return _read_text(value, text) if number is None else _read_number(value, number)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _read_number(value, value)
    raise ScalarError(f"is {_show(value)}; {_WRITE}")


def _read_text(value: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ScalarError(f"is {_show(value)}; {_WRITE}") from None


def _read_number(value: object, number: float) -> datetime:
    for unit in _UNITS:
        if _FIRST_S * unit <= number < _LAST_S * unit:
            # Integers stay integers: a float has too few digits for nanoseconds.
            microseconds = number * 1_000_000 // unit if isinstance(number, int) else round(number * 1_000_000 / unit)
            return _EPOCH + timedelta(microseconds=microseconds)
    problem = "which is no time of the years 2000 to 2099 in seconds, milliseconds, microseconds or nanoseconds"
    raise ScalarError(f"is {_show(value)}, {problem}; {_WRITE}")


def _find_number(text: str) -> float | None:
    # Not float() alone, which reads "nan", "1_0" and "infinity", too.
    if not text.isascii() or not text.replace(".", "", 1).isdecimal():
        return None
    return int(text) if text.isdecimal() else float(text)


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"  # noqa: PLR2004 - the length of a line
