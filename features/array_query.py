"""A table read as one row of arrays: no Python object per number, and no transposition of rows to columns.

The statement names the columns, so it is valid for one layout of the table only. The first value that it returns is the
table's present layout, to be compared with the one that the statement was written for.

With columns of floats this moves CPU time from the worker to the server; with columns of numeric, for which psycopg
creates Decimals, it saves most of the read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg import sql

from features.pg_array_literal import write_literal
from features.postgres_types import BOOL, INEXACT, KINDS, SCALARS, make_column, read_ids
from features.table import FeatureTable, clear_inexact, column

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray
    from psycopg.abc import AdaptContext

    from features.table import Column

_SELECT = sql.SQL("""
    SELECT (SELECT string_agg(attname || ' ' || atttypid, ',' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = {name}::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL ({private})),
           array_agg({id}), array_send(array_agg(ARRAY[{numbers}]::float8[])), {others}
    FROM {table} WHERE {where}
""")
# The header of a binary array of two dimensions; after it the length and the value of each element.
_HEAD_BYTES = 28
_ELEMENT = np.dtype([("length", ">i4"), ("value", ">f8")])


@dataclass(frozen=True, slots=True)
class ArrayQuery:
    """The statement for one layout of a table.

    Attributes:
        columns: the type OID of each column by name, in the table's order.
        id_column: the column of customer ids, one of them.
        statement: takes one parameter, that of its condition; returns the layout, then the arrays.
    """

    columns: Mapping[str, int]
    id_column: str
    statement: bytes

    @property
    def layout(self) -> str:
        """The first value that the statement returns while the table has these columns."""
        return ",".join(f"{name} {oid}" for name, oid in self.columns.items())

    def table(
        self,
        ids: Sequence[Any] | None,
        matrix: bytes | None,
        *others: Sequence[Any] | None,
        has_unreadable: bool = False,
    ) -> tuple[FeatureTable, dict[str, int]]:
        """Return the rows of the arrays, all of which are null without rows, and the unreadable values by column.

        Args:
            ids: the customers.
            matrix: their numbers and truth values, as PostgreSQL sends an array of float8.
            others: the other columns.
            has_unreadable: a value of the others may be `UNREADABLE`.
        """
        names = _numbers(self.columns)
        values = _decode(matrix, len(names)) if matrix else np.empty((len(names), 0))
        columns = {
            name: _truths(row) if self.columns[name] == BOOL else row for name, row in zip(names, values, strict=True)
        }
        unreadable = {}
        for name in names:
            if self.columns[name] in INEXACT:
                columns[name], lost = clear_inexact(columns[name])
                if lost:
                    unreadable[name] = lost
        for name, cells in zip(_others(self.columns), others, strict=True):
            columns[name], lost = make_column(cells or (), self.columns[name], has_unreadable=has_unreadable)
            if lost:
                unreadable[name] = lost
        customer_ids = read_ids(ids or (), self.columns[self.id_column])
        table = FeatureTable(customer_ids, {name: columns[name] for name in self.columns})
        return table, unreadable


def write_query(
    columns: Mapping[str, int],
    id_column: str,
    table: sql.Identifier,
    where: sql.Composable,
    context: AdaptContext,
    private: Collection[str] = (),
) -> ArrayQuery | None:
    """Return the query for a table, or None where a column has a type that arrays are not made of.

    Args:
        columns: the type OID of each column to read by name, in the table's order.
        id_column: the column of customer ids, one of them.
        table: the table or view.
        where: the condition, with one parameter.
        context: a connection to the server; the statement is in its encoding.
        private: the columns of the table that must not be read.
    """
    if not SCALARS.issuperset(columns.values()) or not _numbers(columns):
        return None
    statement = _SELECT.format(
        name=_literal(table.as_string(context)),
        private=sql.SQL("{}::text[]").format(_literal(write_literal(list(private)))),
        id=sql.Identifier(id_column),
        numbers=sql.SQL(", ").join(_number(name, columns[name]) for name in _numbers(columns)),
        others=sql.SQL(", ").join(sql.SQL("array_agg({})").format(_quote(name)) for name in _others(columns)),
        table=table,
        where=where,
    )
    return ArrayQuery(columns, id_column, statement.as_bytes(context))


def _numbers(columns: Mapping[str, int]) -> list[str]:
    return [name for name, oid in columns.items() if oid in KINDS]


def _others(columns: Mapping[str, int]) -> list[str]:
    return [name for name, oid in columns.items() if oid not in KINDS]


def _number(name: str, oid: int) -> sql.Composed:
    """Return a number or a truth value as float8, null as NaN: all elements must have one length."""
    cast = sql.SQL("::int::float8" if oid == BOOL else "::float8")
    return sql.SQL("coalesce({}{}, 'NaN')").format(_quote(name), cast)


def _quote(name: str) -> sql.Identifier:
    # psycopg looks for placeholders in names too.
    return sql.Identifier(name.replace("%", "%%"))


def _literal(text: str) -> sql.Literal:
    return sql.Literal(text.replace("%", "%%"))


def _decode(matrix: bytes, width: int) -> NDArray[np.float64]:
    values = np.frombuffer(matrix, _ELEMENT, offset=_HEAD_BYTES)["value"]
    return values.reshape(-1, width).T.astype(np.float64, order="C")


def _truths(numbers: NDArray[np.float64]) -> Column:
    null = np.isnan(numbers)
    cells = np.where(null, None, numbers != 0) if null.any() else numbers != 0  # type: ignore[call-overload]
    return column(cells.tolist(), "boolean")
