"""The columns of a result: what each PostgreSQL type becomes, a number, a truth value or another JSON value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from features.postgres_loaders import replace_unreadable
from features.table import clear_inexact, column, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, time

    from features.table import Column, Kind

# Type OIDs as in PostgreSQL's pg_type.dat, which never change.
BOOL, UUID, NUMERIC = 16, 2950, 1700
INTEGERS = frozenset({20, 21, 23})
PADDED = 1042
TEXTS = frozenset({25, PADDED, 1043})
DATES = frozenset({1082, 1114, 1184})
_MOMENTS = DATES | {1083}
KINDS: dict[int, Kind] = {
    **dict.fromkeys((*INTEGERS, 700, 701, NUMERIC), "number"),
    BOOL: "boolean",
}

INEXACT = frozenset({20, NUMERIC})
"""The types of numbers, bigint and numeric, that may have more digits than a double."""

# The types that an array can be made of: also json, jsonb, uuid and interval, but no array type.
SCALARS = frozenset({*KINDS, *TEXTS, *_MOMENTS, UUID, 114, 3802, 1186})


def read_ids(cells: Sequence[Any], oid: int) -> tuple[str, ...]:
    """Return customer ids as loaded from a column of this type; those of char(n) without their padding."""
    ids = map(str, cells)
    return tuple(each.rstrip(" ") for each in ids) if oid == PADDED else tuple(ids)


def make_column(cells: Sequence[Any], oid: int, *, has_unreadable: bool) -> tuple[Column, int]:
    """Return the column of cells as loaded, its type by the OID alone, and the number of unreadable cells.

    Args:
        cells: one value per row.
        oid: their type.
        has_unreadable: a cell may be or contain `UNREADABLE`.
    """
    unreadable = 0
    if has_unreadable or oid not in SCALARS:
        cells, unreadable = replace_unreadable(cells)
    if kind := KINDS.get(oid):
        numbers = column(cells, kind)
        numbers, inexact = clear_inexact(numbers) if oid in INEXACT else (numbers, 0)
        return numbers, unreadable + inexact
    if oid in TEXTS:
        return column(cells, "other"), unreadable
    return column(_write_moments(cells) if oid in _MOMENTS else map(to_json, cells), "other"), unreadable


def _write_moments(cells: Sequence[date | time | None]) -> list[str | None]:
    """Return what `isoformat` returns. msgspec writes the same, apart from Z, without a call per value."""
    written = msgspec.json.encode(cells).replace(b'Z"', b'+00:00"')
    return msgspec.json.decode(written, type=list[str | None])
