"""What PostgreSQL's types become: numbers, truth values, or JSON values."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from features.table import column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.table import Column, Kind

# Type OIDs as in PostgreSQL's pg_type.dat, which never change.
BOOL, UUID = 16, 2950
INTEGERS = frozenset({20, 21, 23})
_TEXTS = frozenset({25, 1042, 1043})
_MOMENTS = frozenset({1082, 1083, 1114, 1184})
KINDS: dict[int, Kind] = {
    **dict.fromkeys((*INTEGERS, 700, 701, 1700), "number"),
    BOOL: "boolean",
}

# Those an array can be made of: json and jsonb, uuid and interval besides. An array of arrays is another matter.
SCALARS = frozenset({*KINDS, *_TEXTS, *_MOMENTS, UUID, 114, 3802, 1186})


def make_column(cells: Sequence[Any], oid: int) -> Column:
    """Return the column of cells as psycopg loads them; its type depends on the OID alone."""
    if kind := KINDS.get(oid):
        return column(cells, kind)
    if oid in _TEXTS:
        return column(cells, "other")
    return column(_write_moments(cells) if oid in _MOMENTS else map(_json, cells), "other")


def _write_moments(cells: Sequence[date | time | None]) -> list[str | None]:
    """Return what `isoformat` returns: msgspec writes the same, but for the Z, without a call for each."""
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
