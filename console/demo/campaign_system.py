"""A simulated campaign system: reads triggers as a read_committed consumer and reports outcomes."""

from __future__ import annotations

import random
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import msgspec
from confluent_kafka import Consumer

from campaigns.triggers import RECEIVED_HEADER
from console.demo.publisher import outcome_event
from streams.kafka.connection import describe_connection

if TYPE_CHECKING:
    from console.demo.publisher import Publisher
    from streams.settings import Settings

SEED = 20111209
CONVERTED, CLICKED, OPENED, UNSUBSCRIBED = 0.08, 0.18, 0.45, 0.47


class CampaignSystem:
    """Consumes campaign-triggers on its own thread; reports outcomes for half of them, by a seeded draw per trigger."""

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self.received = 0
        self.latencies_ms: list[float] = []
        self._publisher = publisher
        self._stop = Event()
        self._consumer = Consumer(
            {
                **describe_connection(settings),
                "group.id": f"{settings.group}.demo-campaign-system",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
            }
        )
        self._consumer.subscribe([settings.output_topics["campaign_triggers"]])
        self._thread = Thread(target=self._consume, name="campaign-system", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and leave the group."""
        self._stop.set()
        self._thread.join(timeout=10)
        self._consumer.close()

    def _consume(self) -> None:
        while not self._stop.is_set():
            for record in self._consumer.consume(500, 0.05):
                if record.error() is None:
                    self._receive(msgspec.json.decode(record.value() or b"{}"), dict(record.headers() or []))

    def _receive(self, trigger: dict[str, Any], headers: dict[str, Any]) -> None:
        self.latencies_ms.append(time.time() * 1000 - float(headers[RECEIVED_HEADER]))
        outcome = draw_outcome(trigger["trigger_id"])
        if outcome:
            value = 25.0 if outcome == "converted" else None
            self._publisher.publish("outcomes", outcome_event(trigger, outcome, value))
        self.received += 1


def draw_outcome(trigger_id: str) -> str | None:
    """Draw the outcome of a trigger, None for none; the same trigger always has the same outcome."""
    draw = random.Random(f"{SEED}:{trigger_id}").random()  # noqa: S311 - reproducible, not secret
    ladder = (
        (CONVERTED, "converted"),
        (CLICKED, "clicked"),
        (OPENED, "opened"),
        (UNSUBSCRIBED, "unsubscribed"),
    )
    return next((outcome for below, outcome in ladder if draw < below), None)
