"""Events per second of Holdfast's consumer and of a stock Faust agent, both doing nothing with what they read.

Needs a broker, for example of `holdfast up`:  HOLDFAST_BROKER=127.0.0.1:9092 python benchmarks/consumer.py
The last line is a JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from statistics import median
from typing import Any
from uuid import uuid4

import faust
import uvloop
from confluent_kafka import Producer

from streams.app import AppSettings, StreamApp, build_app, faust_options, run_app
from streams.intake import Collector
from streams.topics import create_topics

EVENTS = 200_000
PARTITIONS = 4
ROUNDS = 3
EVENT = b"x" * 150


def main() -> None:
    """Fill a topic, read it with both by turns, and print the medians and their ratio."""
    broker = os.environ["HOLDFAST_BROKER"]
    topic = f"benchmark-{uuid4().hex[:8]}"
    create_topics(broker, [topic], PARTITIONS)
    produce(broker, topic)
    rates: dict[str, list[float]] = {"chunks": [], "stock": []}
    for _ in range(ROUNDS):
        rates["chunks"].append(uvloop.run(read_chunks(settings_for(broker, topic))))
        rates["stock"].append(uvloop.run(read_stock(settings_for(broker, topic))))
    chunks, stock = median(rates["chunks"]), median(rates["stock"])
    report = {
        "events": EVENTS,
        "rounds": ROUNDS,
        "chunks_per_s": round(chunks),
        "stock_per_s": round(stock),
        "ratio": round(chunks / stock, 1),
    }
    sys.stdout.write(json.dumps(report) + "\n")


def settings_for(broker: str, topic: str) -> AppSettings:
    """Return the settings of a new consumer group."""
    return AppSettings(broker, f"benchmark-{uuid4().hex[:8]}", (topic,))


def produce(broker: str, topic: str) -> None:
    """Write the events, evenly over the partitions."""
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 20, "queue.buffering.max.messages": EVENTS})
    for number in range(EVENTS):
        producer.produce(topic, EVENT, partition=number % PARTITIONS)
    producer.flush()


async def read_chunks(settings: AppSettings) -> float:
    """Read all events through the pump and the collector, acknowledging each batch; return events/s."""
    app, until = build_app(settings), asyncio.Event()
    running = asyncio.create_task(run_app(app, until))
    collector = Collector(app.intake, app.owns)
    rate = await measure(collector, app)
    until.set()
    await running
    return rate


async def measure(collector: Collector, app: StreamApp) -> float:
    """Return events/s from the first batch to the last event."""
    batch = await collector.collect()
    began, seen = time.perf_counter(), 0
    while True:
        app.acknowledge(batch)
        seen += len(batch)
        if seen >= EVENTS:
            return seen / (time.perf_counter() - began)
        batch = await collector.collect()


async def read_stock(settings: AppSettings) -> float:
    """Read all events with a stock Faust agent that acknowledges each; return events/s."""
    options = faust_options(settings) | {"stream_buffer_maxsize": 4096}
    app = faust.App(settings.group, **options)
    done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    @app.agent(app.topic(*settings.topics, value_type=bytes, value_serializer="raw"))
    async def count(stream: Any) -> None:
        began, seen = 0.0, 0
        async for _ in stream:
            began = began or time.perf_counter()
            seen += 1
            if seen == EVENTS:
                done.set_result(seen / (time.perf_counter() - began))

    await app.start()
    rate = await done
    await app.stop()
    return rate


if __name__ == "__main__":
    main()
