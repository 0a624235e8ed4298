"""The operators of `time.` on single values.

A time is ISO 8601 text; one without a zone is UTC, a date is its first moment, see features/times.py. Times are
compared as moments, whatever their zones and precisions. What is no time is as null: it has no age, and is neither
before nor after anything. An age is measured from the time of the event that the customer is decided for, never from a
clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from features.times import parse_time

AGES = frozenset({"time.days_since", "time.within_last"})
"""The operators that take the time of the event, after the arguments that a rule writes."""
DAY = 86_400_000_000.0
"""Microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def read_moment(value: Any) -> int | None:
    """Return a time in microseconds since 1970, or None for what is no time."""
    moment = parse_time(value)
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def days_since(value: Any, event_time: Any) -> float | None:
    """Return how many days before the event a time was, with a fraction; negative where it was later."""
    moment, now = read_moment(value), read_moment(event_time)
    return None if moment is None or now is None else float(now - moment) / DAY


def is_within_last(value: Any, days: float, event_time: Any) -> bool:
    """Return whether a time was at most so many days before the event, and not after it."""
    age = days_since(value, event_time)
    return age is not None and 0 <= age <= days


def is_before(left: Any, right: Any) -> bool:
    """Return whether a time is earlier than another."""
    first, second = read_moment(left), read_moment(right)
    return first is not None and second is not None and first < second


def is_after(left: Any, right: Any) -> bool:
    """Return whether a time is later than another."""
    return is_before(right, left)
