"""The data warehouse in a file: CSV, Parquet, or a DuckDB database; for a first try on an extract, without a server.

A CSV or Parquet file is read into memory, and again when it has changed. A DuckDB database is opened for each read, so
that a view with the present date stays right. No lock is held between reads: a file can be replaced at any time, best
by renaming a complete one. Values become what they become from PostgreSQL.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from features.csv_extract import find_types, load_csv, quote, quote_text, read_header
from features.duckdb_types import FLOATS, make_column, write_value
from features.errors import ServiceAddressError, WarehouseLayoutError, WarehouseUnavailableError
from features.ports import SCANNED_ROWS
from features.scans import scan_in_threads
from features.table import FeatureTable
from features.times import TIME_COLUMNS, clear_unreadable_times
from features.unreadable_values import UnreadableValues

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Generator, Iterator, Mapping, Sequence

    from duckdb import DuckDBPyConnection

SCHEMES = ("csv", "parquet", "duckdb")
_CSV_ERROR = re.compile(r"CSV Error on Line: (\d+)\nOriginal Line:.*\n(.+)")
_ROWS = "SELECT {customer}, {values} FROM {relation}"
_DUPLICATES = """
    SELECT count(*) FROM
    (FROM {relation} SELECT {customer} AS id WHERE {customer} IS NOT NULL GROUP BY id HAVING count(*) > 1)
"""
_IDS = "FROM {relation} SELECT {customer} AS id WHERE id > $1 ORDER BY id LIMIT $2"
_OPTIONS = {"autoinstall_known_extensions": "false", "TimeZone": "UTC"}


class FileState(NamedTuple):
    """What changes when a file does."""

    path: str
    inode: int
    modified_ns: int
    size: int


Stamp = tuple[FileState, ...]


@dataclass(frozen=True, slots=True)
class Extract:
    """A file, or several that a pattern names, of one format."""

    scheme: str
    path: str

    def stamp(self) -> Stamp:
        """Return the states of the files.

        Raises:
            FileNotFoundError: there is no file, or one has gone meanwhile.
            OSError: a file may not be looked at.
        """
        # Not Path.glob, which takes no absolute pattern.
        files = sorted(glob(self.path))  # noqa: PTH207
        if not files:
            raise FileNotFoundError(self.path)
        states = [(file, Path(file).stat()) for file in files]
        return tuple(FileState(file, state.st_ino, state.st_mtime_ns, state.st_size) for file, state in states)


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


@dataclass(frozen=True, slots=True)
class _OpenExtract:
    """An extract that can be queried."""

    connection: DuckDBPyConnection
    stamp: Stamp
    types: Mapping[str, str]
    sql: Mapping[str, str]
    """The parts of its queries: the `relation`, the `customer` id, and the `values` of its columns."""


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
        self._open: _OpenExtract | None = None
        self._was_open = False
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
        self._was_open = True

    async def close(self) -> None:
        """Forget the extract."""
        await asyncio.to_thread(self._close)

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return every row of the customers, in any order; see the port.

        A file that is away, empty or incomplete is unavailable, and read again when it is back.
        """
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

    def _close(self) -> None:
        with self._turn:
            self._forget()

    def _forget(self) -> None:
        if self._open is not None:
            self._open.connection.close()
            self._open = None

    def _fetch(self, customer_ids: list[str]) -> FeatureTable:
        return self._table_of(f"{_ROWS} WHERE {{customer}} IN (SELECT unnest($1::VARCHAR[]))", customer_ids)

    def _sample(self, count: int) -> FeatureTable:
        return self._table_of(f"{_ROWS} LIMIT $1", count)

    def _list_ids(self, after: str | None, limit: int) -> Sequence[str]:
        import_duckdb()
        with self._turn:
            rows, _ = self._select(_IDS, after or "", limit)
        return [each for (each,) in rows]

    def _count_duplicates(self) -> int:
        import_duckdb()
        with self._turn:
            rows, _ = self._select(_DUPLICATES)
        return int(rows[0][0])

    def _table_of(self, query: str, parameter: Any) -> FeatureTable:
        import_duckdb()
        with self._turn:
            rows, types = self._select(query, parameter)
        return self._build(rows, types)

    def _scan(self, columns: Collection[str], count: int) -> Generator[FeatureTable, None, None]:
        with self._turn, self._translating():
            present = self._use_present()
            types = {name: each for name, each in present.types.items() if name in columns or name == self._id_column}
            parts = {**present.sql, "values": _write_values(types)}
            query = f"{_ROWS} WHERE {quote(self._id_column)} IS NOT NULL".format(**parts)
            found = present.connection.execute(query)
            while rows := found.fetchmany(count):
                yield self._build(rows, types)

    def _build(self, rows: Sequence[tuple[Any, ...]], types: Mapping[str, str]) -> FeatureTable:
        ids, *cells = zip(*rows, strict=True) if rows else ((),) * (len(types) + 1)
        made, unreadable = {}, {}
        for (name, type_name), values in zip(types.items(), cells, strict=True):
            made[name], lost = make_column(values, type_name)
            if lost:
                unreadable[name] = lost
        table, lost_times = clear_unreadable_times(FeatureTable(tuple(ids), made), self._times(types))
        unreadable |= {name: lost + unreadable.get(name, 0) for name, lost in lost_times.items()}
        if unreadable:
            self.unreadable_values.add(unreadable)
        return table

    def _times(self, types: Mapping[str, str]) -> list[str]:
        return [name for name in TIME_COLUMNS if name in types]

    def _select(self, query: str, *parameters: Any) -> tuple[list[tuple[Any, ...]], Mapping[str, str]]:
        with self._translating():
            present = self._use_present()
            return present.connection.execute(query.format(**present.sql), parameters).fetchall(), present.types

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Translate the errors of a read; after it a DuckDB database is closed."""
        duckdb = import_duckdb()
        try:
            yield
        except OSError as error:
            raise self._away(error) from error
        except duckdb.CatalogException as error:
            reason = f"{self._extract.path}: {describe_error(error)}; set DWH_CUSTOMER_FEATURES_TABLE"
            raise WarehouseLayoutError(reason) from error
        except duckdb.Error as error:
            raise WarehouseUnavailableError(f"{self._extract.path} cannot be read: {describe_error(error)}") from error
        finally:
            if self._extract.scheme == "duckdb":
                self._forget()

    def _away(self, error: OSError) -> WarehouseLayoutError | WarehouseUnavailableError:
        """Return the error of a file that is not there: wrong when a worker starts, replaced while it runs."""
        if self._was_open:
            return WarehouseUnavailableError(f"{self._extract.path} is away ({error.strerror or 'no such file'})")
        if isinstance(error, FileNotFoundError):
            return WarehouseLayoutError(f"HOLDFAST_WAREHOUSE_URL: there is no file {self._extract.path}")
        return WarehouseLayoutError(f"HOLDFAST_WAREHOUSE_URL: {self._extract.path} may not be read ({error.strerror})")

    def _use_present(self) -> _OpenExtract:
        """Return the extract, after reading it where it has changed."""
        stamp = self._extract.stamp()
        if self._open is None or self._open.stamp != stamp:
            present = self._read(stamp)
            self._forget()
            self._open = present
        return self._open

    def _read(self, stamp: Stamp) -> _OpenExtract:
        if self._was_open and not any(file.size for file in stamp):
            raise WarehouseUnavailableError(f"{self._extract.path} is empty")
        duckdb = import_duckdb()
        connection = duckdb.connect(config=_OPTIONS)
        try:
            if self._extract.scheme == "duckdb":
                path = quote_text(self._extract.path)
                connection.execute(f"ATTACH {path} AS extract (TYPE duckdb, READ_ONLY); USE extract")
            return self._prepare(connection, stamp)
        except BaseException:
            connection.close()
            raise

    def _prepare(self, connection: DuckDBPyConnection, stamp: Stamp) -> _OpenExtract:
        if self._extract.scheme == "csv":
            relation, types = self._load_csv(connection, stamp)
        else:
            relation = self._find_relation()
            types = self._choose(describe(connection, relation))
        if self._extract.scheme == "parquet":
            relation = copy(connection, relation, types)
        customer = write_id(self._id_column, types[self._id_column])
        sql = {"relation": relation, "customer": customer, "values": _write_values(types)}
        return _OpenExtract(connection, stamp, types, sql)

    def _load_csv(self, connection: DuckDBPyConnection, stamp: Stamp) -> tuple[str, Mapping[str, str]]:
        header = read_header([file.path for file in stamp])
        self._check(header.names)
        load_csv(connection, self._extract.path, header, "texts")
        # As text, or 17 and 17.0 would be one customer.
        found = {**find_types(connection, "texts", header.names), self._id_column: "VARCHAR"}
        types = self._choose(found)
        return copy(connection, "texts", types), types

    def _find_relation(self) -> str:
        """Return the relation of a file with types, as SQL."""
        if self._extract.scheme == "duckdb":
            return ".".join(map(quote, self._table.split(".")))
        return f"read_parquet({quote_text(self._extract.path)})"

    def _choose(self, types: Mapping[str, str]) -> Mapping[str, str]:
        """Return the types of the columns to read."""
        self._check(list(types))
        self.unknown_private_columns = tuple(sorted(self._private.difference(types)))
        return {name: type_name for name, type_name in types.items() if name not in self._private}

    def _check(self, names: Sequence[str]) -> None:
        if self._id_column not in names:
            shown = ", ".join(names[:20])
            raise WarehouseLayoutError(
                f"{self._extract.path} has no column {self._id_column}; name the column of customer ids in "
                f"DWH_CUSTOMER_ID_COLUMN, one of: {shown}"
            )


def _write_values(types: Mapping[str, str]) -> str:
    return ", ".join(write_value(quote(name), type_name) for name, type_name in types.items())


def import_duckdb() -> Any:
    """Return the package duckdb, which only users of an extract need.

    Raises:
        WarehouseLayoutError: it is not installed.
    """
    try:
        import duckdb  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise WarehouseLayoutError(
            "HOLDFAST_WAREHOUSE_URL names a file, and the package duckdb, which reads it, is not installed; "
            "run `make install` in Holdfast's folder"
        ) from error
    return duckdb


def describe(connection: DuckDBPyConnection, relation: str) -> Mapping[str, str]:
    """Return the type of each column of a relation."""
    return {name: type_name for name, type_name, *_ in connection.execute(f"DESCRIBE FROM {relation}").fetchall()}


def copy(connection: DuckDBPyConnection, relation: str, types: Mapping[str, str]) -> str:
    """Copy columns of a relation, as these types, into a table in memory, and return its name."""
    values = ", ".join(f"CAST({quote(name)} AS {type_name}) AS {quote(name)}" for name, type_name in types.items())
    connection.execute(f"CREATE TABLE rows AS SELECT {values} FROM {relation}")  # noqa: S608 - quoted
    return "rows"


def write_id(name: str, type_name: str) -> str:
    """Return SQL for a customer id as text, as in events; a float without decimals is an integer."""
    text = f"CAST({quote(name)} AS VARCHAR)"
    return f"regexp_replace({text}, '\\.0$', '')" if type_name in FLOATS else text


def describe_error(error: Exception) -> str:
    """Return an error of DuckDB in one line, without the customer's line that it quotes."""
    text = str(error).strip()
    if found := _CSV_ERROR.search(text):
        return f"line {found[1]}: {found[2].rstrip('.')}"
    return text.splitlines()[0]
