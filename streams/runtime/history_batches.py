"""The records of a past period in one order, cut into batches: the same ones whenever they are read. No Kafka client.

Partitions are merged by the time of their records; within a partition the order of the offsets stays, also where
producers set times that go back. A batch has a customer's records of one moment only, as one batch of a worker had:
decided together, what happened between them would be lost. Both depend on the records alone, not on how they arrive, so
a replay that resumes after a crash makes the same batches.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from heapq import merge
from typing import TYPE_CHECKING, NamedTuple

from streams.runtime.batching import Batch, Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streams.formats.events import Record

TOGETHER_MS = 50
"""Records of a customer that arrived within this time may have been decided together, in one batch of a worker."""


class Placed(NamedTuple):
    """A record in the order of the period: by time, then by partition."""

    time: int
    partition: int
    record: Record


class Position(NamedTuple):
    """Where reading a partition goes on.

    Attributes:
        offset: of the next record.
        time: the latest time of the records before, Unix ms.
    """

    offset: int
    time: int


@dataclass(slots=True)
class PartitionHistory:
    """The records of one partition that were read and not taken.

    Args:
        number: the partition's place in the order of the period, among all partitions of all topics.
        position: where reading it begins.
        end: the offset before which it ends.
    """

    number: int
    position: Position
    end: int
    _read: deque[Placed] = field(default_factory=deque)
    _latest: int = 0

    def __post_init__(self) -> None:
        """Go on with the time reached."""
        self._latest = self.position.time

    def __len__(self) -> int:
        return len(self._read)

    def add(self, records: Iterable[Record]) -> None:
        """Add records that follow those added before; those beyond the end are left out."""
        for record in records:
            if record.offset < self.end:
                self._latest = max(self._latest, record.timestamp)
                self._read.append(Placed(self._latest, self.number, record))

    @property
    def reached(self) -> tuple[int, int]:
        """The place in the order after which no record of this partition was read."""
        return (self._latest if self._read else self.position.time), self.number

    def take_until(self, last: tuple[int, int] | None) -> list[Placed]:
        """Take the records up to a place in the order, all of them without one."""
        read = self._read
        count = len(read)
        if last is not None:
            count = bisect_right(read, last, key=lambda each: (each.time, each.partition))
        taken = [read.popleft() for _ in range(count)]
        if taken:
            self.position = Position(taken[-1].record.offset + 1, taken[-1].time)
        return taken


def take_in_order(partitions: Iterable[PartitionHistory], ended: Iterable[int]) -> Iterator[Placed]:
    """Take the records that no record still to be read precedes, in the order of the period.

    Args:
        partitions: every partition; one that has not ended has records, or nothing is taken beyond its position.
        ended: the numbers of the partitions of which every record was read.
    """
    known, over = list(partitions), set(ended)
    last = min((each.reached for each in known if each.number not in over), default=None)
    return merge(*(each.take_until(last) for each in known))


@dataclass(slots=True)
class BatchCutter:
    """Cuts records in order into batches.

    Args:
        most: records of a batch.
        together_ms: see `TOGETHER_MS`.
    """

    most: int
    together_ms: int = TOGETHER_MS
    _batch: list[Placed] = field(default_factory=list)
    _first_at: dict[bytes, int] = field(default_factory=dict)

    def cut(self, records: Iterable[Placed]) -> Iterator[list[Placed]]:
        """Yield each batch that more records complete."""
        for placed in records:
            key = placed.record.key
            first = placed.time if key is None else self._first_at.get(key, placed.time)
            if len(self._batch) >= self.most or placed.time - first > self.together_ms:
                yield self.take()
                first = placed.time
            self._batch.append(placed)
            if key is not None:
                self._first_at[key] = first

    def take(self) -> list[Placed]:
        """Return the records that are in no batch yet."""
        batch, self._batch = self._batch, []
        self._first_at.clear()
        return batch


def make_batch(records: Iterable[Placed]) -> Batch:
    """Return records as a batch of a worker: one chunk for each partition number, all topics in one order."""
    chunks: dict[int, list[Record]] = {}
    for placed in records:
        chunks.setdefault(placed.record.partition, []).append(placed.record)
    return Batch(tuple(Chunk("", number, 0, 0, found, 0) for number, found in chunks.items()))
