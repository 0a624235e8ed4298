"""A stock Faust agent that acknowledges every event, on uvloop, with a large buffer."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from typing import Any

import faust
import uvloop

from benchmarks.contenders.stopwatch import Stopwatch


def build_app(broker: str, group: str) -> faust.App:
    """Return an app with the settings that Faust's documentation recommends for throughput."""
    return faust.App(
        group,
        broker=f"kafka://{broker}",
        datadir=tempfile.mkdtemp(),
        stream_buffer_maxsize=4096,
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )


async def read(broker: str, topic: str, group: str, events: int) -> None:
    """Read this many events in a new consumer group."""
    app = build_app(broker, group)
    done, watch = asyncio.Event(), Stopwatch(events)

    @app.agent(app.topic(topic, value_type=bytes, value_serializer="raw"))
    async def count(stream: Any) -> None:
        async for _ in stream:
            if watch.note(1):
                watch.report()
                done.set()

    await app.start()
    await done.wait()
    await app.stop()


if __name__ == "__main__":
    uvloop.run(read(*sys.argv[1:4], int(sys.argv[4])))
