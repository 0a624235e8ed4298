"""Rows that are older than the event that announced them: read again for a while, then marked.

A read replica of the warehouse may lag behind. The column of the row's last change is compared with the event's time;
a difference within the tolerance is none, since clocks differ and a row is written before its event. A row without a
readable time counts as new.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from features.table import FeatureTable, plain
from features.times import STALE, parse_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 0.8


class RowAge:
    """Waits until rows are as new as the events that announced them.

    Args:
        column: the view's column with the time of the row's last change.
        tolerance_s: how much older than its event a row may be.
        wait_s: how long rows are read again at most; the whole batch waits.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        column: str,
        *,
        tolerance_s: float,
        wait_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._column = column
        self._tolerance = timedelta(seconds=tolerance_s)
        self._wait_s = wait_s
        self._sleep = sleep

    async def await_newer(
        self,
        table: FeatureTable,
        changed_at: Mapping[str, datetime],
        fetch: Callable[[Sequence[str]], Awaitable[FeatureTable]],
    ) -> FeatureTable:
        """Return the table with newer rows where they came in time, and the fact `STALE`.

        Args:
            table: one row per customer.
            changed_at: the time of the latest update of each customer who has one in the batch.
            fetch: reads customers from the warehouse.
        """
        older, waited, pause = self._find_older(table, changed_at), 0.0, FIRST_PAUSE_S
        while older and waited < self._wait_s:
            pause = min(pause, self._wait_s - waited)
            await self._sleep(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE_S)
            table = replace_rows(table, await fetch(older))
            older = self._find_older(table, changed_at)
        stale = set(older)
        return table.with_columns({STALE: np.array([each in stale for each in table.customer_ids], dtype=np.bool_)})

    def _find_older(self, table: FeatureTable, changed_at: Mapping[str, datetime]) -> list[str]:
        if self._column not in table.columns or not changed_at:
            return []
        cells = table.columns[self._column]
        return [
            customer
            for place, customer in enumerate(table.customer_ids)
            if (at := changed_at.get(customer)) and (written := parse_time(plain(cells[place]))) is not None
            if written + self._tolerance < at
        ]


def replace_rows(table: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """Return a table with newer rows of customers who have one each; rows of other columns are left out."""
    if rows.columns.keys() != table.columns.keys():
        return table
    places = {customer: place for place, customer in enumerate(table.customer_ids)}
    ids = rows.customer_ids
    newer = [place for place, customer in enumerate(ids) if customer in places and ids.count(customer) == 1]
    columns = {}
    for name, cells in table.columns.items():
        # A column of truth values is of objects where there are nulls.
        dtype = np.result_type(cells, rows.columns[name]) if cells.dtype != object else cells.dtype
        columns[name] = cells.astype(object if rows.columns[name].dtype == object else dtype)
        columns[name][[places[ids[place]] for place in newer]] = rows.columns[name][newer]
    return FeatureTable(table.customer_ids, columns)
