"""Conversation counts per UTC day, and the windows that are summed from them.

A window of N days at a moment is the UTC day of that moment and the N - 1 UTC days before it. A message counts on the
UTC day of its event time. Days are whole: a message leaves a window at midnight UTC, and a window of N days covers
between N - 1 and N times 24 hours.

Counts are kept for the `DAYS_KEPT` UTC days that end with the day of the customer's newest message. Which days these
are depends on the set of messages alone, and all sums are of integers, so any order and batching of the messages gives
the same counts. A message that is older than that on arrival is in no window, and none is asked for that would need it:
a window never ends before the newest message.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.table import Column

WINDOWS_DAYS = (7, 30, 90)
DAYS_KEPT = max(WINDOWS_DAYS)
SENTIMENT_UNITS = 10_000

NO_DAY = np.iinfo(np.int64).max

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = attrgetter("day")


class DayCounts(NamedTuple):
    """What one customer's messages of one UTC day add up to.

    Attributes:
        day: days since 1970-01-01.
        messages: messages of the customer and of agents.
        customer_messages: messages of the customer.
        cancellation_requests: messages of the customer that ask to cancel.
        sentiment: the sum over the customer's messages, each rounded to 1 / `SENTIMENT_UNITS`.
    """

    day: int
    messages: int
    customer_messages: int
    cancellation_requests: int
    sentiment: int


def day_number(moment: datetime) -> int:
    """Return the UTC day of a moment as days since 1970-01-01."""
    return (moment - _EPOCH).days


def add_counts(days: tuple[DayCounts, ...], new: DayCounts) -> tuple[DayCounts, ...]:
    """Add counts to those of their day, and drop the days that are no longer kept.

    Args:
        days: the counts kept, in order of their days.
        new: what to add.
    """
    newest = days[-1].day if days else new.day
    if not days or new.day > newest:
        return (*_since(days, new.day - DAYS_KEPT + 1), new)
    if new.day == newest:
        return (*days[:-1], _sum(days[-1], new))
    return _insert(days, new) if new.day > newest - DAYS_KEPT else days


def add_to_day(days: tuple[tuple[int, int], ...], day: int, count: int, *, newest: int) -> tuple[tuple[int, int], ...]:
    """Add to the number of a day, and drop the days that are no longer kept.

    Args:
        days: pairs of a day and a number, in order of the days.
        day: as days since 1970-01-01.
        count: what to add; 0 drops days only.
        newest: the day of the customer's newest message.
    """
    first = newest - DAYS_KEPT + 1
    counts = {each: number for each, number in days if each >= first}
    if count and day >= first:
        counts[day] = counts.get(day, 0) + count
    return tuple(sorted(counts.items()))


def _insert(days: tuple[DayCounts, ...], new: DayCounts) -> tuple[DayCounts, ...]:
    place = bisect_left(days, new.day, key=_DAY)
    if days[place].day == new.day:
        return (*days[:place], _sum(days[place], new), *days[place + 1 :])
    return (*days[:place], new, *days[place:])


def _since(days: tuple[DayCounts, ...], first: int) -> tuple[DayCounts, ...]:
    return days[bisect_left(days, first, key=_DAY) :] if days and days[0].day < first else days


def _sum(one: DayCounts, other: DayCounts) -> DayCounts:
    return DayCounts(
        one.day,
        one.messages + other.messages,
        one.customer_messages + other.customer_messages,
        one.cancellation_requests + other.cancellation_requests,
        one.sentiment + other.sentiment,
    )


def window_columns(
    days: Sequence[Sequence[DayCounts]], moments: Sequence[datetime], rows: Sequence[int], size: int
) -> dict[str, Column]:
    """Return the facts of every window.

    Args:
        days: the counts kept of each customer with messages.
        moments: the moment at which each customer's windows end; the customer's newest message if that is later.
        rows: the row of each customer.
        size: the number of rows; in the others no message is counted.

    Returns:
        Float columns of shape [size]: counts, 0 where no message is in the window, and the mean sentiment of the
        customer's messages, NaN where there is none.
    """
    # Flat, since numpy takes ten times as long to read a list of tuples.
    numbers = chain.from_iterable(chain.from_iterable(days))
    cells = np.fromiter(numbers, dtype=np.int64).reshape(-1, len(DayCounts._fields))
    lengths = list(map(len, days))
    ends = [max(day_number(moment), each[-1].day) if each else 0 for each, moment in zip(days, moments, strict=True)]
    age = np.repeat(np.array(ends, dtype=np.int64), lengths) - cells[:, 0]
    places = np.repeat(np.array(rows, dtype=np.intp), lengths)
    counts = cells[:, 1:].T.astype(np.float64)
    columns: dict[str, Column] = {}
    for window in WINDOWS_DAYS:
        inside = age < window
        owners = places[inside]
        messages, heard, cancellations, sentiment = (
            # Of no messages at all bincount returns integers.
            np.bincount(owners, weights=each[inside], minlength=size).astype(np.float64, copy=False)
            for each in counts
        )
        columns[f"message_count_{window}d"] = messages
        columns[f"customer_message_count_{window}d"] = heard
        columns[f"cancellation_requests_{window}d"] = cancellations
        with np.errstate(invalid="ignore"):
            columns[f"sentiment_score_{window}d"] = sentiment / SENTIMENT_UNITS / heard
    return columns


def next_window_days(
    days: Sequence[Sequence[DayCounts]], today: Sequence[int] | NDArray[np.int64], windows: Sequence[int]
) -> NDArray[np.int64]:
    """Return on which UTC day a count of each customer leaves a window next, as days since 1970-01-01.

    Args:
        days: the counts kept of each customer, at least one.
        today: the UTC day of the moment at which each customer's windows end; see `window_columns`.
        windows: the windows, in days.

    Returns:
        Shape [customers]; `NO_DAY` where no count is in any of the windows.
    """
    lengths = np.fromiter(map(len, days), dtype=np.int64)
    cells = np.fromiter(map(_DAY, chain.from_iterable(days)), dtype=np.int64)
    ends = np.maximum(np.asarray(today, dtype=np.int64), cells[np.cumsum(lengths) - 1])
    ages = np.repeat(ends, lengths) - cells
    left = np.full(len(cells), NO_DAY, dtype=np.int64)
    for window in windows:
        np.minimum(left, np.where(ages < window, cells + window, NO_DAY), out=left)
    return np.minimum.reduceat(left, np.cumsum(lengths) - lengths)
