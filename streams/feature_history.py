"""The features of customers at past events: what a decision recorded, a past row of the warehouse, or today's row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from features.store import FeatureRead, split_duplicates
from features.table import FeatureTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.store import FeatureStore
    from features.table import Column
    from streams.formats.events import Event
    from streams.ports import FactRecords


PastRows = Callable[[Sequence[str], Sequence[datetime]], Awaitable[FeatureTable]]
"""Returns the rows of customers, each as of the time at the same place."""


class FeatureHistory:
    """Reads features as of events.

    Args:
        rows: today's rows of the warehouse.
        records: facts that were recorded at events: they replace those of the rows.
        past: rows as of the events, in place of today's; None where the warehouse has no history.
    """

    def __init__(self, rows: FeatureStore, records: FactRecords, past: PastRows | None = None) -> None:
        self._rows = rows
        self._records = records
        self._past = past

    async def read(self, latest: Mapping[str, Event]) -> FeatureRead:
        """Return the features of each customer as of an event.

        Raises:
            WarehouseError, LedgerUnavailableError: see the warehouse and the records.
        """
        events = [(customer, event.wire.id) for customer, event in latest.items()]
        read, recorded = await asyncio.gather(self._read_rows(latest), self._records.find(events))
        return FeatureRead(overlay(read.table, recorded), read.cache_lost, read.duplicates, read.lost_columns)

    async def _read_rows(self, latest: Mapping[str, Event]) -> FeatureRead:
        if self._past is None or not latest:
            return await self._rows.read(list(latest), fresh=())
        found = await self._past(list(latest), [event.wire.occurred_at for event in latest.values()])
        table, duplicates = split_duplicates(found)
        return FeatureRead(table, cache_lost=False, duplicates=duplicates)


class NoFeatureCache:
    """A FeatureCache that keeps nothing."""

    async def read(self, _customer_ids: Sequence[str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Find nothing, and give no lease."""
        return {}, {}

    async def fill(self, _rows: Mapping[str, bytes], _leases: Mapping[str, bytes]) -> None:
        """Store nothing."""

    async def invalidate(self, _customer_ids: Sequence[str]) -> None:
        """There is nothing to remove."""


def overlay(table: FeatureTable, recorded: Mapping[str, Mapping[str, Any]]) -> FeatureTable:
    """Return a table with recorded facts in place of those of its columns.

    A recorded fact that is no column of the table is left out: scores and signals are computed again.

    Args:
        table: one row per customer.
        recorded: facts by customer, null as None.
    """
    places = [(place, recorded[each]) for place, each in enumerate(table.customer_ids) if each in recorded]
    names = {name for _, facts in places for name in facts if name in table.columns}
    columns = {name: _replace(table.columns[name], name, places) for name in names}
    return table.with_columns(columns) if columns else table


def _replace(column: Column, name: str, places: Sequence[tuple[int, Mapping[str, Any]]]) -> Column:
    cells = [(place, facts[name]) for place, facts in places if name in facts]
    fits = {"f": (int, float, type(None)), "b": (bool,)}.get(column.dtype.kind)
    if fits is not None and not all(isinstance(cell, fits) for _, cell in cells):
        column = column.astype(object)
        if fits != (bool,):
            column[[cell != cell for cell in column.tolist()]] = None  # noqa: PLR0124 - NaN is null in a column of numbers
    else:
        column = column.copy()
    for place, cell in cells:
        column[place] = np.nan if cell is None and column.dtype.kind == "f" else cell
    return column
