"""The data warehouse in PostgreSQL, or anything that speaks its protocol.

One query per batch on one table or view, over connections that can only read. What a column holds is told by its
type and not by the values at hand, so that a batch of nulls has the same columns as any other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from features import postgres_types
from features.array_query import ArrayQuery, write_query
from features.errors import ServiceAddressError, WarehouseError, WarehouseLayoutError, WarehouseUnavailableError
from features.pg_array_literal import PgTextArray, register_text_arrays
from features.table import FeatureTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Connection = psycopg.AsyncConnection[tuple[Any, ...]]
    Cursor = psycopg.AsyncCursor[tuple[Any, ...]]

_BIGGEST = 2**63
# How much longer than the server's own limit an answer may take; then the server or its network is gone.
GRACE_S = 5.0


class PostgresWarehouse:
    """One row per customer of a table or view; implements `features.ports.Warehouse`."""

    def __init__(
        self,
        url: str,
        table: str,
        *,
        id_column: str = "customer_id",
        connections: int = 2,
        statement_seconds: float = 10.0,
        connect_seconds: float = 5.0,
    ) -> None:
        """Prepare; nothing connects before `open`.

        Args:
            url: a PostgreSQL URL or connection string; the role needs SELECT on the table and no more.
            table: the table or view, with its schema if it is not on the search path.
            id_column: the column of customer ids: text, an integer or a UUID; it should have an index.
            connections: how many queries may run at once.
            statement_seconds: when the server gives a query up.
            connect_seconds: how long to wait for a connection.

        Raises:
            ServiceAddressError: the URL cannot be understood.
        """
        _check(url)
        self._url = url
        self._table = table
        self._id_column = id_column
        self._id_type = 0
        self._arrays: ArrayQuery | None = None
        self._refused: Mapping[str, int] | None = None
        self._statement_seconds = statement_seconds
        self._connect_seconds = connect_seconds
        self._pool = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            open=False,
            timeout=connect_seconds,
            reconnect_timeout=connect_seconds,
            configure=self._configure,
            # Unprepared: a prepared `SELECT *` fails for ever once the view has another column.
            kwargs={"autocommit": True, "prepare_threshold": None, "connect_timeout": int(connect_seconds)},
        )

    async def open(self) -> None:
        """Connect, and check that the table can be read.

        Raises:
            WarehouseUnavailableError: the server cannot be reached, or refuses the role.
            WarehouseLayoutError: the table or the column of ids is missing, or may not be read.
        """
        query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(sql.Identifier(self._id_column), self._source())
        try:
            # Not from the pool, which would wait and then not say why.
            async with await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=int(self._connect_seconds)
            ) as connection:
                cursor = await connection.execute(query)
                self._id_type = (cursor.description or [])[0].type_code
            await self._pool.open()
        except psycopg.Error as error:
            raise self._translated(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return one row for each of the customers that exist, in no particular order.

        Numbers of every type become float64, dates and times ISO 8601 text, the id column is a fact like others.

        Raises:
            WarehouseUnavailableError: the warehouse cannot be reached now; asking again may help.
            WarehouseLayoutError: the table is not as it must be.
        """
        cast, accepts = _id_types(self._id_type)
        where = sql.SQL("{} = ANY(%s::{})").format(sql.Identifier(self._id_column), sql.SQL(cast))
        accepted = (accepts(each) for each in customer_ids)
        ids = [each for each in accepted if each is not None]
        parameter = PgTextArray(ids) if accepts is _text else ids
        try:
            async with (
                asyncio.timeout(self._statement_seconds + GRACE_S),
                self._pool.connection() as connection,
                connection.cursor(binary=True) as cursor,
            ):
                table = await self._read_arrays(cursor, parameter)
                if table is None:
                    table = await self._read_rows(cursor, where, parameter)
        except TimeoutError as error:
            raise WarehouseUnavailableError("the warehouse does not answer, nor does it give the query up") from error
        except psycopg.Error as error:
            raise self._translated(error) from error
        self._check_ids(table.customer_ids)
        return table

    async def _read_arrays(self, cursor: Cursor, ids: list[Any]) -> FeatureTable | None:
        """Return the rows, or None where the columns are not known yet, or others by now."""
        query = self._arrays
        if query is None:
            return None
        try:
            await cursor.execute(query.statement, [ids])
        except (psycopg.ProgrammingError, psycopg.DataError):
            layout, arrays = None, []
        else:
            layout, *arrays = await cursor.fetchone() or (None,)
        if layout == query.layout:
            return query.table(*arrays)
        # Should the columns be these after all, then arrays are not for this server, or for a value in the table.
        self._arrays, self._refused = None, query.columns
        return None

    async def _read_rows(self, cursor: Cursor, where: sql.Composed, ids: list[Any]) -> FeatureTable:
        """Return the rows whatever their columns, and note these for the next read."""
        await cursor.execute(sql.SQL("SELECT * FROM {} WHERE {}").format(self._source(), where), [ids])
        rows = await cursor.fetchall()
        columns = {each.name: each.type_code for each in cursor.description or ()}
        table = self._build(columns, rows)
        if columns != self._refused:
            self._arrays = write_query(columns, self._id_column, self._source(), where, cursor)
        return table

    def _build(self, columns: Mapping[str, int], rows: Sequence[tuple[Any, ...]]) -> FeatureTable:
        if self._id_column not in columns:
            raise WarehouseLayoutError(
                f"{self._table} has no column {self._id_column} any more; restart with its new name"
            )
        values = dict(zip(columns, zip(*rows, strict=True) if rows else [()] * len(columns), strict=True))
        ids = tuple(map(str, values[self._id_column]))
        return FeatureTable(ids, {name: postgres_types.make_column(values[name], oid) for name, oid in columns.items()})

    def _check_ids(self, ids: Sequence[str]) -> None:
        if len(set(ids)) < len(ids):
            twice = next(each for each in ids if ids.count(each) > 1)
            raise WarehouseLayoutError(
                f"{self._table} has more than one row for customer {twice!r}; it must have one row per customer"
            )

    def _source(self) -> sql.Identifier:
        return sql.Identifier(*self._table.split("."))

    async def _configure(self, connection: Connection) -> None:
        milliseconds = int(self._statement_seconds * 1000)
        register_text_arrays(connection)
        await connection.execute("SET default_transaction_read_only = on")
        await connection.execute("SET timezone = 'UTC'")
        # Or a table of a hundred thousand rows is read whole for a thousand of them, now and then.
        await connection.execute("SET random_page_cost = 1.1")
        await connection.execute(sql.SQL("SET statement_timeout = {}").format(milliseconds))

    def _translated(self, error: psycopg.Error) -> WarehouseError:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            return WarehouseLayoutError(f"no table {self._table} ({said}); set DWH_CUSTOMER_FEATURES_TABLE")
        if isinstance(error, psycopg.errors.UndefinedColumn):
            return WarehouseLayoutError(f"{self._table} has no column {self._id_column} ({said})")
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return WarehouseLayoutError(f"{self._table} may not be read ({said}); grant SELECT on it")
        if isinstance(error, psycopg.ProgrammingError | psycopg.DataError | psycopg.errors.ReadOnlySqlTransaction):
            return WarehouseLayoutError(f"{self._table} cannot be read ({said})")
        return WarehouseUnavailableError(f"the warehouse does not answer: {said}")


def _check(url: str) -> None:
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Without the cause, which quotes the URL and a password in it.
        raise ServiceAddressError(
            "the URL of the warehouse cannot be understood; write postgresql://user:password@host:port/database"
        ) from None


def _id_types(oid: int) -> tuple[str, Callable[[str], Any]]:
    """Return the array type to compare ids with, and what makes such an id of a text, or None of one that is none.

    The column itself is not cast, so that its index serves.
    """
    if oid in postgres_types.INTEGERS:
        return "int8[]", _integer
    if oid == postgres_types.UUID:
        return "uuid[]", _uuid
    return "text[]", _text


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
    # PostgreSQL's texts cannot hold it, so there is no such customer.
    return None if "\0" in text else text
