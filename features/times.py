"""Times in the warehouse: one rule for every place that reads one.

A time without a zone is UTC; the zone of the host, the session or the worker has no effect. A value that is not a time
is null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from features.table import FeatureTable, column, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from features.table import Column

CUSTOMER_SINCE = "customer_since"
STALE = "stale"
"""The fact that is true for a customer whose row stayed older than the event that announced it."""
EVENT_TIME = "event_time"
"""The fact that is the time of the event that a customer is decided for, as ISO 8601 text in UTC."""
TIME_COLUMNS = (CUSTOMER_SINCE,)
"""The columns of the view that must hold times, of any type."""


def parse_time(cell: object) -> datetime | None:
    """Return an ISO 8601 date or time as an aware datetime in UTC, or None for anything else."""
    if not isinstance(cell, str):
        return None
    try:
        moment = datetime.fromisoformat(cell.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def event_times(times: Iterable[datetime]) -> Column:
    """Return the fact `event_time`, one row for each time."""
    return column([each.astimezone(UTC).isoformat() for each in times], "other")


def clear_unreadable_times(table: FeatureTable, names: Collection[str]) -> tuple[FeatureTable, Mapping[str, int]]:
    """Return the table with null for each value of the named columns that is no time, and their number by column.

    The columns always become objects, so that every batch has the same types.
    """
    columns, unreadable = {}, {}
    for name in names:
        cells = [plain(cell) for cell in table.columns[name]]
        times = [cell if parse_time(cell) else None for cell in cells]
        columns[name] = np.fromiter(times, dtype=object, count=len(times))
        if lost := times.count(None) - cells.count(None):
            unreadable[name] = lost
    return table.with_columns(columns), unreadable
