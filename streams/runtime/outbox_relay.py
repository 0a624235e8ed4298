"""Delivery: stored messages go out, partition by partition, and are marked sent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import structlog

from streams.errors import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from campaigns.ports import Ledger, OutboxRow
    from streams.observability.metrics import Metrics
    from streams.ports import TriggerSink
    from streams.runtime.retry import RetryPolicy

log = structlog.get_logger()


class OutboxRelay:
    """Publishes messages until the broker has acknowledged them, and tells the ledger.

    Args:
        ledger: marks messages sent.
        sink: publishes them.
        is_ours: says whether this worker has a partition now; what is no longer ours is left to its owner.
        patience: waits for broker and ledger.
        metrics: told how long publishing takes.
    """

    def __init__(
        self, ledger: Ledger, sink: TriggerSink, is_ours: Callable[[int], bool], retry: RetryPolicy, metrics: Metrics
    ) -> None:
        self._ledger = ledger
        self._sink = sink
        self._is_ours = is_ours
        self._retry = retry
        self._metrics = metrics

    async def publish(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Publish messages and return those that are; partitions at the same time, each in order of sequence."""
        groups = by_partition(rows)
        sent = await asyncio.gather(*(self._send_partition(partition, each) for partition, each in groups.items()))
        return [each for group in sent for each in group]

    async def mark_sent(self, published: Sequence[OutboxRow]) -> None:
        """Tell the ledger that messages are published."""
        if published:
            await self._retry("ledger", lambda: self._ledger.mark_sent(published))

    async def _send_partition(self, partition: int, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """Publish messages of a partition and return them, or none when the partition is no longer ours."""
        try:
            with self._metrics.publish.time():
                await self._sink.publish(partition, rows)
        except SinkUnavailableError as error:
            log.warning("publish_failed", error=str(error), partition=partition)
            return await self._retry("broker", lambda: self._publish_again(partition, rows))
        return rows

    async def _publish_again(self, partition: int, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        if not self._is_ours(partition):
            return []
        await self._sink.fence(partition)
        await self._sink.publish(partition, rows)
        return rows


def by_partition(rows: Iterable[OutboxRow]) -> dict[int, list[OutboxRow]]:
    """Group messages by input partition, each group in order of sequence and each message once.

    After a commit in doubt the unsent messages of a partition hold those of batches that wait to be published.
    """
    groups: dict[int, list[OutboxRow]] = defaultdict(list)
    for _, each in sorted({each.sequence: each for each in rows}.items()):
        groups[each.message.partition].append(each)
    return groups
