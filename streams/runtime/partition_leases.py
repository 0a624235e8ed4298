"""Partition leases: the partitions of this worker and their epochs, acquired once per group generation."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from campaigns.errors import LedgerRestoredError
from streams.tasks import run_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from campaigns.ports import Ledger, OutboxRow
    from campaigns.tombstones import Tombstones
    from streams.batch_state import Decided
    from streams.ports import TriggerSink
    from streams.runtime.outbox_relay import OutboxRelay
    from streams.runtime.retry import RetryPolicy

# So many new producers connect at once, and unsent messages of so many partitions are in memory.
ACQUIRED_TOGETHER = 4

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Assignment:
    """The partitions assigned to this worker, and the group generation that assigned them."""

    generation: int
    partitions: frozenset[int]


class PartitionLeases:
    """Acquires partitions: fences the former owner in the ledger and at the broker, and publishes what it left unsent.

    Args:
        assignment: returns the present assignment.
        ledger: gives the epochs.
        sink: fences the former publisher.
        relay: publishes what was left unsent.
        retry: retries ledger and broker.
        use_cache_generation: receives the generation, which a former owner may have raised.
        use_tombstones: receives the erased customers: an erasure raises every epoch, so each owner reads them again.
    """

    def __init__(
        self,
        assignment: Callable[[], Assignment],
        ledger: Ledger,
        sink: TriggerSink,
        relay: OutboxRelay,
        retry: RetryPolicy,
        use_cache_generation: Callable[[int], None],
        use_tombstones: Callable[[Tombstones], None],
    ) -> None:
        self._assignment = assignment
        self._ledger = ledger
        self._sink = sink
        self._relay = relay
        self._retry = retry
        self._use_cache_generation = use_cache_generation
        self._use_tombstones = use_tombstones
        self._generation = -1
        self._epochs: dict[int, int] = {}
        self._acquiring: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._together = asyncio.Semaphore(ACQUIRED_TOGETHER)
        self._claiming = asyncio.Lock()

    async def acquire(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the epochs of partitions; acquire those not acquired in this generation.

        Raises:
            LedgerRestoredError: the ledger was restored from a backup and lacks what was published since.
        """
        wanted = list(partitions)
        self._drop_earlier()
        if missing := [each for each in wanted if each not in self._epochs]:
            await self._acquire_all(missing)
        # A lease lost to a rebalance meanwhile gets an epoch that never existed: the ledger then refuses the commit.
        return {partition: self._epochs.get(partition, -1) for partition in wanted}

    def invalidate(self) -> None:
        """Drop all leases, to acquire them again when needed: another worker has acquired a partition."""
        self._epochs.clear()

    def still_leased(self, decided: Decided) -> list[OutboxRow]:
        """Return the stored messages of partitions that have not been acquired again since the commit.

        Every acquisition publishes what it finds unsent, in order. Publishing the rest of an earlier one as well could
        move the progress past a message that was left out, and that message would never be published.
        """
        if self._generation != self._assignment().generation:
            return []
        owners, outbox = decided.owners, decided.committed.outbox
        return [each for each in outbox if self._epochs.get(each.message.partition) == owners[each.message.partition]]

    async def keep_acquiring(self) -> None:
        """Acquire assigned partitions even when no event arrives, so that what a crash left unsent is published."""
        while True:
            await self.acquire(sorted(self._assignment().partitions))
            await asyncio.sleep(1)

    async def _acquire_all(self, partitions: Sequence[int]) -> None:
        """Acquire partitions side by side: each waits for a new producer's connections."""
        try:
            await run_together(*map(self._acquire, partitions))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # one says why as well as all

    def _drop_earlier(self) -> int:
        """Drop the leases of an earlier generation, and return the present one."""
        generation = self._assignment().generation
        if self._generation != generation:
            self._generation, self._epochs = generation, {}
        return generation

    async def _acquire(self, partition: int) -> None:
        """Acquire a partition: fence the former owner's commits, then its producer; publish what it left unsent."""
        async with self._acquiring[partition], self._together:
            generation = self._drop_earlier()
            if partition in self._epochs:
                return
            epoch = await self._claim(partition)
            published = await self._retry("broker", lambda: self._sink.fence(partition))
            await self._reject_restored_ledger(partition, published)
            left = await self._retry("ledger", lambda: self._ledger.unsent(partition))
            await self._relay.mark_sent(await self._relay.publish(left))
            if self._generation != generation:
                return  # it is acquired again in the present one
            self._epochs[partition] = epoch
            log.info("partition_acquired", partition=partition, epoch=epoch, left_unsent=len(left))

    async def _claim(self, partition: int) -> int:
        """Fence the former owner's commits, then read what other workers may have changed; return the epoch.

        One at a time: tombstones that were read before an erasure must not replace those that were read after it.
        """
        async with self._claiming:
            epoch = await self._retry("ledger", lambda: self._ledger.claim(partition))
            self._use_cache_generation(await self._retry("ledger", self._ledger.cache_generation))
            self._use_tombstones(await self._retry("ledger", self._ledger.tombstones))
            return epoch

    async def _reject_restored_ledger(self, partition: int, published: int) -> None:
        """Refuse a ledger that never assigned the last published sequence: it would assign it to another message."""
        given = await self._retry("ledger", self._ledger.last_sequence)
        if published > given:
            raise LedgerRestoredError(
                f"the outbox of partition {partition} was published up to sequence {published}, but the ledger has "
                f"assigned none above {given}, as after a restore from a backup: its next messages would count as "
                "published and be lost. Run `holdfast ledger renew`, and see docs/guarantees.md"
            )
