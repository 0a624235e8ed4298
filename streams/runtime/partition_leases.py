"""Which partitions are this worker's, and under which epochs: claimed once in each generation of the group."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from campaigns.errors import LedgerRestoredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from campaigns.ports import Ledger, OutboxRow
    from streams.batch_state import Decided
    from streams.ports import TriggerSink
    from streams.runtime.outbox_relay import OutboxRelay
    from streams.runtime.retry import RetryPolicy

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Assignment:
    """The partitions this worker has, by the group generation that gave them."""

    generation: int
    partitions: frozenset[int]


class PartitionLeases:
    """Claims partitions from their former owners, in the ledger and at the broker, and sends what those left.

    Args:
        assignment: tells the present assignment.
        ledger: gives the epochs.
        sink: shuts the former publisher out.
        delivery: sends what was left unsent.
        patience: waits for ledger and broker.
        use_cache_generation: told the generation that a former owner may have raised.
    """

    def __init__(
        self,
        assignment: Callable[[], Assignment],
        ledger: Ledger,
        sink: TriggerSink,
        relay: OutboxRelay,
        retry: RetryPolicy,
        use_cache_generation: Callable[[int], None],
    ) -> None:
        self._assignment = assignment
        self._ledger = ledger
        self._sink = sink
        self._relay = relay
        self._retry = retry
        self._use_cache_generation = use_cache_generation
        self._generation = -1
        self._epochs: dict[int, int] = {}
        self._claiming = asyncio.Lock()

    async def claim(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the epochs of partitions, claiming those that are not claimed in this generation.

        Raises:
            LedgerRestoredError: the ledger has forgotten what was published.
        """
        wanted = list(partitions)
        for partition in wanted:
            await self._claim(partition)
        # A claim lost to a rebalance in between gives an epoch that never was: the ledger then refuses the commit.
        return {partition: self._epochs.get(partition, -1) for partition in wanted}

    def invalidate(self) -> None:
        """Claim anew whatever is needed next: another worker has claimed a partition."""
        self._epochs.clear()

    def still_claimed(self, decided: Decided) -> list[OutboxRow]:
        """Return the stored messages of partitions that have not been claimed anew since the commit.

        Every claim sends what it finds unsent, in order. Sending the rest of an earlier claim beside it could move
        the progress past a message of it that was left out, and that message would then never be sent.
        """
        if self._generation != self._assignment().generation:
            return []
        owners, outbox = decided.owners, decided.committed.outbox
        return [each for each in outbox if self._epochs.get(each.message.partition) == owners[each.message.partition]]

    async def keep_claiming(self) -> None:
        """Claim assigned partitions even when no event arrives, so that what a crash left unsent goes out."""
        while True:
            await self.claim(sorted(self._assignment().partitions))
            await asyncio.sleep(1)

    async def _claim(self, partition: int) -> None:
        """Take a partition over: from its former owner's commits first, then from its producer; send what it left."""
        async with self._claiming:
            generation = self._assignment().generation
            if self._generation != generation:
                self._generation, self._epochs = generation, {}
            if partition in self._epochs:
                return
            epoch = await self._retry("ledger", lambda: self._ledger.claim(partition))
            self._use_cache_generation(await self._retry("ledger", self._ledger.cache_generation))
            published = await self._retry("broker", lambda: self._sink.fence(partition))
            await self._reject_restored_ledger(partition, published)
            left = await self._retry("ledger", lambda: self._ledger.unsent(partition))
            await self._relay.mark_sent(await self._relay.publish(left))
            self._epochs[partition] = epoch
            log.info("partition_claimed", partition=partition, epoch=epoch, left_unsent=len(left))

    async def _reject_restored_ledger(self, partition: int, published: int) -> None:
        """Refuse a ledger that never gave the last sequence published: it would give it to another message."""
        given = await self._retry("ledger", self._ledger.last_sequence)
        if published > given:
            raise LedgerRestoredError(
                f"the outbox of partition {partition} has been published up to sequence {published}, but the ledger "
                f"has given none beyond {given}, as after a restore from a backup: its next messages would be taken "
                "for published ones. Run `holdfast ledger renew`, and see docs/guarantees.md"
            )
