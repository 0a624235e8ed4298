"""Holdfast's consumer: chunks pass through the pump and the collector; every batch is acknowledged and committed."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from benchmarks.contenders.stopwatch import Stopwatch
from streams.kafka.app import AppSettings, build_app, run_app
from streams.runtime.batching import Collector
from streams.runtime.memory import freeze_memory


async def read(broker: str, topic: str, group: str, events: int) -> None:
    """Read this many events in a new consumer group."""
    app, until = build_app(AppSettings(broker, group, (topic,))), asyncio.Event()
    freeze_memory()
    running = asyncio.create_task(run_app(app, until))
    collector, watch, done = Collector(app.intake, app.owns), Stopwatch(events), False
    while not done:
        batch = await collector.collect()
        app.acknowledge(batch)
        done = watch.note(len(batch))
    watch.report()
    until.set()
    await running


if __name__ == "__main__":
    uvloop.run(read(*sys.argv[1:4], int(sys.argv[4])))
