"""Publishing events to an input topic, keyed by customer or lead, as commands do."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from confluent_kafka import KafkaException, Producer

from streams.errors import BrokerUnavailableError
from streams.kafka.connection import describe_connection, quiet_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.settings import Settings

DELIVERY_TIMEOUT_S = 30.0
MAX_ID = 200
"""The longest id that an event may have, see streams/formats/events.py."""
NAMESPACE = uuid.UUID("2c8a5f5e-95b5-5a4c-8b0b-8f3a6e5f0d11")
POLL_S = 0.1

_quiet = quiet_logger("holdfast.events.librdkafka")


class EventProducer:
    """Publishes events and waits until Kafka has acknowledged them.

    Args:
        settings: where Kafka is, the topics' prefix and the partitioner.
        topic: the topic, without the prefix.
        timeout_s: longest wait for the acknowledgement of what was published.
        key: the field of an event that is the key of its record.
    """

    def __init__(
        self, settings: Settings, topic: str, *, timeout_s: float = DELIVERY_TIMEOUT_S, key: str = "customer_id"
    ) -> None:
        self._key = key
        self._topic = f"{settings.topic_prefix}{topic}"
        self._timeout_s = timeout_s
        self._failed: list[str] = []
        self._producer = Producer(
            {
                **describe_connection(settings),
                "partitioner": settings.partitioner,
                "enable.idempotence": True,
                "delivery.report.only.error": True,
                "linger.ms": 5,
            },
            logger=_quiet,
        )

    def publish(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Publish events; return when all of them are acknowledged.

        Raises:
            BrokerUnavailableError: some are not acknowledged in time.
        """
        deadline = time.monotonic() + self._timeout_s
        self.send(events)
        while len(self._producer) and not self._failed and time.monotonic() < deadline:
            self._producer.poll(POLL_S)
        if self._failed:
            raise BrokerUnavailableError(self._failed[0])
        if left := len(self._producer):
            raise BrokerUnavailableError(f"Kafka did not acknowledge {left:,} events within {self._timeout_s:g} s")

    def send(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Publish events without a wait for their acknowledgement.

        Raises:
            BrokerUnavailableError: Kafka takes no more, or an event that was sent before cannot be delivered.
        """
        deadline = time.monotonic() + self._timeout_s
        for event in events:
            self._produce(event[self._key], msgspec.json.encode(event), deadline)
        if self._failed:
            raise BrokerUnavailableError(self._failed[0])

    def _produce(self, key: str, value: bytes, deadline: float) -> None:
        while not self._failed:
            try:
                self._producer.produce(self._topic, key=key, value=value, on_delivery=self._note)
                self._producer.poll(0)
            except BufferError:  # as many as librdkafka queues: some must be acknowledged first
                if time.monotonic() > deadline:
                    raise BrokerUnavailableError(f"Kafka acknowledged no event for {self._timeout_s:g} s") from None
                self._producer.poll(POLL_S)
            except KafkaException as error:
                raise BrokerUnavailableError(error.args[0].str()) from error
            else:
                return

    def _note(self, error: object, _: object) -> None:
        if error is not None:
            self._failed.append(str(error))


def event_id(kind: str, cause: str, customer_id: str) -> str:
    """Return the id of an event, the same for the same kind, cause and customer."""
    plain = f"{kind}-{cause}-{customer_id}"
    return plain if len(plain) <= MAX_ID else f"{kind}-{uuid.uuid5(NAMESPACE, plain)}"
