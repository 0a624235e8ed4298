from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams.runtime.batching import Batch, Chunk, Collector

LONG_S = 3600.0


def chunk(size: int, *, partition: int = 0, start: int = 0, generation: int = 1) -> Chunk:
    records: list[Any] = [SimpleNamespace(partition=partition, offset=start + n) for n in range(size)]
    return Chunk("updates", partition, start, start + size, records, generation)


def collector(*chunks: Chunk, max_wait_s: float = 0.0, quiet_s: float = 0.05) -> tuple[Collector, asyncio.Queue[Chunk]]:
    queue: asyncio.Queue[Chunk] = asyncio.Queue()
    for one in chunks:
        queue.put_nowait(one)
    pauses = {"max_wait_s": max_wait_s, "quiet_s": quiet_s}
    return Collector(queue, lambda one: one.generation == 1, max_records=500, **pauses), queue


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([500, 500], [[500], [500]]),
        ([200, 300, 1], [[200, 300], [1]]),
        ([400, 200, 300], [[400], [200, 300]]),
        ([800, 1], [[800], [1]]),
    ],
)
async def test_a_batch_is_whole_chunks_up_to_its_size(sizes: list[int], batches: list[list[int]]) -> None:
    """A chunk that would overflow the batch begins the next; one that is larger by itself is a batch."""
    source, _ = collector(*(chunk(size) for size in sizes))
    collected = [[len(one.records) for one in (await source.collect()).chunks] for _ in batches]
    assert collected == batches


async def test_a_full_batch_does_not_wait() -> None:
    """With an hour to wait, this test would not end."""
    source, _ = collector(chunk(500), max_wait_s=LONG_S)
    assert len(await source.collect()) == 500


async def test_after_a_quiet_time_what_is_there_is_taken_at_once() -> None:
    """With an hour to wait, this test would not end."""
    source, queue = collector(max_wait_s=LONG_S, quiet_s=0.001)

    def come() -> None:
        queue.put_nowait(chunk(1))
        queue.put_nowait(chunk(2))

    asyncio.get_running_loop().call_later(0.01, come)
    assert len(await source.collect()) == 3


async def test_a_batch_waits_for_more_until_its_time_is_over() -> None:
    """A chunk that comes within the time joins; the time counts from the first chunk."""
    source, queue = collector(chunk(1), max_wait_s=0.05)
    asyncio.get_running_loop().call_later(0.001, queue.put_nowait, chunk(2))
    assert len(await source.collect()) == 3


async def test_chunks_that_are_no_longer_owned_are_dropped() -> None:
    """They do not count against the size either."""
    source, _ = collector(chunk(400, generation=0), chunk(300), chunk(400, generation=0), chunk(200))
    assert [one.generation for one in (await source.collect()).chunks] == [1, 1]


async def test_a_batch_that_lost_its_owner_while_it_filled_is_not_returned() -> None:
    """Ownership is asked again at the end."""
    owned = {"updates"}
    queue: asyncio.Queue[Chunk] = asyncio.Queue()
    source = Collector(queue, lambda one: one.topic in owned or one.start == 7, max_wait_s=0.01)
    queue.put_nowait(chunk(1))
    asyncio.get_running_loop().call_soon(owned.clear)
    asyncio.get_running_loop().call_later(0.05, queue.put_nowait, chunk(1, start=7))
    assert [one.start for one in (await source.collect()).chunks] == [7]


def test_records_are_ordered_by_partition_and_offset() -> None:
    """Chunks of one partition keep the order in which they came."""
    batch = Batch((chunk(2, partition=1, start=4), chunk(1, partition=0), chunk(1, partition=1, start=6)))
    assert [(one.partition, one.offset) for one in batch.records] == [(0, 0), (1, 4), (1, 5), (1, 6)]
    assert len(batch) == 4
