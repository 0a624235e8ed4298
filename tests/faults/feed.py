"""The input of a soak: sent over a period despite broker outages, and read back from the topics."""

from __future__ import annotations

import heapq
import time
from threading import Event, Thread
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from streams.settings import INPUT_TOPICS
from tests.faults.run import TIMEOUT_S
from tests.faults.scenario import PARTITIONS, InputRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DELIVERY_S = 30
"""Longer than a restart of the broker takes."""


class Feeder(Thread):
    """Sends the input over a period despite broker outages."""

    def __init__(self, broker: str, prefix: str, records: Sequence[InputRecord], seconds: float) -> None:
        super().__init__(name="feeder", daemon=True)
        self._broker, self._prefix = broker, prefix
        self._records, self._seconds = records, seconds
        self._pause, self._undelivered = Event(), Event()

    def run(self) -> None:
        """Send the input; replace a producer that fails, or that delivers nothing any more."""
        begin, producer = time.monotonic(), self._connect()
        for number, record in enumerate(self._records):
            self._pause.wait(max(0.0, begin + self._seconds * number / len(self._records) - time.monotonic()))
            try:
                producer.produce(self._prefix + record.topic, record.value, record.key, partition=record.partition)
                producer.poll(0)
            except KafkaException:
                producer = self._connect()
            if self._undelivered.is_set():
                self._undelivered.clear()
                producer = self._connect()
        producer.flush(TIMEOUT_S)

    def _connect(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._broker,
                "enable.idempotence": True,
                "linger.ms": 5,
                # After a restart of the broker librdkafka (seen in 2.16) may send nothing more.
                "message.timeout.ms": DELIVERY_S * 1000,
                "log_level": 0,
                "on_delivery": self._note,
            }
        )

    def _note(self, error: object, _: object) -> None:
        if error is not None:
            self._undelivered.set()


def read_input(broker: str, prefix: str) -> list[InputRecord]:
    """Return the records of the input topics, in order of offset within each partition."""
    properties = {"bootstrap.servers": broker, "group.id": f"{prefix}reader", "enable.auto.commit": False}
    consumer = Consumer(properties)
    try:
        places = [TopicPartition(prefix + topic, number) for topic in INPUT_TOPICS for number in range(PARTITIONS)]
        partitions = [list(read_partition(consumer, place, len(prefix))) for place in places]
    finally:
        consumer.close()
    return [record for _, record in heapq.merge(*partitions, key=lambda each: each[0])]


def read_partition(consumer: Consumer, place: TopicPartition, prefix: int) -> Iterator[tuple[int, InputRecord]]:
    """Yield the records of a partition, each with its time."""
    end = consumer.get_watermark_offsets(place, timeout=20)[1]
    consumer.assign([TopicPartition(place.topic, place.partition, OFFSET_BEGINNING)])
    expected = 0
    while expected < end:
        for record in consumer.consume(1000, 0.05):
            if record.error() is None:
                # The undisturbed run has the same offsets only if there are no gaps.
                assert record.offset() == expected, f"{place.topic} has a gap before offset {record.offset()}"
                expected += 1
                value = InputRecord(place.topic[prefix:], place.partition, record.key(), record.value())
                yield record.timestamp()[1], value
