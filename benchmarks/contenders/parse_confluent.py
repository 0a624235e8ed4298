"""confluent-kafka's consumer, 1,000 messages per call, a deep queue, JSON parsed: the upper bound for Python."""

from __future__ import annotations

import json
import sys

from confluent_kafka import Consumer

from benchmarks.contenders.stopwatch import Stopwatch
from benchmarks.contenders.tuned_confluent import TUNED


def read(broker: str, topic: str, group: str, events: int) -> None:
    """Read this many events in a new consumer group."""
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
