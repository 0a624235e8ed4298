"""Batching: chunks of records to batches, between the consumer and the pipeline. No Kafka client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from streams.observability.traces import UNTRACED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from streams.formats.events import Record
    from streams.observability.traces import BatchTrace, Traces

CHUNK_RECORDS = 1_000
"""Under load a batch has several chunks; read-ahead is counted in chunks."""
BATCH_EVENTS = 4_000
QUIET_S = 0.050
"""Longer than the consumer's pause under load: after such a time without a chunk there is little to do."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records of one partition, delivered, acknowledged and redelivered as a whole.

    `[start, end)` covers the records and the offsets without a record around them. `generation` is the group generation
    that delivered it; in a later one the partition may belong to another worker. `reading` counts how often reading
    the partition began again in that generation, as after the topic was recreated.
    """

    topic: str
    partition: int
    start: int
    end: int
    records: Sequence[Record]
    generation: int
    reading: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole chunks that are decided and then acknowledged together, and their trace."""

    chunks: tuple[Chunk, ...]
    trace: BatchTrace = field(default=UNTRACED, compare=False)

    def __len__(self) -> int:
        return sum(len(chunk.records) for chunk in self.chunks)

    @property
    def records(self) -> list[Record]:
        """All records by partition number, in offset order within a topic's partition."""
        return [record for chunk in sorted(self.chunks, key=_partition) for record in chunk.records]


class Collector:
    """Gathers chunks into batches. For use by one task at a time.

    Args:
        queue: The queue of chunks from the consumer.
        is_owned: Returns whether this worker still owns a chunk; others are dropped.
        max_records: Most records in a batch; a larger single chunk is a batch of its own.
        max_wait_s: Longest wait for a batch to fill after its first chunk came, on the event loop's clock. After a
            quiet time there is no wait: more events are unlikely to come soon, and the wait would only add latency.
        quiet_s: The time without a chunk that counts as quiet.
    """

    def __init__(
        self,
        queue: asyncio.Queue[Chunk],
        is_owned: Callable[[Chunk], bool],
        *,
        max_records: int = BATCH_EVENTS,
        max_wait_s: float = 0.020,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._queue = queue
        self._is_owned = is_owned
        self._max_records = max_records
        self._max_wait_s = max_wait_s
        self._quiet_s = quiet_s
        self._held: Chunk | None = None

    async def collect(self) -> Batch:
        """Wait for records and return the next batch, never an empty one.

        When cancelled, the chunks gathered so far are dropped; they are not acknowledged, so they are redelivered.
        """
        while True:
            gathered = await self._gather()
            owned = tuple(chunk for chunk in gathered if self._is_owned(chunk))
            if owned:
                return Batch(owned)

    async def _gather(self) -> list[Chunk]:
        clock = asyncio.get_running_loop().time
        began = clock()
        chunks = [await self._take()]
        total = len(chunks[0].records)
        came = clock()
        deadline = came if came - began > self._quiet_s else came + self._max_wait_s
        while total < self._max_records:
            chunk = await self._take_before(deadline)
            if chunk is None:
                break
            total += len(chunk.records)
            if total > self._max_records:
                self._held = chunk
                break
            chunks.append(chunk)
        return chunks

    async def _take(self) -> Chunk:
        """Return the next owned chunk."""
        held, self._held = self._held, None
        chunk = held if held is not None else await self._queue.get()
        while not self._is_owned(chunk):
            chunk = await self._queue.get()
        return chunk

    async def _take_before(self, deadline: float) -> Chunk | None:
        """Return the next owned chunk, None at the deadline."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._take()
        except TimeoutError:
            return None


def collect_traced(collect: Callable[[], Awaitable[Batch]], traces: Traces) -> Callable[[], Awaitable[Batch]]:
    """Return a collector of the same batches that begins the trace of each."""

    async def collect_one() -> Batch:
        batch = await collect()
        records = (record for chunk in batch.chunks for record in chunk.records)
        return replace(batch, trace=traces.begin(records, len(batch)))

    return collect_one


def _partition(chunk: Chunk) -> int:
    return chunk.partition
