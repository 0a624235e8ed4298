"""Quix Streams with an empty dataframe over bytes: no deserialisation, no step."""

from __future__ import annotations

import sys

from quixstreams import Application

from benchmarks.contenders.stopwatch import Stopwatch


def read(broker: str, topic: str, group: str, events: int) -> None:
    """Read this many events in a new consumer group."""
    watch = Stopwatch(events)

    def note(*_: object) -> None:
        if watch.note(1):
            watch.report()
            app.stop()

    app = Application(
        broker_address=broker,
        consumer_group=group,
        auto_offset_reset="earliest",
        on_message_processed=note,
        loglevel="ERROR",
    )
    app.dataframe(app.topic(topic, key_deserializer="bytes", value_deserializer="bytes"))
    app.run()


if __name__ == "__main__":
    read(*sys.argv[1:4], int(sys.argv[4]))
