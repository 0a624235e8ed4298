"""The data warehouse in a file: CSV, Parquet, or a DuckDB database; for a first try on an extract, without a server.

The file is read into memory, and again when it has changed: no lock is held on it, so it can be replaced at any time.
Values become what they become from PostgreSQL.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from features.errors import ServiceAddressError, WarehouseLayoutError, WarehouseUnavailableError
from features.table import FeatureTable, column, to_json
from features.times import TIME_COLUMNS, clear_unreadable_times
from features.unreadable_values import UnreadableValues

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from features.table import Kind

SCHEMES = ("csv", "parquet", "duckdb")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys((*_NUMBERS, "UHUGEINT", "FLOAT", "DOUBLE"), "number"),
    "BOOLEAN": "boolean",
}
_SELECT = "SELECT * FROM holdfast_rows WHERE holdfast_id IN (SELECT unnest($1::VARCHAR[]))"
Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Extract:
    """A file, or several that a pattern names, of one format."""

    scheme: str
    path: str

    def stamp(self) -> Stamp:
        """Return what changes when a file does: path, time of change and size of each.

        Raises:
            WarehouseLayoutError: there is no file.
        """
        # Not Path.glob, which takes no absolute pattern.
        files = sorted(glob(self.path))  # noqa: PTH207
        if not files:
            raise WarehouseLayoutError(f"HOLDFAST_WAREHOUSE_URL: there is no file {self.path}")
        states = [(file, Path(file).stat()) for file in files]
        return tuple((file, state.st_mtime_ns, state.st_size) for file, state in states)


def read_address(url: str) -> Extract:
    """Return the extract of a URL such as csv:customers.csv or parquet:///data/customers/*.parquet.

    Raises:
        ServiceAddressError: it names no path.
    """
    scheme, _, path = url.partition(":")
    path = path.removeprefix("//")
    if not path:
        raise ServiceAddressError(f"HOLDFAST_WAREHOUSE_URL names no file; write {scheme}:customers.{scheme}")
    return Extract(scheme, path)


class ExtractWarehouse:
    """An extract with one row per customer; implements `features.ports.Warehouse`.

    Attributes:
        unreadable_values: the values that are null because they cannot be read.
        unknown_private_columns: the private columns that the extract does not have, known after `open`.
    """

    def __init__(
        self, url: str, table: str, *, id_column: str = "customer_id", private_columns: Collection[str] = ()
    ) -> None:
        """Prepare; `open` reads the extract.

        Args:
            url: see read_address.
            table: the table or view, of a DuckDB database; a file has no other.
            id_column: the column of customer ids.
            private_columns: columns that are not read; the id column cannot be one.

        Raises:
            ServiceAddressError: the URL is malformed.
        """
        self._extract = read_address(url)
        self._table = table
        self._id_column = id_column
        self._private = frozenset(private_columns)
        self._stamp: Stamp = ()
        self._kinds: dict[str, Kind] = {}
        self._connection: DuckDBPyConnection | None = None
        # DuckDB's connection serves one thread at a time.
        self._turn = Lock()
        self.unreadable_values = UnreadableValues()
        self.unknown_private_columns: tuple[str, ...] = ()

    async def open(self) -> None:
        """Read the extract.

        Raises:
            WarehouseLayoutError: the file, the table or the id column is missing, or duckdb is not installed.
            WarehouseUnavailableError: the file cannot be read now.
        """
        await asyncio.to_thread(self._fetch, [])

    async def close(self) -> None:
        """Forget the extract."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return every row of the customers, in any order; see the port."""
        return await asyncio.to_thread(self._fetch, list(customer_ids))

    def _fetch(self, customer_ids: list[str]) -> FeatureTable:
        with self._turn:
            connection = self._use_present()
            found = connection.execute(_SELECT, [customer_ids]).fetchall()
            kinds = self._kinds
        ids, *cells = zip(*found, strict=True) if found else ((),) * (len(kinds) + 1)
        made = {
            name: column(map(to_json, values), kind) for (name, kind), values in zip(kinds.items(), cells, strict=True)
        }
        table = FeatureTable(tuple(ids), made)
        times = [name for name in TIME_COLUMNS if name in made]
        if times:
            table, unreadable = clear_unreadable_times(table, times)
            if unreadable:
                self.unreadable_values.add(unreadable)
        return table

    def _use_present(self) -> DuckDBPyConnection:
        """Return the connection to the extract in memory, after reading it where the file has changed."""
        stamp = self._extract.stamp()
        if self._connection is None or stamp != self._stamp:
            before = self._connection
            self._connection, self._kinds = self._read()
            self._stamp = stamp
            if before is not None:
                before.close()
        return self._connection

    def _read(self) -> tuple[DuckDBPyConnection, dict[str, Kind]]:
        try:
            # Only users of an extract need it.
            import duckdb  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise WarehouseLayoutError(
                "HOLDFAST_WAREHOUSE_URL names a file, and the package duckdb, which reads it, is not installed; "
                "run `make install` in Holdfast's folder"
            ) from error
        connection = duckdb.connect()
        try:
            connection.execute("SET TimeZone = 'UTC'")
            relation = self._attach(connection)
            described = connection.execute(f"DESCRIBE FROM {relation}").fetchall()
            names = [name for name, *_ in described]
            self._check(names)
            self.unknown_private_columns = tuple(sorted(self._private.difference(names)))
            chosen = ", ".join(quote(name) for name in names if name not in self._private)
            rows = f"SELECT {write_id(self._id_column)} AS holdfast_id, {chosen} FROM {relation}"  # noqa: S608 - quoted
            connection.execute(f"CREATE TABLE holdfast_rows AS {rows}")
            described = connection.execute("DESCRIBE holdfast_rows").fetchall()[1:]
        except duckdb.CatalogException as error:
            reason = f"{self._extract.path}: {first_line(error)}; set DWH_CUSTOMER_FEATURES_TABLE"
            raise WarehouseLayoutError(reason) from error
        except duckdb.Error as error:
            raise WarehouseUnavailableError(f"{self._extract.path} cannot be read: {first_line(error)}") from error
        return connection, {name: find_kind(kind) for name, kind, *_ in described}

    def _attach(self, connection: DuckDBPyConnection) -> str:
        """Return the relation to read."""
        path = quote_text(self._extract.path)
        if self._extract.scheme == "parquet":
            return f"read_parquet({path})"
        if self._extract.scheme == "csv":
            # As text, or 007 would become 7; all rows decide about the types of the others.
            types = f"{{{quote_text(self._id_column)}: 'VARCHAR'}}"
            first = f"SELECT * FROM read_csv({path}, sample_size = -1) LIMIT 0"  # noqa: S608 - quoted
            header = connection.execute(first).description or []
            known = self._id_column in [name for name, *_ in header]
            return f"read_csv({path}, sample_size = -1{f', types = {types}' if known else ''})"
        connection.execute(f"ATTACH {path} AS extract (TYPE duckdb, READ_ONLY)")
        return f"extract.{self._table}" if "." in self._table else f"extract.main.{quote(self._table)}"

    def _check(self, names: Sequence[str]) -> None:
        if self._id_column not in names:
            shown = ", ".join(names[:20])
            raise WarehouseLayoutError(
                f"{self._extract.path} has no column {self._id_column}; name the column of customer ids in "
                f"DWH_CUSTOMER_ID_COLUMN, one of: {shown}"
            )


def find_kind(name: str) -> Kind:
    """Return the kind of a column of a DuckDB type."""
    # DECIMAL(9,2)[] is a list.
    return "number" if name.startswith("DECIMAL(") and name.endswith(")") else _KINDS.get(name, "other")


def write_id(name: str) -> str:
    """Return SQL for a customer id as text, as in events; a float without decimals is an integer."""
    text = f"CAST({quote(name)} AS VARCHAR)"
    return f"regexp_replace({text}, '^(-?[0-9]+)\\.0$', '\\1')"


def quote(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """Return the first line of an error."""
    return str(error).strip().splitlines()[0]
