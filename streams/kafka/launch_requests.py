"""Requests for evaluation, one for each member of a launch, on the evaluations topic."""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import KafkaException, Producer

from streams.errors import BrokerUnavailableError
from streams.kafka.connection import describe_connection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from streams.settings import Settings

DELIVERY_TIMEOUT_S = 30.0
POLL_S = 0.1
MAX_ID = 200
"""The longest id that an event may have, see streams/formats/events.py."""
NAMESPACE = uuid.UUID("2c8a5f5e-95b5-5a4c-8b0b-8f3a6e5f0d11")

# What goes wrong is raised once; librdkafka would repeat it on stderr.
_quiet = logging.getLogger("holdfast.launch.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class LaunchRequestProducer:
    """Publishes requests and waits until Kafka has acknowledged them.

    Args:
        settings: where Kafka is, the topic's prefix and the partitioner.
        timeout_s: longest wait for the acknowledgement of what was published.
    """

    def __init__(self, settings: Settings, *, timeout_s: float = DELIVERY_TIMEOUT_S) -> None:
        self._topic = f"{settings.topic_prefix}evaluations"
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

    def publish(self, campaign: str, launch_id: str, customer_ids: Sequence[str], *, as_of: datetime) -> None:
        """Publish a request for each customer; return when all of them are acknowledged.

        Raises:
            BrokerUnavailableError: some are not acknowledged in time.
        """
        deadline = time.monotonic() + self._timeout_s
        for customer_id in customer_ids:
            event = {
                "id": event_id(launch_id, customer_id),
                "type": "evaluation.requested",
                "customer_id": customer_id,
                "occurred_at": as_of,
                "reason": "launch",
                "campaign": campaign,
                "launch": launch_id,
            }
            self._produce(customer_id, msgspec.json.encode(event), deadline)
        while len(self._producer) and not self._failed and time.monotonic() < deadline:
            self._producer.poll(POLL_S)
        if self._failed:
            raise BrokerUnavailableError(self._failed[0])
        if left := len(self._producer):
            raise BrokerUnavailableError(f"Kafka did not acknowledge {left:,} requests within {self._timeout_s:g} s")

    def _produce(self, key: str, value: bytes, deadline: float) -> None:
        while not self._failed:
            try:
                self._producer.produce(self._topic, key=key, value=value, on_delivery=self._note)
                self._producer.poll(0)
            except BufferError:  # as many as librdkafka queues: some must be acknowledged first
                if time.monotonic() > deadline:
                    raise BrokerUnavailableError(f"Kafka acknowledged no request for {self._timeout_s:g} s") from None
                self._producer.poll(POLL_S)
            except KafkaException as error:
                raise BrokerUnavailableError(error.args[0].str()) from error
            else:
                return

    def _note(self, error: object, _: object) -> None:
        if error is not None:
            self._failed.append(str(error))


def event_id(launch_id: str, customer_id: str) -> str:
    """Return the id of a request, the same for the same launch and customer."""
    plain = f"launch-{launch_id}-{customer_id}"
    return plain if len(plain) <= MAX_ID else f"launch-{uuid.uuid5(NAMESPACE, plain)}"
