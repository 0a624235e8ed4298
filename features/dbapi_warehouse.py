"""The data warehouse through any driver of Python's DB-API 2.0: Snowflake, BigQuery, Oracle, SQLite and others.

A pattern to start from, not chosen by a URL: see docs/warehouses.md. Each read opens a cursor in a thread; the driver's
connection must allow that one thread after another uses it.
"""

from __future__ import annotations

import asyncio
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from features.errors import WarehouseUnavailableError
from features.table import FeatureTable, column, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.table import Kind


class Cursor(Protocol):
    """The part of PEP 249's cursor that is used."""

    def execute(self, operation: str, parameters: Sequence[Any], /) -> Any:
        """Run a query."""

    def fetchall(self) -> Sequence[Sequence[Any]]:
        """Return all rows."""

    def close(self) -> None:
        """Close the cursor."""


class Connection(Protocol):
    """The part of PEP 249's connection that is used."""

    def cursor(self) -> Cursor:
        """Return a new cursor."""


class DbApiWarehouse:
    """A table or view with one row per customer; implements `features.ports.Warehouse`.

    Args:
        connect: returns a connection; called again after an error.
        table: the table or view, as it is written in SQL.
        kinds: the kind of each column to read: what a value becomes must not depend on the other values of a batch.
        id_column: the column of customer ids, text.
        parameter: the driver's placeholder of a parameter.
        most_ids: the largest number of parameters of one query.
        errors: what the driver raises when the warehouse does not answer.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        table: str,
        kinds: Mapping[str, Kind],
        *,
        id_column: str = "customer_id",
        parameter: str = "?",
        most_ids: int = 500,
        errors: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._connect = connect
        self._kinds: Mapping[str, Kind] = {id_column: "other", **kinds}
        names = ", ".join(f'"{name}"' for name in self._kinds)
        self._select = f'SELECT {names} FROM {table} WHERE "{id_column}" IN '  # noqa: S608 - of the operator's own code
        self._parameter = parameter
        self._most_ids = most_ids
        self._errors = errors
        self._connection: Connection | None = None
        self._turn = Lock()

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return every row of the customers, in any order; see the port."""
        return await asyncio.to_thread(self._fetch, list(customer_ids))

    def _fetch(self, customer_ids: list[str]) -> FeatureTable:
        parts = [customer_ids[first : first + self._most_ids] for first in range(0, len(customer_ids), self._most_ids)]
        with self._turn:
            rows = [row for part in parts for row in self._read(part)]
        cells = zip(*rows, strict=True) if rows else ((),) * len(self._kinds)
        made = {
            name: column([to_json(each) for each in values], kind)
            for (name, kind), values in zip(self._kinds.items(), cells, strict=True)
        }
        ids = next(iter(made.values()))
        return FeatureTable(tuple(map(str, ids.tolist())), made)

    def _read(self, customer_ids: Sequence[str]) -> Sequence[Sequence[Any]]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            cursor = self._connection.cursor()
            try:
                cursor.execute(f"{self._select}({', '.join([self._parameter] * len(customer_ids))})", customer_ids)
                return cursor.fetchall()
            finally:
                cursor.close()
        except self._errors as error:
            self._connection = None
            raise WarehouseUnavailableError(f"the warehouse does not answer: {error}") from error
