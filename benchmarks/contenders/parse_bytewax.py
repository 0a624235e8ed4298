"""A Bytewax dataflow that parses the JSON of every event and drops it. It reads the topic to its end."""

from __future__ import annotations

import json
import sys

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main

from benchmarks.contenders.stopwatch import Stopwatch


def read(broker: str, topic: str, events: int) -> None:
    """Read all events of a topic; Bytewax stores offsets itself and has no consumer group."""
    watch = Stopwatch(events)

    def parse(message: object) -> None:
        json.loads(message.value)  # type: ignore[attr-defined]
        if watch.note(1):
            watch.report()

    flow = Dataflow("parse")
    messages = op.input("updates", flow, KafkaSource([broker], [topic], tail=False))
    op.output("nothing", op.filter_map("parse", messages, parse), StdOutSink())
    run_main(flow)


if __name__ == "__main__":
    read(*sys.argv[1:3], int(sys.argv[4]))
