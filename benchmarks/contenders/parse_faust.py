"""A stock Faust agent over a JSON topic, every event acknowledged, on uvloop, with a large buffer."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop

from benchmarks.contenders.stock_faust import build_app
from benchmarks.contenders.stopwatch import Stopwatch


async def read(broker: str, topic: str, group: str, events: int) -> None:
    """Read this many events in a new consumer group."""
    app = build_app(broker, group)
    done, watch = asyncio.Event(), Stopwatch(events)

    @app.agent(app.topic(topic, value_serializer="json"))
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
