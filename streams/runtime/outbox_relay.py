"""The outbox relay publishes stored messages, partition by partition, and marks them sent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import structlog

from campaigns.unpublishable import set_aside
from streams.errors import SinkUnavailableError, UnpublishableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from campaigns.ports import Ledger, OutboxRow
    from streams.observability.metrics import Metrics
    from streams.ports import TriggerSink
    from streams.runtime.retry import RetryPolicy

log = structlog.get_logger()


class OutboxRelay:
    """Publishes messages until the broker has acknowledged them, and marks them sent in the ledger.

    Args:
        ledger: marks messages sent.
        sink: publishes them.
        is_ours: returns whether this worker owns a partition now; messages of other partitions are left to their owner.
        patience: retries broker and ledger.
        metrics: records how long publishing takes, and what cannot be published.
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
        """Publish messages and return those published; partitions concurrently, each in order of sequence."""
        groups = by_partition(rows)
        sent = await asyncio.gather(*(self._send_partition(partition, each) for partition, each in groups.items()))
        return [each for group in sent for each in group]

    async def mark_sent(self, published: Sequence[OutboxRow]) -> None:
        """Mark messages sent in the ledger."""
        if published:
            await self._retry("ledger", lambda: self._ledger.mark_sent(published))

    async def _send_partition(self, partition: int, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """Publish messages of a partition and return them, or none when another worker owns the partition.

        A message that can never be published is replaced by its dead letter. The ledger stores the refusal first: if
        this worker ends in between, the next owner publishes the same dead letter.
        """
        left = list(rows)
        while True:
            try:
                return rows if await self._send_rows(partition, left) else []
            except UnpublishableError as error:
                if not self._is_ours(partition):
                    return []
                left = await self._set_aside(left, error)

    async def _set_aside(self, rows: Sequence[OutboxRow], error: UnpublishableError) -> list[OutboxRow]:
        """Return the rows with dead letters in place of those refused, without dead letters refused a second time."""
        refused = [each for each in rows if each.sequence in error.refusals]
        for each in refused:
            refusal, message = error.refusals[each.sequence], each.message
            place = {"message_id": message.message_id, "topic": refusal.topic, "reason": refusal.reason}
            log.error("message_unpublishable", again=each.refusal is not None, **place)
        fresh = [set_aside(each, error.refusals[each.sequence]) for each in refused if each.refusal is None]
        if fresh:
            await self._retry("ledger", lambda: self._ledger.mark_failed(fresh))
        for each in refused:
            if each.refusal is None:
                self._metrics.unpublishable.labels(each.message.destination).inc()
        letters = {each.sequence: each for each in fresh}
        kept = [each for each in rows if each.sequence not in error.refusals or each.sequence in letters]
        return [letters.get(each.sequence, each) for each in kept]

    async def _send_rows(self, partition: int, rows: Sequence[OutboxRow]) -> bool:
        """Publish messages of a partition; False when another worker owns it."""
        try:
            with self._metrics.publish.time():
                await self._sink.publish(partition, rows)
        except SinkUnavailableError as error:
            log.warning("publish_failed", error=error, partition=partition)
            return await self._retry("broker", lambda: self._publish_again(partition, rows))
        return True

    async def _publish_again(self, partition: int, rows: Sequence[OutboxRow]) -> bool:
        if not self._is_ours(partition):
            return False
        await self._sink.fence(partition)
        await self._sink.publish(partition, rows)
        return True


def by_partition(rows: Iterable[OutboxRow]) -> dict[int, list[OutboxRow]]:
    """Group messages by input partition, each group in order of sequence and each message once.

    After a commit in doubt the unsent messages of a partition hold those of batches that wait to be published.
    """
    groups: dict[int, list[OutboxRow]] = defaultdict(list)
    for _, each in sorted({each.sequence: each for each in rows}.items()):
        groups[each.message.partition].append(each)
    return groups
