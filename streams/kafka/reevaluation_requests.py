"""Requests to apply changed definitions, one for each customer, on the evaluations topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.kafka.event_producer import DELIVERY_TIMEOUT_S, EventProducer, event_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.records import ReevaluationRecord
    from streams.settings import Settings


class ReevaluationRequestProducer:
    """Sends requests; that they were decided is seen in the ledger, so no acknowledgement is waited for.

    Args:
        settings: where Kafka is, the topic's prefix and the partitioner.
        timeout_s: longest wait for room in the producer.
    """

    def __init__(self, settings: Settings, *, timeout_s: float = DELIVERY_TIMEOUT_S) -> None:
        self._events = EventProducer(settings, "evaluations", timeout_s=timeout_s)

    def send(self, reevaluation: ReevaluationRecord, customer_ids: Sequence[str]) -> None:
        """Send a request for each customer.

        Raises:
            BrokerUnavailableError: Kafka takes no more, or a request that was sent before cannot be delivered.
        """
        self._events.send(
            {
                "id": event_id("reevaluation", reevaluation.reevaluation_id, customer_id),
                "type": "evaluation.definitions_changed",
                "customer_id": customer_id,
                "occurred_at": reevaluation.as_of,
                "definitions": reevaluation.fingerprint,
            }
            for customer_id in customer_ids
        )
