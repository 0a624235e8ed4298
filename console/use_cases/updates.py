"""Announcing that customers changed, as the warehouse's own producer would: for tries and repairs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from streams.kafka.event_producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.settings import Settings


def publish_updates(settings: Settings, customer_ids: Sequence[str]) -> int:
    """Publish an update of each customer, dated now; return their number.

    Raises:
        BrokerUnavailableError: Kafka has not acknowledged all of them in time.
    """
    now, batch = datetime.now(UTC), uuid4().hex
    EventProducer(settings, "customer-updates").publish(
        {
            "id": f"update-{batch}-{number}",
            "type": "customer.updated",
            "customer_id": customer_id,
            "occurred_at": now,
        }
        for number, customer_id in enumerate(customer_ids)
    )
    return len(customer_ids)
