"""The columns of a DuckDB result: what each DuckDB type becomes, the same values as from PostgreSQL.

Dates and times are fetched as text: DuckDB's Python client gives the largest date of Python for `infinity`, which a
file may also contain as a date.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from features.postgres_loaders import load_json
from features.table import clear_inexact, column, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.table import Column, Kind

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys((*_INTEGERS, *(f"U{name}" for name in _INTEGERS), "FLOAT", "DOUBLE"), "number"),
    "BOOLEAN": "boolean",
}
FLOATS = frozenset({"FLOAT", "DOUBLE"})
_LONGEST_INTERVAL_S = timedelta.max.total_seconds()
# A year of an interval has 365 days and a month 30, as psycopg has them; DuckDB's year has 365.25.
_SURPLUS_OF_A_YEAR_S = 21_600
_READ_ERRORS = (ValueError, OverflowError, RecursionError, msgspec.MsgspecError)


def find_kind(type_name: str) -> Kind:
    """Return the kind of a column of a DuckDB type."""
    # DECIMAL(9,2)[] is a list.
    is_decimal = type_name.startswith("DECIMAL(") and type_name.endswith(")")
    return "number" if is_decimal else _KINDS.get(type_name, "other")


def write_value(identifier: str, type_name: str) -> str:
    """Return SQL for a column's values as `make_column` reads them.

    Args:
        identifier: the column, quoted.
        type_name: its type.
    """
    if type_name in _MOMENTS:
        return f"CAST({identifier} AS VARCHAR)"
    if type_name == "INTERVAL":
        return f"epoch({identifier}) - {_SURPLUS_OF_A_YEAR_S} * datepart('year', {identifier})"
    return identifier


def make_column(cells: Sequence[Any], type_name: str) -> tuple[Column, int]:
    """Return the column of cells as fetched, its kind by the type alone, and the number of unreadable cells."""
    if type_name == "VARCHAR":
        return column(cells, "other"), 0
    if (kind := find_kind(type_name)) != "other":
        numbers = column(cells, kind)
        return (numbers, 0) if kind == "boolean" or type_name in FLOATS else clear_inexact(numbers)
    read = _READERS.get(type_name, to_json)
    values: list[Any] = []
    unreadable = 0
    for cell in cells:
        try:
            values.append(None if cell is None else read(cell))
        except _READ_ERRORS:
            values.append(None)
            unreadable += 1
    return column(values, "other"), unreadable


def _read_date(text: str) -> str:
    return date.fromisoformat(text).isoformat()


def _read_time(text: str) -> str:
    return time.fromisoformat(text).isoformat()


def _read_timestamp(text: str) -> str:
    return datetime.fromisoformat(text).isoformat()


def _read_interval(seconds: float) -> float:
    if abs(seconds) > _LONGEST_INTERVAL_S:
        raise ValueError("an interval beyond timedelta")
    return seconds


def _refuse(_: object) -> Any:
    raise ValueError("bytes are no JSON value")


_MOMENTS: Mapping[str, Callable[[str], str]] = {
    "DATE": _read_date,
    **dict.fromkeys(("TIME", "TIME_NS", "TIME WITH TIME ZONE"), _read_time),
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"), _read_timestamp
    ),
}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    **_MOMENTS,
    "INTERVAL": _read_interval,
    "JSON": load_json,
    "BLOB": _refuse,
}
