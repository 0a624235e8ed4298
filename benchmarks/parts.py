"""Compares parts of the hot path with the library functions that they replace: `python -m benchmarks.parts`.

Prints the minimum of many alternating runs, in microseconds of CPU.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import click
import hiredis
from psycopg.types.array import ListDumper
from redis.asyncio import Connection
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from benchmarks.workload import TEXTS
from features.pg_array_literal import write_literal
from models.vader import CompoundScore

if TYPE_CHECKING:
    from collections.abc import Callable

IDS = [f"c{number}" for number in range(700)]
ROUNDS = 300


class Part(NamedTuple):
    """A part, the library function that it replaces, and a call of each."""

    name: str
    instead_of: str
    own: Callable[[], object]
    library: Callable[[], object]


def list_parts() -> list[Part]:
    """Return all parts."""
    dumper, connection = ListDumper(list), Connection()
    command = ("UNLINK", *(f"f:{each}".encode() for each in IDS))
    score, stock = CompoundScore(), SentimentIntensityAnalyzer()
    return [
        Part("array of 700 ids", "psycopg's list", lambda: write_literal(IDS).encode(), lambda: dumper.dump(IDS)),
        Part(
            "UNLINK of 700 keys",
            "redis-py's packing",
            lambda: hiredis.pack_command(command),  # type: ignore[arg-type]  # its stub knows texts alone
            lambda: connection.pack_command(*command),
        ),
        Part(
            "sentiment of 4 messages",
            "vaderSentiment",
            lambda: [score.score(each) for each in TEXTS],
            lambda: [stock.polarity_scores(each) for each in TEXTS],
        ),
    ]


def measure(part: Part) -> tuple[float, float]:
    """Return the microseconds of Holdfast's implementation and of the library's."""
    own, library = zip(*((_time(part.own), _time(part.library)) for _ in range(ROUNDS)), strict=True)
    return min(own), min(library)


def _time(work: Callable[[], object]) -> float:
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1000


@click.command()
def main() -> None:
    """Print one line per part."""
    for part in list_parts():
        own, library = measure(part)
        click.echo(f"{part.name}: {own:.1f} us, {part.instead_of}: {library:.1f} us, {library / own:.1f} times as much")


if __name__ == "__main__":
    main()
