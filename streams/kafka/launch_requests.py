"""Requests for evaluation, one for each member of a launch, on the evaluations topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.kafka.event_producer import DELIVERY_TIMEOUT_S, EventProducer, event_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from streams.settings import Settings


class LaunchRequestProducer:
    """Publishes requests and waits until Kafka has acknowledged them.

    Args:
        settings: where Kafka is, the topic's prefix and the partitioner.
        timeout_s: longest wait for the acknowledgement of what was published.
    """

    def __init__(self, settings: Settings, *, timeout_s: float = DELIVERY_TIMEOUT_S) -> None:
        self._events = EventProducer(settings, "evaluations", timeout_s=timeout_s)

    def publish(self, campaign: str, launch_id: str, customer_ids: Sequence[str], *, as_of: datetime) -> None:
        """Publish a request for each customer; return when all of them are acknowledged.

        Raises:
            BrokerUnavailableError: some are not acknowledged in time.
        """
        self._events.publish(
            {
                "id": event_id("launch", launch_id, customer_id),
                "type": "evaluation.requested",
                "customer_id": customer_id,
                "occurred_at": as_of,
                "reason": "launch",
                "campaign": campaign,
                "launch": launch_id,
            }
            for customer_id in customer_ids
        )
