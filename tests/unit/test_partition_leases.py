"""How a worker acquires the partitions of a new assignment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from campaigns.errors import LedgerRestoredError
from campaigns.tombstones import Tombstones
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.runtime.outbox_relay import OutboxRelay
from streams.runtime.partition_leases import Assignment, PartitionLeases
from streams.runtime.retry import RetryPolicy
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.trigger_sink import InMemoryTriggerSink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PARTITIONS = (0, 1, 2, 3)
NEVER = -1


class WatchedSink(InMemoryTriggerSink):
    """A sink that calls a function whenever a partition is fenced, and may have published what no ledger knows."""

    def __init__(self, on_fence: Callable[[int], Awaitable[object]], published: int | None = None) -> None:
        super().__init__()
        self.on_fence, self.published = on_fence, published

    async def fence(self, partition: int) -> int:
        """See the port."""
        await self.on_fence(partition)
        return await super().fence(partition) if self.published is None else self.published


class ErasingLedger(InMemoryLedger):
    """A ledger whose tombstones change after every question, and that takes longer to answer an earlier question."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tombstones] = []

    async def tombstones(self) -> Tombstones:
        """See the port."""
        answer = Tombstones()
        self.asked.append(answer)
        for _ in range(len(PARTITIONS) - len(self.asked)):
            await asyncio.sleep(0.001)
        return answer


class Group:
    """A worker's leases among fakes, in a group whose assignment a test changes."""

    def __init__(self, sink: InMemoryTriggerSink, ledger: InMemoryLedger | None = None) -> None:
        self.assignment = Assignment(1, frozenset(PARTITIONS))
        retry = RetryPolicy(Health(ready=True))
        ledger = ledger or InMemoryLedger()
        self.tombstones: list[Tombstones] = []
        relay = OutboxRelay(ledger, sink, lambda partition: partition in self.assignment.partitions, retry, Metrics())
        self.leases = PartitionLeases(
            lambda: self.assignment, ledger, sink, relay, retry, lambda _: None, self.tombstones.append
        )


async def do_nothing(_: int) -> None:
    """Fence at once."""


async def test_partitions_are_acquired_side_by_side() -> None:
    """One by one, the first would never end."""
    together = asyncio.Barrier(len(PARTITIONS))
    group = Group(WatchedSink(lambda _: together.wait()))
    epochs = await asyncio.wait_for(group.leases.acquire(PARTITIONS), 5)
    assert epochs == dict.fromkeys(PARTITIONS, 1)


async def test_a_partition_is_acquired_once_in_a_generation() -> None:
    fenced: list[int] = []

    async def note(partition: int) -> None:
        await asyncio.sleep(0)
        fenced.append(partition)

    group = Group(WatchedSink(note))
    await asyncio.gather(group.leases.acquire(PARTITIONS), group.leases.acquire(PARTITIONS[:2]))
    await group.leases.acquire(PARTITIONS)
    assert sorted(fenced) == list(PARTITIONS)
    group.assignment = Assignment(2, frozenset(PARTITIONS))
    await group.leases.acquire([3])
    assert sorted(fenced) == [*PARTITIONS, 3]


async def test_what_is_acquired_while_the_assignment_changes_is_no_lease() -> None:
    """Between the two generations another worker may have owned it."""

    async def change(partition: int) -> None:
        if partition == 0 and group.assignment.generation == 1:
            group.assignment = Assignment(2, frozenset(PARTITIONS))
            await group.leases.acquire([1])

    group = Group(WatchedSink(change))
    assert (await group.leases.acquire([0]))[0] == NEVER
    assert await group.leases.acquire([0, 1]) == {0: 2, 1: 1}


async def test_tombstones_of_before_an_erasure_never_replace_later_ones() -> None:
    """Or a customer erased while a worker acquires its partitions would be decided about again."""
    ledger = ErasingLedger()
    group = Group(WatchedSink(do_nothing), ledger)
    await group.leases.acquire(PARTITIONS)
    assert len(ledger.asked) == len(PARTITIONS)
    assert list(map(id, group.tombstones)) == list(map(id, ledger.asked))


async def test_a_restored_ledger_is_refused_for_one_reason() -> None:
    """Not for as many as there are partitions."""
    group = Group(WatchedSink(do_nothing, published=5))
    with pytest.raises(LedgerRestoredError, match="up to sequence 5"):
        await group.leases.acquire(PARTITIONS)
