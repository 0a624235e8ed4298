"""Arrays for PostgreSQL, written as one literal of texts: psycopg's own way takes each element by itself.

It took a tenth of the worker's CPU; see benchmarks/parts.py. Numbers, times, documents and bytes go as texts too, in
the form that PostgreSQL reads them in, and the query casts the array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from psycopg.adapt import Dumper

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg


class PgTextArray(list[str | None]):
    """Texts to be sent as one array, null as None; the connection must know the dumper."""


class PgTextArrayDumper(Dumper):
    """Writes the literal of an array, as PostgreSQL's manual describes it (8.15.2, Array Value Input).

    Of no type of its own: the query's cast says whether texts, UUIDs or else are meant.
    """

    def dump(self, obj: PgTextArray) -> bytes:
        """Return the literal."""
        return write_literal(obj).encode()


def write_literal(texts: Sequence[str | None]) -> str:
    """Return texts as the literal of an array, every element quoted but null."""
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
    """Let a connection send `Texts`."""
    connection.adapters.register_dumper(PgTextArray, PgTextArrayDumper)
