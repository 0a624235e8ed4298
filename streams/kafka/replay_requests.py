"""Requests to decide what a replay had found missing, one for each trigger, on the evaluations topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.candidates import launch_occasion
from streams.kafka.event_producer import DELIVERY_TIMEOUT_S, EventProducer, event_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from streams.settings import Settings


LAUNCH = launch_occasion("")


class ReplayRequestProducer:
    """Publishes requests and waits until Kafka has acknowledged them.

    Args:
        settings: where Kafka is, the topic's prefix and the partitioner.
        timeout_s: longest wait for the acknowledgement of what was published.
    """

    def __init__(self, settings: Settings, *, timeout_s: float = DELIVERY_TIMEOUT_S) -> None:
        self._events = EventProducer(settings, "evaluations", timeout_s=timeout_s)

    def publish(self, missing: Sequence[tuple[str, str, str, str]], *, as_of: datetime) -> None:
        """Publish a request for each trigger; return when all of them are acknowledged.

        Args:
            missing: id, customer, campaign and occasion of each trigger.
            as_of: event time of the requests: their triggers are valid from then.

        Raises:
            BrokerUnavailableError: some are not acknowledged in time.
        """
        self._events.publish(
            {
                "id": event_id("replay", trigger, customer),
                "type": "evaluation.requested",
                "customer_id": customer,
                "occurred_at": as_of,
                "reason": "replay",
                "campaign": campaign,
                **_name_occasion(occasion),
            }
            for trigger, customer, campaign, occasion in missing
        )


def _name_occasion(occasion: str) -> dict[str, str]:
    """Return the field of a request that names the occasion: that of launches where it was one."""
    if occasion.startswith(LAUNCH):
        return {"launch": occasion.removeprefix(LAUNCH)}
    return {"occasion": occasion}
