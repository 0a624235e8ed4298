"""confluent-kafka's consumer, 1,000 messages per call, a deep queue: the upper bound for a Python process."""

from __future__ import annotations

import sys

from confluent_kafka import Consumer

from benchmarks.contenders.stopwatch import Stopwatch

TUNED = {"queued.min.messages": 1_000_000, "queued.max.messages.kbytes": 1_000_000, "fetch.wait.max.ms": 50}


def read(broker: str, topic: str, group: str, events: int) -> None:
    """Read this many events in a new consumer group."""
    reached = {"bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest"}
    consumer, watch, done = Consumer({**reached, **TUNED}), Stopwatch(events), False
    consumer.subscribe([topic])
    while not done:
        messages = consumer.consume(1000, 1.0)
        done = bool(messages) and watch.note(len([each.value() for each in messages]))
    watch.report()
    consumer.close()


if __name__ == "__main__":
    read(*sys.argv[1:4], int(sys.argv[4]))
