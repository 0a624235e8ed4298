"""The data warehouse in PostgreSQL, or anything that speaks its protocol.

One query per batch on one table or view, over connections that can only read. What a column holds is told by its
type and not by the values at hand, so that a batch of nulls has the same columns as any other.
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from features.errors import ServiceAddressError, WarehouseError, WarehouseLayoutError, WarehouseUnavailableError
from features.table import FeatureTable, column
from features.text_arrays import Texts, teach_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from features.table import Column, Kind

    Connection = psycopg.AsyncConnection[tuple[Any, ...]]

# Type OIDs as in PostgreSQL's pg_type.dat, which never change.
_INT8, _INT2, _INT4, _FLOAT4, _FLOAT8, _NUMERIC = 20, 21, 23, 700, 701, 1700
_BOOL, _UUID = 16, 2950
_TEXTS = frozenset({25, 1042, 1043})  # text, char, varchar
_MOMENTS = frozenset({1082, 1083, 1114, 1184})  # date, time, timestamp, timestamptz
_KINDS: dict[int, Kind] = {
    **dict.fromkeys((_INT8, _INT2, _INT4, _FLOAT4, _FLOAT8, _NUMERIC), "number"),
    _BOOL: "boolean",
}
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
        query = sql.SQL("SELECT * FROM {} WHERE {} = ANY(%s::{})").format(
            self._source(), sql.Identifier(self._id_column), sql.SQL(cast)
        )
        accepted = (accepts(each) for each in customer_ids)
        ids = [each for each in accepted if each is not None]
        try:
            async with (
                asyncio.timeout(self._statement_seconds + GRACE_S),
                self._pool.connection() as connection,
                connection.cursor(binary=True) as cursor,
            ):
                await cursor.execute(query, [Texts(ids) if accepts is _text else ids])
                rows = await cursor.fetchall()
                columns = [(each.name, each.type_code) for each in cursor.description or ()]
        except TimeoutError as error:
            raise WarehouseUnavailableError("the warehouse does not answer, nor does it give the query up") from error
        except psycopg.Error as error:
            raise self._translated(error) from error
        return self._build(columns, rows)

    def _build(self, columns: Sequence[tuple[str, int]], rows: Sequence[tuple[Any, ...]]) -> FeatureTable:
        names = [name for name, _ in columns]
        if self._id_column not in names:
            raise WarehouseLayoutError(
                f"{self._table} has no column {self._id_column} any more; restart with its new name"
            )
        values = list(zip(*rows, strict=True)) or [()] * len(columns)
        ids = tuple(map(str, values[names.index(self._id_column)]))
        if len(set(ids)) < len(ids):
            twice = next(each for each in ids if ids.count(each) > 1)
            raise WarehouseLayoutError(
                f"{self._table} has more than one row for customer {twice!r}; it must have one row per customer"
            )
        return FeatureTable(
            ids, {name: _column(cells, oid) for (name, oid), cells in zip(columns, values, strict=True)}
        )

    def _source(self) -> sql.Identifier:
        return sql.Identifier(*self._table.split("."))

    async def _configure(self, connection: Connection) -> None:
        milliseconds = int(self._statement_seconds * 1000)
        teach_texts(connection)
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
    if oid in {_INT8, _INT2, _INT4}:
        return "int8[]", _integer
    if oid == _UUID:
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


def _column(cells: Sequence[Any], oid: int) -> Column:
    if kind := _KINDS.get(oid):
        return column(cells, kind)
    if oid in _TEXTS:
        return column(cells, "other")
    return column(_write_moments(cells) if oid in _MOMENTS else map(_json, cells), "other")


def _write_moments(cells: Sequence[date | time | None]) -> list[str | None]:
    """Return what `isoformat` returns: msgspec writes the same, but for the Z, in a twentieth of the time."""
    written = msgspec.json.encode(cells).replace(b'Z"', b'+00:00"')
    return msgspec.json.decode(written, type=list[str | None])


def _json(cell: Any) -> Any:
    """Return a cell of any other type as a JSON value."""
    match cell:
        case None | str() | bool() | int() | float() | dict():
            return cell
        case list():
            return [_json(each) for each in cell]
        case datetime() | date() | time():
            return cell.isoformat()
        case Decimal():
            return float(cell)
        case timedelta():
            return cell.total_seconds()
        case _:
            return str(cell)
