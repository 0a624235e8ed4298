"""Arrays of texts for PostgreSQL, written as one literal: psycopg's own way takes each element by itself.

Measured on 700 customer ids: 5 microseconds instead of 217.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.adapt import Dumper

if TYPE_CHECKING:
    import psycopg


class Texts(list[str]):
    """Texts to be sent as one array; the connection must know the dumper."""


class TextsDumper(Dumper):
    """Writes the literal of an array, as PostgreSQL's manual describes it (8.15.2, Array Value Input).

    Of no type of its own: the query's cast says whether texts, UUIDs or else are meant.
    """

    def dump(self, obj: Texts) -> bytes:
        """Return the literal."""
        return write_literal(obj).encode()


def write_literal(texts: Texts) -> str:
    """Return texts as the literal of an array, every element quoted."""
    if not texts:
        return "{}"
    joined = '","'.join(texts)
    if "\\" in joined or joined.count('"') != 2 * (len(texts) - 1):
        joined = '","'.join(text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return f'{{"{joined}"}}'


def teach_texts(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    """Let a connection send `Texts`."""
    connection.adapters.register_dumper(Texts, TextsDumper)
