"""Publishing the outbox so that a read_committed consumer sees each message once, after any failure.

One Kafka transaction carries the messages and how far the outbox has been published: the last sequence, see
transactional_progress.py. The transactional id belongs to the input partition, so the next owner of the
partition fences the former owner's producer before it reads how far that one has published.

A broker refuses a batch as a whole when one record in it is too large, or all together are. So what was refused is sent
again record by record: then those that are refused are the ones that can never be published.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException

from campaigns.ports import Refusal
from streams.errors import SinkUnavailableError, UnpublishableError
from streams.kafka.transactional_progress import OutgoingRecord, SendError, TransactionalProgress, open_progress
from streams.runtime.worker_thread import WorkerThread
from streams.topic_descriptions import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from campaigns.ports import OutboxRow

Result = TypeVar("Result")
_log = logging.getLogger("librdkafka")
log = structlog.get_logger()

TIMEOUT_S = 10.0
# librdkafka (seen in 2.16) may never return from send_offsets_to_transaction, despite its timeout, when the broker
# restarts at that moment. Such a producer is abandoned with its thread, and the next one fences it.
ABANDON_S = 15.0
# librdkafka queues 100,000 messages at most; a partition may have more unsent after a long absence of the broker.
MAX_IN_TRANSACTION = 10_000
MAX_SINGLY = 1_000
"""Records in a transaction that sends each in a batch of its own."""
OPTIONS = {"partitioner": "murmur2_random", "compression.type": "none"}
PERMANENT = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
}
"""Errors that lie in the record: it fails again however often it is sent.

TOPIC_AUTHORIZATION_FAILED, an unknown topic and INVALID_TIMESTAMP are not among them. They concern every record of the
topic, and end when an operator grants the right, creates the topic or corrects this host's clock, which stamps the
records; setting records aside until then would lose all of them. They are retried, and health says so.
"""


class KafkaTriggerSink:
    """A TriggerSink with one transactional producer for each acquired partition.

    Args:
        connection: librdkafka properties that connect to the broker.
        group: the workers' consumer group; the name of the publisher's group derives from it.
        ledger_id: distinguishes this ledger's sequences from those of other ledgers on the broker.
        topics: topic name by destination.
        progress_topic: a topic with as many partitions as the input; its partitions are the keys in the offset store.
        options: librdkafka properties of the producers: partitioner, compression.type.
        timeout_s: the longest wait for each answer of the broker.
        abandon_s: the time after which a producer that does not return is abandoned.
    """

    def __init__(
        self,
        connection: Mapping[str, str],
        *,
        group: str,
        ledger_id: str,
        topics: Mapping[str, str],
        progress_topic: str,
        options: Mapping[str, str] = OPTIONS,
        timeout_s: float = TIMEOUT_S,
        abandon_s: float = ABANDON_S,
    ) -> None:
        self._connection = dict(connection)
        self._timeout_s = timeout_s
        self._abandon_s = abandon_s
        self._options = options
        self._group = f"{group}.outbox.{ledger_id}"
        self._topics = topics
        self._progress_topic = progress_topic
        self._producers: dict[int, TransactionalProgress] = {}
        self._progress: dict[int, int] = {}
        # Partitions whose producer sends each record in a batch of its own, until they are fenced again.
        self._singly: set[int] = set()
        # A producer has one transaction at a time.
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._threads: dict[int, WorkerThread] = {}
        self._offsets = open_progress(self._connection, self._group)

    async def fence(self, partition: int) -> int:
        """See the port."""
        async with self._turns[partition]:
            return await self._fence(partition)

    async def publish(self, partition: int, rows: Sequence[OutboxRow]) -> None:
        """See the port."""
        async with self._turns[partition]:
            if partition not in self._producers:
                raise SinkUnavailableError(f"partition {partition} is not acquired yet; publishing is retried")
            refusals = await self._send_all(partition, rows)
            if refusals and partition not in self._singly:
                log.warning("batch_refused", partition=partition, records=len(rows), next="send its records one by one")
                await self._fence(partition, singly=True)
                refusals = await self._send_all(partition, rows)
            if refusals:
                await self._fence(partition)
                raise UnpublishableError(refusals)

    def close(self) -> None:
        """Wait a little for the threads and end the connections; what is in flight is aborted by the next owner."""
        for thread in self._threads.values():
            thread.end()
        for thread in self._threads.values():
            thread.join(self._timeout_s / len(self._threads))
        self._producers.clear()
        self._offsets.close()

    async def _fence(self, partition: int, *, singly: bool = False) -> int:
        self._discard(partition)
        self._threads[partition] = WorkerThread(f"outbox {partition}")
        opened = await self._wait_for(partition, partial(self._open, partition, singly=singly))
        self._producers[partition], self._progress[partition] = opened
        (self._singly.add if singly else self._singly.discard)(partition)
        return self._progress[partition]

    async def _send_all(self, partition: int, rows: Sequence[OutboxRow]) -> dict[int, Refusal]:
        """Publish what is not published yet, up to the first transaction that is refused; return why, by sequence.

        Raises:
            SinkUnavailableError: the partition must be acquired again.
        """
        left = [each for each in rows if each.sequence > self._progress[partition]]
        most = MAX_SINGLY if partition in self._singly else MAX_IN_TRANSACTION
        for start in range(0, len(left), most):
            together = left[start : start + most]
            refusals = await self._send(partition, together)
            if refusals:
                return refusals
            self._progress[partition] = together[-1].sequence
        return {}

    async def _send(self, partition: int, together: Sequence[OutboxRow]) -> dict[int, Refusal]:
        """Publish rows in one transaction, or return by sequence why some can never be published."""
        # Put back only when all went well: after anything else the partition must be acquired again.
        producer = self._producers.pop(partition)
        records = [self._record(each) for each in together]
        try:
            await self._wait_for(partition, partial(producer.send, records, together[-1].sequence))
        except SendError as error:
            self._discard(partition, producer)
            refused = {place: each for place, each in error.reports.items() if each.code() in PERMANENT}
            if not refused:
                raise SinkUnavailableError(f"publishing failed: {error}; it is retried") from error
            return {together[place].sequence: _refusal(records[place], each) for place, each in refused.items()}
        except SinkUnavailableError:
            self._discard(partition, producer)
            raise
        self._producers[partition] = producer
        return {}

    def _record(self, row: OutboxRow) -> OutgoingRecord:
        message = row.message
        return OutgoingRecord(self._topics[message.destination], message.key, message.value, list(message.headers))

    async def _wait_for(self, partition: int, work: Callable[[], Result]) -> Result:
        """Run a blocking function in the partition's thread and return its result."""
        answer = self._threads[partition].call(work)
        try:
            async with asyncio.timeout(self._abandon_s):
                return await asyncio.wrap_future(answer)
        except KafkaException as error:
            raise SinkUnavailableError(f"publishing failed: {error.args[0].str()}; it is retried") from error
        except TimeoutError as error:
            raise SinkUnavailableError(
                f"publishing took more than {self._abandon_s:g} s; a new producer retries it"
            ) from error

    def _discard(self, partition: int, producer: TransactionalProgress | None = None) -> None:
        """End a producer in its thread, and the thread: librdkafka may wait for what the producer has in flight.

        On the event loop this would block everything, the probes included.
        """
        producer = producer or self._producers.pop(partition, None)
        thread = self._threads.pop(partition, None)
        if thread is not None:
            if producer is not None:
                thread.call(producer.close)
            thread.end()

    def _open(self, partition: int, *, singly: bool) -> tuple[TransactionalProgress, int]:
        """Return a producer that fences the previous one, and the last sequence that one published."""
        producer = TransactionalProgress(
            self._connection,
            transactional_id=f"{self._group}.{partition}",
            progress=self._offsets,
            place=(self._progress_topic, partition),
            options={
                "transaction.timeout.ms": 60_000,
                "linger.ms": 0 if singly else 2,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                **self._options,
                **({"batch.num.messages": 1} if singly else {}),
            },
            logger=_log,
            timeout_s=self._timeout_s,
        )
        return producer, producer.fence()


def _refusal(record: OutgoingRecord, error: KafkaError) -> Refusal:
    size = "no value" if record.value is None else f"a value of {len(record.value):,} bytes"
    return Refusal(record.topic, f"{error.str()}; {size}, headers not counted")
