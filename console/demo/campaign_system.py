"""A simulated campaign system: reads triggers as a read_committed consumer and reports outcomes.

It reports the orders of the control group too, as a shop does that looks them up by trigger id.
"""

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
CONVERTED, CLICKED, OPENED, UNSUBSCRIBED = 0.16, 0.26, 0.53, 0.55
CONVERTED_ANYWAY = 0.06


class CampaignSystem:
    """Consumes triggers and control exposures on its own thread, and reports outcomes by a seeded draw for each.

    Attributes:
        received: the triggers and exposures.
        held: the triggers that it keeps until the end of quiet hours; nothing comes back of them in the demo.
        latencies_ms: from each event to its trigger.
    """

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self.received = 0
        self.held = 0
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
        self._consumer.subscribe([settings.output_topics[name] for name in ("campaign_triggers", "control")])
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
        is_treated = trigger["variant"] == "treatment"
        if is_treated:
            self.latencies_ms.append(time.time() * 1000 - float(headers[RECEIVED_HEADER]))
            self.held += "deliver_after" in trigger
        # No customer has read a trigger that is held, and the control group is observed in the same way.
        outcome = None if "deliver_after" in trigger else draw_outcome(trigger["trigger_id"], is_treated=is_treated)
        if outcome:
            value = 25.0 if outcome == "converted" else None
            self._publisher.publish("outcomes", outcome_event(trigger, outcome, value))
        self.received += 1


def draw_outcome(trigger_id: str, *, is_treated: bool) -> str | None:
    """Draw the outcome of a trigger or exposure, None for none; one id always has the same outcome."""
    draw = random.Random(f"{SEED}:{trigger_id}").random()  # noqa: S311 - reproducible, not secret
    if not is_treated:
        return "converted" if draw < CONVERTED_ANYWAY else None
    ladder = (
        (CONVERTED, "converted"),
        (CLICKED, "clicked"),
        (OPENED, "opened"),
        (UNSUBSCRIBED, "unsubscribed"),
    )
    return next((outcome for below, outcome in ladder if draw < below), None)
