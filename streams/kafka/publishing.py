"""Publishing the outbox so that a read_committed consumer sees each message once, whatever breaks.

One Kafka transaction carries the messages and how far the outbox has been published: the last sequence, kept as
the committed offset of a consumer group of our own that never consumes. Both happen or neither does (the idea of
KIP-618, with the offset store in place of a topic). The transactional id belongs to the input partition, so
whoever takes the partition over fences the former owner's producer before it reads how far that one came.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streams.errors import SinkUnavailableError
from streams.runtime.worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from campaigns.ports import OutboxRow

Result = TypeVar("Result")
# Holds one producer: frames that an error keeps alive hold the slot, which can be emptied.
ProducerHolder = list[Producer]
_log = logging.getLogger("librdkafka")

TIMEOUT_S = 10.0
# librdkafka (seen in 2.16) may never return from send_offsets_to_transaction, whatever its timeout, when the broker
# restarts at that moment. Such a producer is abandoned with its thread, and the next one fences it.
ABANDON_S = 15.0
# How often a group's coordinator is asked again while it is elected, as in a broker that has just started.
ELECTION_PAUSES_S = (0.1, 0.2, 0.4, 0.8)
ELECTING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
# librdkafka queues 100,000 messages at most; a partition may have more unsent after a long absence of the broker.
MAX_IN_TRANSACTION = 10_000
# Dead letters carry an oversized original and headers of ours: see streams/kafka/topics.py for the topic's own limit.
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
        self._producers: dict[int, ProducerHolder] = {}
        self._progress: dict[int, int] = {}
        # A producer has one transaction at a time.
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._threads: dict[int, WorkerThread] = {}
        self._offsets = Consumer(
            {
                **self._connection,
                "group.id": self._group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )

    async def fence(self, partition: int) -> int:
        """See the port."""
        async with self._turns[partition]:
            self._discard(partition, self._producers.pop(partition, []))
            self._threads[partition] = WorkerThread(f"outbox {partition}")
            self._producers[partition], self._progress[partition] = await self._wait_for(partition, self._open)
            return self._progress[partition]

    async def publish(self, partition: int, rows: Sequence[OutboxRow]) -> None:
        """See the port."""
        async with self._turns[partition]:
            # Put back only when all went well: after anything else the partition must be taken over again.
            slot = self._producers.pop(partition, None)
            if slot is None:
                raise SinkUnavailableError(f"partition {partition} is not taken over; it will be tried again")
            fresh = [each for each in rows if each.sequence > self._progress[partition]]
            try:
                for start in range(0, len(fresh), MAX_IN_TRANSACTION):
                    together = fresh[start : start + MAX_IN_TRANSACTION]
                    await self._wait_for(partition, self._publish, slot, together)
                    self._progress[partition] = together[-1].sequence
            except SinkUnavailableError:
                self._discard(partition, slot)
                raise
            self._producers[partition] = slot

    def close(self) -> None:
        """Wait a little for the threads and end the connections; what is in flight is aborted by the next owner."""
        for daemon in self._threads.values():
            daemon.end()
        for daemon in self._threads.values():
            daemon.join(TIMEOUT_S / len(self._threads))
        self._producers.clear()
        self._offsets.close()

    async def _wait_for(self, partition: int, work: Callable[..., Result], *arguments: object) -> Result:
        """Return the result of what blocks, made in the partition's thread."""
        answer = self._threads[partition].call(work, partition, *arguments)
        try:
            async with asyncio.timeout(ABANDON_S):
                return await asyncio.wrap_future(answer)
        except KafkaException as error:
            raise SinkUnavailableError(
                f"publishing triggers failed, {error.args[0].str()}; it will be tried again"
            ) from error
        except TimeoutError as error:
            raise SinkUnavailableError(
                f"publishing triggers took more than {ABANDON_S:.0f} s; it will be tried again by a new producer"
            ) from error

    def _discard(self, partition: int, slot: ProducerHolder) -> None:
        """Empty a slot in its thread, and end that: librdkafka ends a producer that nobody holds, and may wait for it.

        On the event loop everything would wait, the probes too.
        """
        daemon = self._threads.pop(partition, None)
        if daemon is not None:
            daemon.call(slot.clear)
            daemon.end()

    def _open(self, partition: int) -> tuple[ProducerHolder, int]:
        """Return a producer that fences the one before it, and how far that one had published."""
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
        return [producer], self._read_progress(partition)

    def _read_progress(self, partition: int) -> int:
        """Return how far a partition has been published; asked again while Kafka elects the broker that knows it."""
        for pause in ELECTION_PAUSES_S:
            try:
                return self._ask_progress(partition)
            except KafkaException as error:
                if error.args[0].code() not in ELECTING:
                    raise
            time.sleep(pause)
        return self._ask_progress(partition)

    def _ask_progress(self, partition: int) -> int:
        place = TopicPartition(self._progress_topic, partition)
        committed = self._offsets.committed([place], timeout=TIMEOUT_S)[0]
        if committed.error:
            raise KafkaException(committed.error)
        return max(committed.offset, 0)

    def _publish(self, partition: int, slot: ProducerHolder, rows: Sequence[OutboxRow]) -> None:
        producer = slot[0]
        producer.begin_transaction()
        for each in rows:
            message = each.message
            producer.produce(
                self._topics[message.destination],
                key=message.key,
                value=message.value,
                headers=list(message.headers),
            )
        place = TopicPartition(self._progress_topic, partition, rows[-1].sequence)
        producer.send_offsets_to_transaction([place], self._offsets.consumer_group_metadata(), TIMEOUT_S)
        producer.commit_transaction(TIMEOUT_S)
