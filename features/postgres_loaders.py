"""Rows of a PostgreSQL result, also where a value has no equivalent in Python.

psycopg raises an error for the whole result when one value cannot be represented: a date of `infinity`, before year 1
or after year 9999, the time 24:00, an interval beyond timedelta, a range or an array with one of these. Its loaders,
written in C, read nearly every result. A result that they fail on is loaded again, from memory, by loaders that return
`UNREADABLE` for such a value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg.adapt import AdaptersMap, Loader, Transformer
from psycopg.pq import Format
from psycopg.types.json import set_json_loads
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.abc import AdaptContext, Buffer
    from psycopg.abc import Loader as LoaderProtocol

_LOAD_ERRORS = (psycopg.Error, msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
# Integers that may exceed 64 bits, and exponents that may exceed a double.
_LARGE_NUMBER = re.compile(rb"\d{19}|[eE]\+?\d{3}")
# Bytes with one of these are no text, but the binary form of something.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Unreadable(Enum):
    """The type of `UNREADABLE`."""

    VALUE = "unreadable"


UNREADABLE = Unreadable.VALUE
"""Stands for a value that Python cannot represent."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a result; `has_unreadable` where a cell may be or contain `UNREADABLE`."""

    rows: Sequence[tuple[Any, ...]]
    has_unreadable: bool


async def load_rows(cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> Rows:
    """Return all rows of the cursor's result; no value of them raises an error."""
    try:
        return Rows(await cursor.fetchall(), has_unreadable=False)
    except _LOAD_ERRORS:
        return Rows(_load_tolerantly(cursor), has_unreadable=True)


def _load_tolerantly(cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    result = cursor.pgresult
    if result is None:
        return []
    transformer = Transformer(_Tolerant(_tolerant_adapters(), cursor.connection))
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)


def register_json(context: AdaptContext) -> None:
    """Let a connection load JSON by `load_json`."""
    set_json_loads(load_json, context)


def load_json(data: str | bytes) -> Any:
    """Return a JSON document; a number beyond 64 bits is a float, beyond a double infinite.

    Raises:
        ValueError, msgspec.MsgspecError, RecursionError: a text has a NUL character or half of a surrogate pair, which
            PostgreSQL does not store as text, or the document is nested too deeply.
    """
    # In spite of the type that psycopg states, `data` may be any buffer.
    content = data.encode() if isinstance(data, str) else bytes(data)
    if _LARGE_NUMBER.search(content):
        document = json.loads(content, parse_int=_parse_int)
        msgspec.json.encode(document)  # raises an error for half of a surrogate pair
    else:
        document = msgspec.json.decode(content)
    if b"\\u0000" in content and _has_nul(document):
        raise ValueError("a text of the document has a NUL character")
    return document


def _parse_int(digits: str) -> int | float:
    number = float(digits)
    return int(digits) if abs(number) < 2**63 else number


def _has_nul(document: Any) -> bool:
    if isinstance(document, str):
        return "\0" in document
    if isinstance(document, dict):
        return any(map(_has_nul, document)) or any(map(_has_nul, document.values()))
    return isinstance(document, list) and any(map(_has_nul, document))


@dataclass(frozen=True, slots=True)
class _Tolerant:
    """The context of a transformer that loads values tolerantly."""

    adapters: AdaptersMap
    connection: Any


@cache
def _tolerant_adapters() -> AdaptersMap:
    """Return psycopg's adapters with every loader made tolerant."""
    adapters = AdaptersMap(psycopg.adapters)
    register_json(adapters)
    oids = {oid for info in psycopg.adapters.types for oid in (info.oid, info.array_oid) if oid}
    for oid in oids:
        for form in (Format.TEXT, Format.BINARY):
            if loader := adapters.get_loader(oid, form):
                adapters.register_loader(oid, _make_tolerant(loader))
    return adapters


def _make_tolerant(strict: type[LoaderProtocol]) -> type[Loader]:
    """Return a loader that gives `UNREADABLE` where another raises an error."""

    class TolerantLoader(Loader):
        format = strict.format

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            # Not by inheritance: psycopg's C code calls the C methods of its own classes.
            self._strict = strict(oid, context)

        def load(self, data: Buffer) -> Any:
            try:
                return self._strict.load(data)
            except _LOAD_ERRORS:
                return UNREADABLE

    return TolerantLoader


def replace_unreadable(cells: Sequence[Any]) -> tuple[list[Any], int]:
    """Return cells with null for what cannot be read, and the number of cells that had such a value.

    Bytes are of a type that psycopg does not know (enum, citext): they are text in UTF-8, or unreadable. A range with
    an unreadable bound is unreadable.
    """
    replaced = [_replace(cell) for cell in cells]
    return [cell for cell, _ in replaced], sum(not readable for _, readable in replaced)


def _replace(cell: Any) -> tuple[Any, bool]:
    match cell:
        case Unreadable.VALUE:
            return None, False
        case bytes():
            text = _decode(cell)
            return text, text is not None
        case list() | tuple():
            parts = [_replace(each) for each in cell]
            return [part for part, _ in parts], all(readable for _, readable in parts)
        case Range() | Multirange() if _has_unreadable_bound(cell):
            return None, False
        case _:
            return cell, True


def _has_unreadable_bound(cell: Range[Any] | Multirange[Any]) -> bool:
    ranges = [cell] if isinstance(cell, Range) else list(cell)
    return any(bound is UNREADABLE for each in ranges for bound in (each.lower, each.upper))


def _decode(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text
