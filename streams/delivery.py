"""Delivery: stored messages go out, partition by partition, and are marked sent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import structlog

from streams.errors import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from campaigns.ports import Ledger, Stored
    from streams.metrics import Metrics
    from streams.patience import Patience
    from streams.ports import TriggerSink

log = structlog.get_logger()


class Delivery:
    """Publishes messages until the broker has acknowledged them, and tells the ledger.

    Args:
        ledger: marks messages sent.
        sink: publishes them.
        is_ours: says whether this worker has a partition now; what is no longer ours is left to its owner.
        patience: waits for broker and ledger.
        metrics: told how long publishing takes.
    """

    def __init__(
        self, ledger: Ledger, sink: TriggerSink, is_ours: Callable[[int], bool], patience: Patience, metrics: Metrics
    ) -> None:
        self._ledger = ledger
        self._sink = sink
        self._is_ours = is_ours
        self._patience = patience
        self._metrics = metrics

    async def publish(self, stored: Sequence[Stored]) -> list[Stored]:
        """Publish messages and return those that are; partitions at the same time, each in order of sequence."""
        groups = by_partition(stored)
        sent = await asyncio.gather(*(self._send_partition(partition, each) for partition, each in groups.items()))
        return [each for group in sent for each in group]

    async def mark_sent(self, published: Sequence[Stored]) -> None:
        """Tell the ledger that messages are published."""
        if published:
            await self._patience("ledger", lambda: self._ledger.mark_sent(published))

    async def _send_partition(self, partition: int, stored: Sequence[Stored]) -> Sequence[Stored]:
        """Publish messages of a partition and return them, or none when the partition is no longer ours."""
        try:
            with self._metrics.publish.time():
                await self._sink.publish(partition, stored)
        except SinkUnavailableError as error:
            log.warning("publish_failed", error=str(error), partition=partition)
            return await self._patience("broker", lambda: self._publish_again(partition, stored))
        return stored

    async def _publish_again(self, partition: int, stored: Sequence[Stored]) -> Sequence[Stored]:
        if not self._is_ours(partition):
            return []
        await self._sink.take_over(partition)
        await self._sink.publish(partition, stored)
        return stored


def by_partition(stored: Iterable[Stored]) -> dict[int, list[Stored]]:
    """Group messages by input partition, each group in order of sequence and each message once.

    After a commit in doubt the unsent messages of a partition hold those of batches that wait to be published.
    """
    groups: dict[int, list[Stored]] = defaultdict(list)
    for _, each in sorted({each.sequence: each for each in stored}.items()):
        groups[each.message.partition].append(each)
    return groups
