"""The data warehouse in PostgreSQL, or in a server that speaks its protocol.

One query per batch on one table or view, on connections that can only read. A column's kind follows from its type, not
from the values at hand, so that a batch of nulls has the same columns as any other batch.

There are two ways to read, with equal results: as one row of arrays (array_query.py), which is fast, and row by row,
for a layout that is not known yet, types that arrays cannot hold, and values that the server cannot convert.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format
from psycopg.types.numeric import FloatLoader
from psycopg_pool import AsyncConnectionPool

from features import postgres_types
from features.array_query import ArrayQuery, write_query
from features.errors import (
    ServiceAddressError,
    WarehouseError,
    WarehouseLayoutError,
    WarehouseRowError,
    WarehouseUnavailableError,
)
from features.pg_array_literal import PgTextArray, register_text_arrays
from features.ports import SCANNED_ROWS
from features.postgres_loaders import load_rows, register_json
from features.table import FeatureTable
from features.times import TIME_COLUMNS, clear_unreadable_times
from features.unreadable_values import UnreadableValues

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from features.postgres_loaders import Rows

    Connection = psycopg.AsyncConnection[tuple[Any, ...]]
    Cursor = psycopg.AsyncCursor[tuple[Any, ...]]

_BIGGEST = 2**63
_PART = re.compile(r'"(?:[^"]|"")+"|[^".]+')
# How much longer than the server's own limit an answer may take; after that the server or its network is gone.
GRACE_S = 5.0
# Of each step of a scan: a view that joins or groups may compute all of its rows before it returns the first.
SCAN_STATEMENT_S = 300.0
# SQLSTATE classes of errors that a value of a row causes: data exceptions, several rows of a scalar subquery, and
# errors that functions raise.
_ROW_ERRORS = frozenset({"21", "22", "38", "39", "P0"})
_COLUMNS = sql.SQL("""
    SELECT attname FROM pg_attribute
    WHERE attrelid = {name}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
""")
# How often a view may change its columns between the query for their names and the query for their values.
_LAYOUT_ATTEMPTS = 3


class PostgresWarehouse:
    """A table or view with one row per customer; implements `features.ports.Warehouse`.

    Attributes:
        unreadable_values: the values that are null because they cannot be read.
        unknown_private_columns: the private columns that the table does not have, known after `open`.
    """

    def __init__(
        self,
        url: str,
        table: str,
        *,
        id_column: str = "customer_id",
        private_columns: Collection[str] = (),
        connections: int = 2,
        statement_seconds: float = 10.0,
        grace_s: float = GRACE_S,
        connect_seconds: float = 5.0,
    ) -> None:
        """Prepare; `open` connects.

        Args:
            url: a PostgreSQL URL or connection string; the role needs SELECT on the table and no more.
            table: the table or view, with its schema if it is not on the search path.
            id_column: the column of customer ids: text, an integer or a UUID; it should have an index.
            private_columns: columns that no query selects; the id column cannot be one.
            connections: the number of queries that may run at once.
            statement_seconds: the server cancels a query after this time.
            grace_s: how much longer an answer may take before the server counts as unreachable.
            connect_seconds: how long to wait for a connection.

        Raises:
            ServiceAddressError: the URL is malformed.
        """
        _check(url)
        self._url = url
        self._table = table
        self._id_column = id_column
        self._private = frozenset(private_columns)
        self._id_type = 0
        self._arrays: ArrayQuery | None = None
        self._refused: Mapping[str, int] | None = None
        self._statement_seconds = statement_seconds
        self._grace_s = grace_s
        self._connect_seconds = connect_seconds
        self.unreadable_values = UnreadableValues()
        self.unknown_private_columns: tuple[str, ...] = ()
        self._pool = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            open=False,
            timeout=connect_seconds,
            reconnect_timeout=connect_seconds,
            configure=self._configure,
            # Unprepared: a prepared `SELECT *` fails for good once the view has another column.
            kwargs={"autocommit": True, "prepare_threshold": None, "connect_timeout": int(connect_seconds)},
        )

    async def open(self) -> None:
        """Connect, and check that the table can be read.

        Raises:
            WarehouseUnavailableError: the server cannot be reached, or refuses the role.
            WarehouseLayoutError: the table or the id column is missing, or may not be read.
        """
        query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(sql.Identifier(self._id_column), self._source())
        try:
            # Not from the pool, which waits for its timeout and does not give the reason.
            async with await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=int(self._connect_seconds)
            ) as connection:
                cursor = await connection.execute(query)
                self._id_type = (cursor.description or [])[0].type_code
                await self._check_ids(cursor)
                if self._private:
                    known = await self._list_columns(cursor)
                    self.unknown_private_columns = tuple(sorted(self._private.difference(known)))
            await self._pool.open()
        except _NO_TABLE as error:
            raise self._translated(error, await self._find_folded()) from error
        except psycopg.Error as error:
            raise self._translated(error) from error

    async def _check_ids(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        """Check that ids of events can be compared with those of the table.

        Raises:
            WarehouseLayoutError: the id column has a type that no text can be compared with.
        """
        cast, _ = _id_types(self._id_type)
        query = sql.SQL("SELECT FROM {} WHERE {} = ANY('{{}}'::{}) LIMIT 0")
        try:
            await cursor.execute(query.format(self._source(), sql.Identifier(self._id_column), sql.SQL(cast)))
        except psycopg.errors.UndefinedFunction as error:
            await cursor.execute("SELECT format_type(%s, NULL)", [self._id_type])
            (kind,) = await cursor.fetchone() or ("unknown",)
            raise WarehouseLayoutError(
                f"{self._table}: {self._id_column} is {kind}, and events carry ids as text; let the view return text, "
                f"an integer or a UUID, as {self._id_column}::text"
            ) from error

    async def _find_folded(self) -> str:
        """Return a hint at the table's name as PostgreSQL folds it, empty where there is none of that name."""
        folded = self._table.lower()
        if folded == self._table:
            return ""
        try:
            async with await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=int(self._connect_seconds)
            ) as connection:
                cursor = await connection.execute("SELECT to_regclass(%s)::text", [folded])
                (found,) = await cursor.fetchone() or (None,)
        except psycopg.Error:
            return ""
        return f"there is {folded}: PostgreSQL folds names that are not quoted; " if found else ""

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return every row of the customers, in any order.

        Numbers of every type become float64, dates and times ISO 8601 text; the id column is a fact like the others.
        A value that Python cannot represent is null.

        Raises:
            WarehouseUnavailableError: the warehouse cannot be reached now; retry.
            WarehouseLayoutError: the table is missing, lacks the id column, or may not be read.
            WarehouseRowError: the server fails on one of the rows.
        """
        cast, accepts = _id_types(self._id_type)
        where = sql.SQL("{} = ANY(%s::{})").format(sql.Identifier(self._id_column), sql.SQL(cast))
        accepted = (accepts(each) for each in customer_ids)
        ids = [each for each in accepted if each is not None]
        parameter = PgTextArray(ids) if accepts is _text else ids
        async with self._cursor() as cursor:
            table = await self._read_arrays(cursor, parameter)
            return await self._read_rows(cursor, where, parameter) if table is None else table

    async def fetch_past(self, query: str, customer_ids: Sequence[str], times: Sequence[datetime]) -> FeatureTable:
        """Return the rows of customers as of past times, as the operator's own query finds them.

        Args:
            query: SQL that returns the columns of the table, with :customer_ids and :as_of, arrays of text and of
                times; a customer is paired with the time at the same place.
            customer_ids: each once.
            times: one for each customer.

        Raises:
            WarehouseUnavailableError: the warehouse cannot be reached now, or the query takes too long.
            WarehouseLayoutError: the query cannot be run, or does not return the id column.
            WarehouseRowError: the server fails on one of the rows.
        """
        # ::as_of would be a cast; percent signs of the user's SQL stand for themselves.
        statement = re.sub(r"(?<!:):(customer_ids|as_of)\b", r"%(\1)s", query.strip().rstrip(";").replace("%", "%%"))
        async with self._cursor() as cursor:
            try:
                await cursor.execute(statement.encode(), {"customer_ids": list(customer_ids), "as_of": list(times)})
            except psycopg.ProgrammingError as error:
                said = str(error).strip().splitlines()[0]
                raise WarehouseLayoutError(f"DWH_HISTORY_QUERY cannot be run: {said}") from error
            columns, read = _describe(cursor), await load_rows(cursor)
            kept = {name: place for place, name in enumerate(columns) if name not in self._private}
            rows = [tuple(row[place] for place in kept.values()) for row in read.rows]
            return self._build({name: columns[name] for name in kept}, replace(read, rows=rows))

    async def sample(self, count: int) -> FeatureTable:
        """Return at most so many rows; see the port."""
        async with self._cursor() as cursor:
            await self._select_rows(cursor, sql.SQL("true LIMIT %s"), count)
            return self._build(_describe(cursor), await load_rows(cursor))

    async def scan(self, columns: Collection[str], *, rows: int = SCANNED_ROWS) -> AsyncGenerator[FeatureTable, None]:
        """Yield every row that has a customer id, all of one snapshot; see the port.

        The server may take `SCAN_STATEMENT_S` for each table.
        """
        with self._translating():
            async with (
                self._pool.connection() as connection,
                connection.transaction(),
                connection.cursor(binary=True) as cursor,
            ):
                await self._declare_scan(cursor, columns)
                await _load_floats(cursor)
                fetch = sql.SQL("FETCH FORWARD {} FROM scan").format(rows)
                while True:
                    async with asyncio.timeout(SCAN_STATEMENT_S + self._grace_s):
                        await cursor.execute(fetch)
                        read = await load_rows(cursor)
                    if not read.rows:
                        return
                    yield self._build(_describe(cursor), read)

    async def _declare_scan(self, cursor: Cursor, columns: Collection[str]) -> None:
        """Open a cursor of the server named `scan`, which lives as long as the transaction."""
        milliseconds = int(SCAN_STATEMENT_S * 1000)
        await cursor.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(milliseconds))
        # Otherwise the server chooses a plan that returns the first rows early and all rows late.
        await cursor.execute("SET LOCAL cursor_tuple_fraction = 1")
        wanted = {self._id_column, *columns} - self._private
        names = [name for name in await self._list_columns(cursor) if name in wanted]
        declare = sql.SQL(
            "DECLARE scan NO SCROLL CURSOR FOR SELECT {columns} FROM {table} WHERE {customer} IS NOT NULL"
        )
        await cursor.execute(
            declare.format(
                columns=sql.SQL(", ").join(map(sql.Identifier, names)),
                table=self._source(),
                customer=sql.Identifier(self._id_column),
            )
        )

    async def list_ids(self, after: str | None, limit: int) -> Sequence[str]:
        """Return at most so many customer ids beyond one; see the port. The server may take `SCAN_STATEMENT_S`."""
        cast, accepts = _id_types(self._id_type)
        last = None if after is None else accepts(after)
        where = sql.SQL("{customer} IS NOT NULL") if last is None else sql.SQL("{customer} > %s::{type}")
        query = sql.SQL("SELECT {customer} FROM {table} WHERE {where} ORDER BY {customer} LIMIT {limit}").format(
            customer=sql.Identifier(self._id_column),
            table=self._source(),
            where=where.format(customer=sql.Identifier(self._id_column), type=sql.SQL(cast.removesuffix("[]"))),
            limit=limit,
        )
        with self._translating():
            async with (
                asyncio.timeout(SCAN_STATEMENT_S + self._grace_s),
                self._pool.connection() as connection,
                connection.transaction(),
                connection.cursor(binary=True) as cursor,
            ):
                await cursor.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(int(SCAN_STATEMENT_S * 1000)))
                await cursor.execute(query, [] if last is None else [last])
                return self._build(_describe(cursor), await load_rows(cursor)).customer_ids

    async def count_duplicates(self) -> int:
        """Return the number of customers with more than one row; see the port."""
        query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} IS NOT NULL GROUP BY {} HAVING count(*) > 1) t")
        customer = sql.Identifier(self._id_column)
        async with self._cursor() as cursor:
            await cursor.execute(query.format(self._source(), customer, customer))
            (count,) = await cursor.fetchone() or (0,)
        return int(count)

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[Cursor]:
        """Lend a cursor, and translate the errors of what is done with it."""
        with self._translating():
            async with (
                asyncio.timeout(self._statement_seconds + self._grace_s),
                self._pool.connection() as connection,
                connection.cursor(binary=True) as cursor,
            ):
                yield cursor

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise WarehouseUnavailableError("the warehouse neither answers nor cancels the query") from error
        except psycopg.Error as error:
            raise self._translated(error) from error

    async def _read_arrays(self, cursor: Cursor, ids: list[Any]) -> FeatureTable | None:
        """Return the rows, or None where the layout is not known yet, has changed, or the query failed."""
        query = self._arrays
        if query is None:
            return None
        try:
            await cursor.execute(query.statement, [ids])
        except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
            if _is_row_error(error):
                return None
            layout = None
        else:
            read = await load_rows(cursor)
            layout, *arrays = read.rows[0]
        if layout == query.layout:
            table, unreadable = query.table(*arrays, has_unreadable=read.has_unreadable)
            return self._check_values(table, query.columns, unreadable)
        # Not tried again on this layout: if the table still has it, the server does not support the query.
        self._arrays, self._refused = None, query.columns
        return None

    async def _read_rows(self, cursor: Cursor, where: sql.Composed, ids: list[Any]) -> FeatureTable:
        """Return the rows with any columns, and write the array query for the next read."""
        await self._select_rows(cursor, where, ids)
        columns = _describe(cursor)
        table = self._build(columns, await load_rows(cursor))
        if columns != self._refused:
            self._arrays = write_query(columns, self._id_column, self._source(), where, cursor, self._private)
        return table

    async def _select_rows(self, cursor: Cursor, where: sql.Composable, parameter: Any) -> None:
        query = sql.SQL("SELECT {columns} FROM {table} WHERE {where}")
        for attempts_left in reversed(range(_LAYOUT_ATTEMPTS)):
            columns: sql.Composable = sql.SQL("*")
            if self._private:
                names = await self._list_columns(cursor)
                columns = sql.SQL(", ").join(_quote(each) for each in names if each not in self._private)
            try:
                await cursor.execute(query.format(columns=columns, table=self._source(), where=where), [parameter])
            except psycopg.errors.UndefinedColumn:
                if not (self._private and attempts_left):
                    raise
            else:
                return

    async def _list_columns(self, cursor: psycopg.AsyncCursor[Any]) -> list[str]:
        """Return the names of the table's columns without reading it: the role may lack SELECT on private ones."""
        name = sql.Literal(self._source().as_string(cursor))
        await cursor.execute(_COLUMNS.format(name=name))
        return [name for (name,) in await cursor.fetchall()]

    def _build(self, columns: Mapping[str, int], read: Rows) -> FeatureTable:
        if self._id_column not in columns:
            reason = f"{self._table} no longer has column {self._id_column}; restart with its new name"
            raise WarehouseLayoutError(reason)
        cells = dict(zip(columns, zip(*read.rows, strict=True) if read.rows else [()] * len(columns), strict=True))
        made, unreadable = {}, {}
        for name, oid in columns.items():
            made[name], lost = postgres_types.make_column(cells[name], oid, has_unreadable=read.has_unreadable)
            if lost:
                unreadable[name] = lost
        ids = postgres_types.read_ids(cells[self._id_column], columns[self._id_column])
        return self._check_values(FeatureTable(ids, made), columns, unreadable)

    def _check_values(
        self, table: FeatureTable, columns: Mapping[str, int], unreadable: dict[str, int]
    ) -> FeatureTable:
        """Count unreadable values, and clear those of time columns that another type may hold."""
        names = [name for name in TIME_COLUMNS if name in columns and columns[name] not in postgres_types.DATES]
        if names:
            table, more = clear_unreadable_times(table, names)
            unreadable = {**unreadable, **{name: more[name] + unreadable.get(name, 0) for name in more}}
        if unreadable:
            self.unreadable_values.add(unreadable)
        return table

    def _source(self) -> sql.Identifier:
        return sql.Identifier(*split_name(self._table))

    async def _configure(self, connection: Connection) -> None:
        milliseconds = int(self._statement_seconds * 1000)
        register_text_arrays(connection)
        register_json(connection)
        await connection.execute("SET default_transaction_read_only = on")
        await connection.execute("SET timezone = 'UTC'")
        # Otherwise some plans read a table of a hundred thousand rows as a whole for a thousand of them.
        await connection.execute("SET random_page_cost = 1.1")
        await connection.execute(sql.SQL("SET statement_timeout = {}").format(milliseconds))

    def _translated(self, error: psycopg.Error, hint: str = "") -> WarehouseError:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if _is_row_error(error):
            return WarehouseRowError(
                f"{self._table}: the server cannot compute a row ({said}); correct its values, or the view"
            )
        if isinstance(error, _NO_TABLE):
            return WarehouseLayoutError(f"no table {self._table} ({said}); {hint}set DWH_CUSTOMER_FEATURES_TABLE")
        if isinstance(error, psycopg.errors.UndefinedColumn):
            return WarehouseLayoutError(f"{self._table} has no column {self._id_column} ({said})")
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return WarehouseLayoutError(f"{self._table} may not be read ({said}); grant SELECT on it")
        if isinstance(error, _LAYOUT_ERRORS):
            return WarehouseLayoutError(f"{self._table} cannot be read ({said})")
        # A refused password is among these errors; the server may accept it later.
        return WarehouseUnavailableError(f"no connection to the warehouse, see HOLDFAST_WAREHOUSE_URL: {said}")


_NO_TABLE = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
_LAYOUT_ERRORS = (
    psycopg.ProgrammingError,
    psycopg.DataError,
    psycopg.NotSupportedError,
    psycopg.errors.ReadOnlySqlTransaction,
)


def split_name(table: str) -> list[str]:
    """Return the parts of a table's name; a part in double quotes may have a dot, and two double quotes for one."""
    parts = _PART.findall(table)
    if ".".join(parts) != table:
        return [table]
    return [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]


def _describe(cursor: Cursor) -> dict[str, int]:
    """Return the type OID of each column of a result, by name."""
    return {each.name: each.type_code for each in cursor.description or ()}


async def _load_floats(cursor: Cursor) -> None:
    """Let the cursor of a scan load numeric as floats: with Decimals the whole scan takes twice as long.

    There is such a loader for numeric as text only. Numbers and texts mean the same in either format, other types do
    not: where the scan has one, everything stays as it is.
    """
    await cursor.execute("FETCH FORWARD 0 FROM scan")
    types = set(_describe(cursor).values())
    if postgres_types.NUMERIC in types and types <= postgres_types.KINDS.keys() | postgres_types.TEXTS:
        cursor.format = Format.TEXT
        cursor.adapters.register_loader(postgres_types.NUMERIC, FloatLoader)


def _is_row_error(error: psycopg.Error) -> bool:
    return (error.sqlstate or "")[:2] in _ROW_ERRORS


def _quote(name: str) -> sql.Identifier:
    # psycopg looks for placeholders in names too.
    return sql.Identifier(name.replace("%", "%%"))


def _check(url: str) -> None:
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Without the cause, which quotes the URL and its password.
        raise ServiceAddressError(
            "the URL of the warehouse is malformed; write postgresql://user:password@host:port/database"
        ) from None


def _id_types(oid: int) -> tuple[str, Callable[[str], Any]]:
    """Return the array type to compare ids with, and a function from a text to such an id, or to None.

    The column itself is not cast, so that its index is used.
    """
    if oid in postgres_types.INTEGERS:
        return "int8[]", _integer
    if oid == postgres_types.UUID:
        return "uuid[]", _uuid
    return ("bpchar[]" if oid == postgres_types.PADDED else "text[]"), _text


def _integer(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text and -_BIGGEST <= number < _BIGGEST else None


def _uuid(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _text(text: str) -> str | None:
    # PostgreSQL's text cannot contain NUL, so there is no such customer.
    return None if "\0" in text else text
