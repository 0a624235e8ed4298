"""confluent-kafka's consumer, 1,000 messages at a time, with a deep queue, and the JSON of each parsed: the ceiling."""

from __future__ import annotations

import json
import sys

from confluent_kafka import Consumer

from benchmarks.contenders.stopwatch import Stopwatch
from benchmarks.contenders.tuned_confluent import TUNED


def read(broker: str, topic: str, group: str, events: int) -> None:
    """Read so many events in a group that is new."""
    reached = {"bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest"}
    consumer, watch, done = Consumer({**reached, **TUNED}), Stopwatch(events), False
    consumer.subscribe([topic])
    while not done:
        messages = consumer.consume(1000, 1.0)
        done = bool(messages) and watch.note(len([json.loads(each.value()) for each in messages]))
    watch.report()
    consumer.close()


if __name__ == "__main__":
    read(*sys.argv[1:4], int(sys.argv[4]))
