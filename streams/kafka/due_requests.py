"""Requests to evaluate customers who are due, on the evaluations topic."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from streams.due_customers import DUE
from streams.errors import BrokerUnavailableError
from streams.kafka.event_producer import DELIVERY_TIMEOUT_S, EventProducer, event_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.ports import DueCustomer
    from streams.settings import Settings


class DueRequestProducer:
    """Publishes requests and waits until Kafka has acknowledged them.

    A request is of the type that workers of earlier versions evaluate, too.

    Args:
        settings: where Kafka is, the topic's prefix and the partitioner.
        at_due_time: whether customers are evaluated as of the time at which they are due, and not as of now.
        timeout_s: longest wait for the acknowledgement of what was published.
    """

    def __init__(self, settings: Settings, *, at_due_time: bool, timeout_s: float = DELIVERY_TIMEOUT_S) -> None:
        self._settings = settings
        self._at_due_time = at_due_time
        self._timeout_s = timeout_s
        self._events: EventProducer | None = None

    async def publish(self, customers: Sequence[DueCustomer], now: int) -> None:
        """Publish a request for each customer.

        Args:
            customers: who is due.
            now: seconds since 1970.

        Raises:
            BrokerUnavailableError: some are not acknowledged in time; publish all again.
        """
        events = self._events or EventProducer(self._settings, "evaluations", timeout_s=self._timeout_s)
        self._events = events
        try:
            await asyncio.to_thread(events.publish, [self._request(each, now) for each in customers])
        except BrokerUnavailableError:
            self._events = None  # it would report this failure again
            raise

    def _request(self, customer: DueCustomer, now: int) -> dict[str, object]:
        as_of = customer.due_at if self._at_due_time else now
        return {
            "id": event_id(DUE, str(customer.due_at), customer.customer_id),
            "type": "evaluation.requested",
            "customer_id": customer.customer_id,
            "occurred_at": datetime.fromtimestamp(as_of, UTC),
            "reason": DUE,
        }
