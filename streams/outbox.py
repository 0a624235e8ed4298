"""Publishing the outbox so that a read_committed consumer sees each message once, whatever breaks.

One Kafka transaction carries the messages and how far the outbox has been published: the last sequence, kept as
the committed offset of a consumer group of our own that never consumes. Both happen or neither does (the idea of
KIP-618, with the offset store in place of a topic). The transactional id belongs to the input partition, so
whoever takes the partition over fences the former owner's producer before it reads how far that one came.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streams.errors import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.ports import Stored

_log = logging.getLogger("librdkafka")

TIMEOUT_S = 15.0
# Dead letters carry an oversized original and headers of ours: see streams/topics.py for the topic's own limit.
MAX_MESSAGE_BYTES = 4_194_304


class KafkaTriggerSink:
    """A TriggerSink with one transactional producer for each partition taken over.

    Args:
        connection: librdkafka properties that reach the broker.
        group: the workers' consumer group; ours derives from it.
        ledger_id: tells this ledger's sequences from those of any other that the broker has seen.
        topics: topic name by destination.
        progress_topic: a topic with as many partitions as the input; its partitions name ours in the offset store.
        partitioner: how a key chooses the partition of an outgoing topic, in librdkafka's words.
    """

    def __init__(
        self,
        connection: Mapping[str, str],
        *,
        group: str,
        ledger_id: str,
        topics: Mapping[str, str],
        progress_topic: str,
        partitioner: str = "murmur2_random",
    ) -> None:
        self._connection = dict(connection)
        self._partitioner = partitioner
        self._group = f"{group}.outbox.{ledger_id}"
        self._topics = topics
        self._progress_topic = progress_topic
        self._producers: dict[int, Producer] = {}
        self._progress: dict[int, int] = {}
        # A producer has one transaction at a time.
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="outbox")
        self._offsets = Consumer(
            {
                **self._connection,
                "group.id": self._group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )

    async def take_over(self, partition: int) -> None:
        """See the port."""
        async with self._turns[partition]:
            await self._in_thread(self._take_over, partition)

    async def publish(self, partition: int, stored: Sequence[Stored]) -> None:
        """See the port."""
        async with self._turns[partition]:
            fresh = [each for each in stored if each.sequence > self._progress[partition]]
            if fresh:
                await self._in_thread(self._publish, partition, fresh)
                self._progress[partition] = fresh[-1].sequence

    def close(self) -> None:
        """End the threads and the connections; a transaction in flight is aborted by the next owner."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._producers.clear()
        self._offsets.close()

    async def _in_thread(self, work: object, *arguments: object) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, work, *arguments)  # type: ignore[arg-type]
        except KafkaException as error:
            raise SinkUnavailableError(
                f"publishing triggers failed, {error.args[0].str()}; it will be tried again"
            ) from error

    def _take_over(self, partition: int) -> None:
        self._producers.pop(partition, None)
        producer = Producer(
            {
                **self._connection,
                "transactional.id": f"{self._group}.{partition}",
                "transaction.timeout.ms": 60_000,
                "linger.ms": 2,
                "compression.type": "lz4",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "partitioner": self._partitioner,
            },
            logger=_log,
        )
        producer.init_transactions(TIMEOUT_S)
        place = TopicPartition(self._progress_topic, partition)
        committed = self._offsets.committed([place], timeout=TIMEOUT_S)[0]
        if committed.error:
            raise KafkaException(committed.error)
        self._progress[partition] = max(committed.offset, 0)
        self._producers[partition] = producer

    def _publish(self, partition: int, stored: Sequence[Stored]) -> None:
        if partition not in self._producers:
            raise SinkUnavailableError(f"partition {partition} is not taken over; it will be tried again")
        producer = self._producers[partition]
        producer.begin_transaction()
        for each in stored:
            message = each.message
            producer.produce(
                self._topics[message.destination],
                key=message.key,
                value=message.value,
                headers=list(message.headers),
            )
        place = TopicPartition(self._progress_topic, partition, stored[-1].sequence)
        producer.send_offsets_to_transaction([place], self._offsets.consumer_group_metadata(), TIMEOUT_S)
        producer.commit_transaction(TIMEOUT_S)
