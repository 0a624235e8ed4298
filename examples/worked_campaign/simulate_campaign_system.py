"""Stands in for a campaign system: sends nothing, and reports simulated conversions of both arms.

A real one sends each trigger of `campaign-triggers`, and looks up later who has bought. It does the second for the
exposures of `campaign-triggers.control`, too: without them every sale would look like an effect.
"""

from __future__ import annotations

import json
import os
import random

from confluent_kafka import Consumer, Producer

BROKER, PREFIX = os.environ["HOLDFAST_BROKER"], os.environ.get("HOLDFAST_TOPIC_PREFIX", "")
CONVERTS = {"treatment": 0.2, "control": 0.08}
IDLE_S = 10.0


def main() -> None:
    """Report until no trigger arrives any more."""
    consumer = Consumer(
        {
            "bootstrap.servers": BROKER,
            "group.id": f"{PREFIX}worked-campaign",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([f"{PREFIX}campaign-triggers", f"{PREFIX}campaign-triggers.control"])
    # By the partitioner of Java clients, which workers expect.
    producer = Producer({"bootstrap.servers": BROKER, "partitioner": "murmur2_random"})
    received = converted = 0
    while (record := consumer.poll(IDLE_S)) is not None:
        if record.error():
            continue
        trigger = json.loads(record.value())
        received += 1
        # The same trigger has the same outcome: reporting it twice counts once.
        if random.Random(trigger["trigger_id"]).random() < CONVERTS[trigger["variant"]]:  # noqa: S311 - no secret
            converted += 1
            producer.produce(f"{PREFIX}outcomes", json.dumps(report(trigger)), key=record.key())
    producer.flush()
    consumer.close()
    print(f"{received} triggers and control exposures, {converted} conversions reported")  # noqa: T201 - its output


def report(trigger: dict[str, str]) -> dict[str, object]:
    """Return the outcome event of a customer who bought for 40 at the time of the trigger."""
    return {
        "id": f"converted-{trigger['trigger_id']}",
        "type": "outcome.converted",
        "customer_id": trigger["customer_id"],
        "occurred_at": trigger["as_of"],
        "trigger_id": trigger["trigger_id"],
        "value": 40.0,
    }


if __name__ == "__main__":
    main()
