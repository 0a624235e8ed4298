"""Builds and publishes the events of the demo's warehouse, channels and campaign system."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec
from confluent_kafka import Producer

from streams.errors import BrokerUnavailableError
from streams.kafka.connection import describe_connection

if TYPE_CHECKING:
    from datetime import datetime

    from console.synthetic import Message
    from console.warehouse import Invoice
    from streams.settings import Settings

FLUSH_TIMEOUT_S = 30


def order_event(invoice: Invoice) -> dict[str, Any]:
    """Return the warehouse's event for an order."""
    attributes = {"order_id": invoice.order_id, "amount": invoice.amount, "cancelled": invoice.cancelled}
    return _updated(
        f"order-{invoice.order_id}-{invoice.customer_id}", invoice.customer_id, invoice.ordered_at, attributes
    )


def first_event(customer_id: str, at: datetime) -> dict[str, Any]:
    """Return the warehouse's event for a customer who was one before the play."""
    return _updated(f"first-{at:%Y%m%d}-{customer_id}", customer_id, at, {"load": "initial"})


def message_event(message: Message) -> dict[str, Any]:
    """Return a channel's event for a conversation message."""
    return {
        "id": message.id,
        "type": "conversation.message",
        "customer_id": message.customer_id,
        "occurred_at": message.occurred_at,
        "channel": message.channel,
        "role": message.role,
        "text": message.text,
    }


def outcome_event(trigger: dict[str, Any], outcome: str, value: float | None) -> dict[str, Any]:
    """Return the campaign system's outcome event for a trigger."""
    return {
        "id": f"{outcome}-{trigger['trigger_id']}",
        "type": f"outcome.{outcome}",
        "customer_id": trigger["customer_id"],
        "occurred_at": trigger["as_of"],
        "trigger_id": trigger["trigger_id"],
        "value": value,
    }


def _updated(event_id: str, customer_id: str, at: datetime, attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": "customer.updated",
        "customer_id": customer_id,
        "occurred_at": at,
        "attributes": attributes,
    }


@dataclass(slots=True)
class Publisher:
    """Publishes events keyed by customer and counts them; thread-safe."""

    settings: Settings
    sent: int = 0
    failed: list[str] = field(default_factory=list)
    _producer: Producer = field(init=False)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._producer = Producer(
            {
                **describe_connection(self.settings),
                "partitioner": self.settings.partitioner,
                "enable.idempotence": True,
                "linger.ms": 5,
            },
            logger=logging.getLogger("librdkafka"),
        )

    def publish(self, topic: str, event: dict[str, Any]) -> None:
        """Publish an event on the topic of that short name."""
        self.publish_bytes(topic, event["customer_id"].encode(), msgspec.json.encode(event))

    def publish_bytes(self, topic: str, key: bytes, value: bytes) -> None:
        """Publish bytes unchanged."""
        with self._lock:
            self.sent += 1
        self._producer.produce(self.settings.topic_prefix + topic, key=key, value=value, on_delivery=self._note)
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until the broker has acknowledged everything.

        Raises:
            BrokerUnavailableError: the broker has not acknowledged all events.
        """
        unsent = self._producer.flush(FLUSH_TIMEOUT_S)
        if unsent or self.failed:
            raise BrokerUnavailableError(
                f"{unsent + len(self.failed)} events of the demo were not acknowledged {self.failed[:1]}"
            )

    def _note(self, error: object, _message: object) -> None:
        if error is not None:
            self.failed.append(str(error))
