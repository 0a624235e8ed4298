"""Triggers in, outcomes out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from delivery.outcomes import describe_opt_out, describe_report
from streams.errors import BrokerUnavailableError, SinkUnavailableError, TopicLayoutError
from streams.kafka.connection import describe_connection, quiet_logger
from streams.kafka.event_producer import EventProducer
from streams.runtime.worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from delivery.outcomes import OptOut, Report
    from delivery.ports import Record
    from streams.settings import Settings

Result = TypeVar("Result")
BATCH_RECORDS = 500
WAIT_S = 0.2
TIMEOUT_S = 10.0
_quiet = quiet_logger("holdfast.deliver.librdkafka")


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """A record of the topic of triggers."""

    partition: int | None
    offset: int | None
    value: bytes | None


class TriggerConsumer:
    """Reads campaign-triggers as a read_committed consumer. Offsets are committed by the caller, after the fact."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.output_topics["campaign_triggers"]
        self._thread = WorkerThread("triggers")
        self._consumer = Consumer(
            {
                **describe_connection(settings),
                "group.id": f"{settings.group}.deliver",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "session.timeout.ms": int(settings.session_timeout_s * 1000),
            },
            logger=_quiet,
        )

    async def open(self) -> None:
        """Subscribe.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
            TopicLayoutError: the topic does not exist.
        """
        await self._call(self._subscribe)

    async def read(self) -> Sequence[Record]:
        """See the port."""
        return await self._call(self._read)

    async def commit(self, records: Sequence[Record]) -> None:
        """See the port."""
        await self._call(self._commit, records)

    async def close(self) -> None:
        """Leave the group."""
        closed = self._thread.call(self._consumer.close)
        self._thread.end()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.wrap_future(closed)
        except TimeoutError:
            return

    async def _call(self, work: Callable[..., Result], *arguments: object) -> Result:
        # Shielded: a call that is cancelled before it runs would end the thread.
        return await asyncio.shield(asyncio.wrap_future(self._thread.call(work, *arguments)))

    def _subscribe(self) -> None:
        try:
            found = self._consumer.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
        except KafkaException as error:
            raise BrokerUnavailableError(f"HOLDFAST_BROKER: {error.args[0].str()}") from error
        if found.error is not None:
            raise TopicLayoutError(
                f"topic {self._topic} cannot be read: {found.error.str()}; run: holdfast topics create"
            )
        self._consumer.subscribe([self._topic])

    def _read(self) -> Sequence[TriggerRecord]:
        found = self._consumer.consume(BATCH_RECORDS, WAIT_S)
        records = [TriggerRecord(each.partition(), each.offset(), each.value()) for each in found if not each.error()]
        errors = [error for each in found if (error := each.error())]
        # Records that came with an error are returned: the consumer does not give them again.
        if errors and not records:
            raise SinkUnavailableError(f"triggers cannot be read: {errors[0].str()}")
        return records

    def _commit(self, records: Sequence[Record]) -> None:
        ends: dict[int, int] = {}
        for each in records:
            if each.partition is not None and each.offset is not None:
                ends[each.partition] = max(ends.get(each.partition, 0), each.offset + 1)
        places = [TopicPartition(self._topic, partition, end) for partition, end in ends.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            raise SinkUnavailableError(f"offsets of triggers cannot be committed: {error.args[0].str()}") from error


class KafkaReports:
    """Publishes outcome events."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = WorkerThread("outcomes")
        self._producer: EventProducer | None = None

    async def publish(self, reports: Sequence[Report], opt_outs: Sequence[OptOut]) -> None:
        """See the port."""
        events = [*map(describe_opt_out, opt_outs), *map(describe_report, reports)]
        if self._producer is None:
            self._producer = EventProducer(self._settings, "outcomes", timeout_s=TIMEOUT_S)
        try:
            await asyncio.shield(asyncio.wrap_future(self._thread.call(self._producer.publish, events)))
        except BrokerUnavailableError as error:
            self._producer = None
            raise SinkUnavailableError(f"outcomes cannot be published: {error}") from error
