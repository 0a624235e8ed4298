"""A table read as one row of arrays: psycopg makes no object of a number, and nobody turns rows into columns.

The columns are named in the statement, so it must be made anew when the table has others. What it returns first is
the layout of the table as the server sees it, to be compared with the one it was made for.

On columns of floats this moves CPU from the worker to the server, which has more of it to spare; on columns of numeric,
of which psycopg makes Decimals, it saves most of the read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg import sql

from features.postgres_types import BOOL, KINDS, SCALARS, make_column
from features.table import FeatureTable, column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from psycopg.abc import AdaptContext

    from features.table import Column

_SELECT = sql.SQL("""
    SELECT (SELECT string_agg(attname || ' ' || atttypid, ',' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = {name}::regclass AND attnum > 0 AND NOT attisdropped),
           array_agg({id}), array_send(array_agg(ARRAY[{numbers}]::float8[])), {others}
    FROM {table} WHERE {where}
""")
# The head of a binary array of two dimensions, then the length and the value of each element.
_HEAD_BYTES = 28
_ELEMENT = np.dtype([("length", ">i4"), ("value", ">f8")])


@dataclass(frozen=True, slots=True)
class ArrayQuery:
    """The statement for a table of these columns.

    Attributes:
        columns: their type OIDs by name, in the table's order.
        statement: with one parameter, that of its condition. It returns the layout, and then arrays.
    """

    columns: Mapping[str, int]
    statement: bytes

    @property
    def layout(self) -> str:
        """What the statement returns first while the table has these columns."""
        return ",".join(f"{name} {oid}" for name, oid in self.columns.items())

    def table(self, ids: Sequence[Any] | None, matrix: bytes | None, *others: Sequence[Any] | None) -> FeatureTable:
        """Return the rows that the arrays hold; all are null where there are none."""
        names = _numbers(self.columns)
        values = _decode(matrix, len(names)) if matrix else np.empty((len(names), 0))
        columns = {
            name: _truths(row) if self.columns[name] == BOOL else row for name, row in zip(names, values, strict=True)
        }
        for name, cells in zip(_others(self.columns), others, strict=True):
            columns[name] = make_column(cells or (), self.columns[name])
        return FeatureTable(tuple(map(str, ids or ())), {name: columns[name] for name in self.columns})


def write_query(
    columns: Mapping[str, int], id_column: str, table: sql.Identifier, where: sql.Composable, context: AdaptContext
) -> ArrayQuery | None:
    """Return the query for a table, or None where a column's type is none that arrays are made of.

    Args:
        columns: their type OIDs by name, in the table's order.
        id_column: that of the customers' ids, one of them.
        table: what to read.
        where: the condition, with one parameter.
        context: a connection to the server, whose encoding the statement is in.
    """
    if not SCALARS.issuperset(columns.values()) or not _numbers(columns):
        return None
    statement = _SELECT.format(
        name=sql.Literal(table.as_string(context)),
        id=sql.Identifier(id_column),
        numbers=sql.SQL(", ").join(_number(name, columns[name]) for name in _numbers(columns)),
        others=sql.SQL(", ").join(sql.SQL("array_agg({})").format(_quote(name)) for name in _others(columns)),
        table=table,
        where=where,
    )
    return ArrayQuery(columns, statement.as_bytes(context))


def _numbers(columns: Mapping[str, int]) -> list[str]:
    return [name for name, oid in columns.items() if oid in KINDS]


def _others(columns: Mapping[str, int]) -> list[str]:
    return [name for name, oid in columns.items() if oid not in KINDS]


def _number(name: str, oid: int) -> sql.Composed:
    """Return a number or a truth value as float8, null as NaN: elements must be of one length."""
    cast = sql.SQL("::int::float8" if oid == BOOL else "::float8")
    return sql.SQL("coalesce({}{}, 'NaN')").format(_quote(name), cast)


def _quote(name: str) -> sql.Identifier:
    # psycopg looks for placeholders in names too.
    return sql.Identifier(name.replace("%", "%%"))


def _decode(matrix: bytes, width: int) -> NDArray[np.float64]:
    values = np.frombuffer(matrix, _ELEMENT, offset=_HEAD_BYTES)["value"]
    return values.reshape(-1, width).T.astype(np.float64, order="C")


def _truths(numbers: NDArray[np.float64]) -> Column:
    null = np.isnan(numbers)
    cells = np.where(null, None, numbers != 0) if null.any() else numbers != 0  # type: ignore[call-overload]
    return column(cells.tolist(), "boolean")
