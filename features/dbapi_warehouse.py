"""The data warehouse through any driver of Python's DB-API 2.0: Snowflake, BigQuery, Oracle, SQLite and others.

A pattern to start from, not chosen by a URL: see docs/warehouses.md. Each read opens a cursor in a thread; the driver's
connection must allow that one thread after another uses it.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import closing, contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from features.csv_extract import quote
from features.errors import WarehouseLayoutError, WarehouseUnavailableError
from features.ports import SCANNED_ROWS
from features.scans import scan_in_threads
from features.table import EXACT_BELOW, FeatureTable, column, to_json
from features.times import TIME_COLUMNS, clear_unreadable_times
from features.unreadable_values import UnreadableValues

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterator, Mapping, Sequence

    from features.table import Kind


class Cursor(Protocol):
    """The part of PEP 249's cursor that is used."""

    def execute(self, operation: str, parameters: Sequence[Any], /) -> Any:
        """Run a query."""

    def fetchall(self) -> Sequence[Sequence[Any]]:
        """Return all rows."""

    def fetchmany(self, size: int, /) -> Sequence[Sequence[Any]]:
        """Return at most so many rows."""

    def close(self) -> None:
        """Close the cursor."""


class Connection(Protocol):
    """The part of PEP 249's connection that is used."""

    def cursor(self) -> Cursor:
        """Return a new cursor."""

    def close(self) -> None:
        """Close the connection."""


class DbApiWarehouse:
    """A table or view with one row per customer; implements `features.ports.WarehouseConnection`.

    Args:
        connect: returns a connection; called again after an error.
        table: the table or view, as it is written in SQL.
        kinds: the kind of each column to read: what a value becomes must not depend on the other values of a batch.
        id_column: the column of customer ids, text.
        parameter: the driver's placeholder of a parameter.
        most_ids: the largest number of parameters of one query.
        errors: what the driver raises when the warehouse does not answer.
        layout_errors: what it raises when the table or a column is missing, or may not be read.

    Attributes:
        unreadable_values: the values that are null because they are not of their column's kind.
        unknown_private_columns: none; only the named columns are read.
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
        layout_errors: tuple[type[Exception], ...] = (),
    ) -> None:
        self._connect = connect
        self._kinds: Mapping[str, Kind] = {id_column: "other", **kinds}
        self._table = table
        self._select = self._write_select(self._kinds)
        self._id_column = id_column
        self._id = quote(id_column)
        self._parameter = parameter
        self._most_ids = most_ids
        self._errors = errors
        self._layout_errors = layout_errors
        self._connection: Connection | None = None
        self._turn = Lock()
        self.unreadable_values = UnreadableValues()
        self.unknown_private_columns: tuple[str, ...] = ()

    async def open(self) -> None:
        """Connect, and check that the table can be read; see the port."""
        await asyncio.to_thread(self._check)

    async def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._forget()

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return every row of the customers, in any order; see the port."""
        return await asyncio.to_thread(self._fetch, list(customer_ids))

    async def sample(self, count: int) -> FeatureTable:
        """Return at most so many rows; see the port."""
        return await asyncio.to_thread(self._sample, count)

    def scan(self, columns: Collection[str], *, rows: int = SCANNED_ROWS) -> AsyncGenerator[FeatureTable, None]:
        """Yield every row that has a customer id; see the port. Other reads wait until the scan ends."""
        return scan_in_threads(self._scan(frozenset(columns), rows))

    async def list_ids(self, after: str | None, limit: int) -> Sequence[str]:
        """Return at most so many customer ids beyond one; see the port."""
        return await asyncio.to_thread(self._list_ids, after, limit)

    async def count_duplicates(self) -> int:
        """Return the number of customers with more than one row; see the port."""
        return await asyncio.to_thread(self._count_duplicates)

    def _list_ids(self, after: str | None, limit: int) -> Sequence[str]:
        beyond = "IS NOT NULL" if after is None else f"> {self._parameter}"
        query = f"{self._write_select([self._id_column])}{self._id} {beyond} ORDER BY {self._id}"
        with self._turn:
            rows = self._ask(query, () if after is None else (after,), limit)
        return [str(each) for (each,) in rows]

    def _count_duplicates(self) -> int:
        groups = f"SELECT 1 AS one FROM {self._table} WHERE {self._id} IS NOT NULL GROUP BY {self._id}"  # noqa: S608
        with self._turn:
            ((count,),) = self._ask(f"SELECT count(*) FROM ({groups} HAVING count(*) > 1) t", ())  # noqa: S608
        return int(count)

    def _write_select(self, names: Collection[str]) -> str:
        return f"SELECT {', '.join(map(quote, names))} FROM {self._table} WHERE "  # noqa: S608 - of the operator's own code

    def _scan(self, columns: Collection[str], count: int) -> Generator[FeatureTable, None, None]:
        kinds = {name: kind for name, kind in self._kinds.items() if name in columns or name == self._id_column}
        query = f"{self._write_select(kinds)}{self._id} IS NOT NULL"
        with self._turn, self._translating(), closing(self._open_cursor()) as cursor:
            cursor.execute(query, ())
            while rows := cursor.fetchmany(count):
                yield self._build(rows, kinds)

    def _check(self) -> None:
        with self._turn:
            self._ask(f"{self._select}1 = 0", ())

    def _sample(self, count: int) -> FeatureTable:
        with self._turn:
            rows = self._ask(f"{self._select}1 = 1", (), count)
        return self._build(rows, self._kinds)

    def _fetch(self, customer_ids: list[str]) -> FeatureTable:
        with self._turn:
            rows = [
                row
                for first in range(0, len(customer_ids), self._most_ids)
                for row in self._read_customers(customer_ids[first : first + self._most_ids])
            ]
        return self._build(rows, self._kinds)

    def _build(self, rows: Sequence[Sequence[Any]], kinds: Mapping[str, Kind]) -> FeatureTable:
        cells = zip(*rows, strict=True) if rows else ((),) * len(kinds)
        made, unreadable = {}, {}
        for (name, kind), values in zip(kinds.items(), cells, strict=True):
            read = [READERS[kind](each) for each in values]
            made[name] = column(read, kind)
            if lost := read.count(None) - sum(to_json(each) is None for each in values):
                unreadable[name] = lost
        ids = next(iter(made.values()))
        table = FeatureTable(tuple(map(str, ids.tolist())), made)
        table, lost_times = clear_unreadable_times(table, [name for name in TIME_COLUMNS if name in made])
        unreadable |= {name: lost + unreadable.get(name, 0) for name, lost in lost_times.items()}
        if unreadable:
            self.unreadable_values.add(unreadable)
        return table

    def _read_customers(self, customer_ids: Sequence[str]) -> Sequence[Sequence[Any]]:
        return self._ask(
            f"{self._select}{self._id} IN ({', '.join([self._parameter] * len(customer_ids))})", customer_ids
        )

    def _ask(self, query: str, parameters: Sequence[str], most: int | None = None) -> Sequence[Sequence[Any]]:
        with self._translating(), closing(self._open_cursor()) as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if most is None else cursor.fetchmany(most)

    def _open_cursor(self) -> Cursor:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.cursor()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except self._layout_errors as error:
            raise WarehouseLayoutError(f"{self._table} cannot be read: {error}") from error
        except self._errors as error:
            self._forget()
            raise WarehouseUnavailableError(f"the warehouse does not answer: {error}") from error

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._errors):
                connection.close()


def _read_number(value: Any) -> float | None:
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    inexact = not isinstance(value, float) and number is not None and EXACT_BELOW <= abs(number) < math.inf
    return None if number is None or math.isnan(number) or inexact else number


def _read_boolean(value: Any) -> bool | None:
    """Return a truth value, 1 and 0 too; None for any other value: text is no consent."""
    return bool(value) if isinstance(value, bool | int) and value in (0, 1) else None


READERS: Mapping[Kind, Callable[[Any], Any]] = {"number": _read_number, "boolean": _read_boolean, "other": to_json}
