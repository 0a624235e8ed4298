"""PostgreSQL array parameters, written as one literal of texts: psycopg itself dumps each element separately.

That took a tenth of the worker's CPU time; `python -m benchmarks.parts` measures it. Numbers, times, documents and
bytes are passed as texts too, in PostgreSQL's input form, and the query casts the array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from psycopg.adapt import Dumper

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg


class PgTextArray(list[str | None]):
    """Texts to be sent as one array, null as None; the connection needs `register_text_arrays`."""


class PgTextArrayDumper(Dumper):
    """Writes the literal of an array, as in PostgreSQL's manual (8.15.2, Array Value Input).

    It has no type of its own: the query's cast gives the type of the elements.
    """

    def dump(self, obj: PgTextArray) -> bytes:
        """Return the literal."""
        return write_literal(obj).encode()


def write_literal(texts: Sequence[str | None]) -> str:
    """Return texts as the literal of an array, every element quoted except null."""
    if not texts:
        return "{}"
    if None in texts:
        return "{" + ",".join("NULL" if text is None else f'"{_escaped(text)}"' for text in texts) + "}"
    known = cast("Sequence[str]", texts)
    joined = '","'.join(known)
    if "\\" in joined or joined.count('"') != 2 * (len(known) - 1):
        joined = '","'.join(map(_escaped, known))
    return f'{{"{joined}"}}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def register_text_arrays(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    """Let a connection send `PgTextArray`."""
    connection.adapters.register_dumper(PgTextArray, PgTextArrayDumper)
