"""ISO weeks in UTC: their names, and their Mondays."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from intelligence.errors import WeekError

_NAME = re.compile(r"(\d{4})-W(\d{2})")
_DAYS = 7


def read_week(text: str) -> date:
    """Return the Monday of an ISO week, as in 2011-W24.

    Raises:
        WeekError: it is no week.
    """
    found = _NAME.fullmatch(text.strip().upper())
    try:
        if found:
            return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    except ValueError:
        pass
    raise WeekError(f"{text!r} is no ISO week; write it like 2011-W24")


def write_week(monday: date) -> str:
    """Return the name of the ISO week that begins on this day."""
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"


def last_complete_week(now: datetime) -> date:
    """Return the Monday of the last ISO week that has ended, in UTC."""
    today = now.astimezone(UTC).date()
    return today - timedelta(days=today.weekday() + _DAYS)


def week_begins(monday: date) -> datetime:
    """Return the first moment of a week."""
    return datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
