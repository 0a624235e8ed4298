"""Open transactions of other producers, which hold back what a read_committed consumer may read. Pure: `now` in.

The broker lets such a consumer read up to the last stable offset, where the first open transaction begins. A producer
that hangs in a transaction thus stops all readers of the partition until the transaction ends or times out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust.types import TP

    from streams.observability.liveness import Progress

LONG_S = 15.0
"""Shorter transactions are usual."""


class OpenTransaction(NamedTuple):
    """The offset where it begins, the number of offsets that wait, and since when it has been seen there."""

    offset: int
    waiting: int
    since: float


def find_open(
    before: Mapping[TP, OpenTransaction], known: Mapping[TP, Progress], *, now: float
) -> dict[TP, OpenTransaction]:
    """Return the partitions with an open transaction.

    Args:
        before: those of the poll before.
        known: what the broker knows of each partition.
        now: seconds of a monotonic clock.
    """
    found = {}
    for place, progress in known.items():
        if progress.end is not None and progress.written is not None and progress.end < progress.written:
            earlier = before.get(place)
            since = earlier.since if earlier is not None and earlier.offset == progress.end else now
            found[place] = OpenTransaction(progress.end, progress.written - progress.end, since)
    return found


def describe_open(transactions: Mapping[TP, OpenTransaction], now: float) -> list[str]:
    """Return a sentence for each partition whose transaction has been open for `LONG_S` or longer."""
    return [
        f"{place.topic}[{place.partition}]: a producer's transaction has been open at offset {each.offset} for "
        f"{now - each.since:.0f} s; {each.waiting} offsets wait until it ends or the producer's transaction.timeout.ms "
        "passes; kafka-transactions.sh finds and aborts it"
        for place, each in sorted(transactions.items())
        if now - each.since >= LONG_S
    ]
