"""Measures the time from when an event is due to a read_committed consumer reading its trigger.

The producer runs in its own process and writes the time into the id of each event; a trigger carries the id of the
event that caused it. Several events of one customer in a batch are decided once, at the last of them, whose id counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from confluent_kafka import Consumer

from benchmarks.errors import BenchmarkError
from benchmarks.place import open_place
from benchmarks.processes import cpu_seconds
from benchmarks.workers import ROOT, Committed, run_workers
from benchmarks.workload import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.place import Place
    from benchmarks.workers import Workers
    from console.embedded.services import EmbeddedServices

FIXED_RATE = 8000
PERCENTS = (10, 50, 80)
IDLE_RATE = 10
IDLE = Size(events=0, customers=2000, entering=1000.0)
"""Nearly every event makes a trigger, so that a few events a second give enough samples."""
WARM_S = 3.0
COMPILING_S = 20.0
DRAIN_S = 3.0
JOIN_S = 60.0
QUANTILES = {"p50": 50, "p99": 99, "p99_9": 99.9}
MILLISECOND_NS = 1e6


def measure_idle(services: EmbeddedServices, seconds: float) -> dict[str, Any]:
    """Return the CPU of a worker without events, in percent of a core, and its latency at a few events a second."""
    with open_place(services, IDLE) as place, working(place) as (sibling, _, workers):
        time.sleep(WARM_S)
        before, began = cpu_seconds(workers.pids), time.perf_counter()
        time.sleep(seconds)
        spent = sum(cpu_seconds(workers.pids).values()) - sum(before.values())
        percent = round(100 * spent / (time.perf_counter() - began), 1)
        return {"idle_cpu_percent": percent, "latency_ms": {"idle": _observe(sibling, IDLE_RATE, seconds, workers)}}


def measure_loads(place: Place, peak: float, seconds: float) -> dict[str, Any]:
    """Return the latency at 8,000 events/s and at fractions of `peak`, also in events/s."""
    rates = {f"{FIXED_RATE}_per_s": FIXED_RATE, **{f"{each}_percent": round(peak * each / 100) for each in PERCENTS}}
    with working(place) as (sibling, _, workers):
        # Warm-up: Kafka's JVM has not compiled the path of small produce requests yet.
        _observe(sibling, round(peak / 2), COMPILING_S, workers)
        return {"latency_ms": {name: _observe(sibling, rate, seconds, workers) for name, rate in rates.items()}}


@contextmanager
def working(place: Place) -> Iterator[tuple[Place, dict[str, str], Workers]]:
    """Yield a place with empty topics, its environment, and a worker that has joined its group."""
    sibling = place.with_new_topics()
    sibling.create_topics()
    group = f"{sibling.prefix}group"
    with sibling.lend_ledger(due=False) as ledger_url:
        environment = sibling.live_environment(ledger_url, group)
        with run_workers(environment, sibling.folder / f"{group}.log") as workers:
            _wait_until_working(sibling, group, workers)
            yield sibling, environment, workers


def _wait_until_working(place: Place, group: str, workers: Workers) -> None:
    """Send one second of events, and wait until they are committed."""
    committed = Committed(place.endpoints.broker, group, place.input_topics)
    produce(place, IDLE_RATE, 1.0)
    committed.wait_for(IDLE_RATE, workers)
    committed.close()


def _observe(place: Place, rate: int, seconds: float, workers: Workers) -> dict[str, Any]:
    """Produce at this rate (events/s) and return the latency quantiles of the triggers, ms."""
    topic = f"{place.prefix}campaign-triggers"
    with reading(place.endpoints.broker, topic) as consumer:
        pids = workers.pids
        before, began, generated = cpu_seconds(pids), time.perf_counter(), generator_seconds()
        with producing(place, rate, WARM_S + seconds) as producer:
            taken = read_triggers(consumer, producer, workers.check_alive)
            kept, _ = producer.communicate()
        spent = sum(cpu_seconds(pids).values()) - sum(before.values())
        percents = {
            "worker_core_percent": round(100 * spent / (time.perf_counter() - began)),
            "generator_core_percent": round(100 * (generator_seconds() - generated) / (time.perf_counter() - began)),
        }
    if not taken:
        raise BenchmarkError(f"at {rate} events/s no trigger was read; see the worker's log")
    first = min(produced for produced, _ in taken) + WARM_S * 1000 * MILLISECOND_NS
    waits = [(read - produced) / MILLISECOND_NS for produced, read in taken if produced >= first]
    return {"events_per_s": int(kept), "triggers": len(waits), **describe_waits(waits), **percents}


def describe_waits(waits: Sequence[float]) -> dict[str, float]:
    """Return the quantiles."""
    return {name: round(float(np.percentile(waits, each)), 1) for name, each in QUANTILES.items()}


def generator_seconds() -> float:
    """Return the CPU seconds of this process, which reads the triggers, and of the producers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def read_triggers(
    consumer: Consumer, producer: subprocess.Popen[bytes], check: Callable[[], None]
) -> list[tuple[int, int]]:
    """Read until no more triggers arrive; return for each when its event was due and when it was read, in ns.

    Args:
        consumer: reads the triggers.
        producer: produces the events.
        check: raises where nothing can arrive any more.
    """
    taken: list[tuple[int, int]] = []
    quiet_since = time.monotonic()
    while producer.poll() is None or time.monotonic() - quiet_since < DRAIN_S:
        # One at a time: consume(n, t) would wait for n messages.
        message = consumer.poll(0.1)
        if message is None or message.error():
            check()
            continue
        quiet_since = time.monotonic()
        cause = dict(message.headers() or ())["ce_correlationid"]
        taken.append((int(bytes(cause).partition(b"-")[0]), time.time_ns()))
    return taken


@contextmanager
def reading(broker: str, topic: str) -> Iterator[Consumer]:
    """Yield a read_committed consumer positioned at the end of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": f"{topic}.reader",
            "auto.offset.reset": "latest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
        }
    )
    consumer.subscribe([topic])
    deadline = time.monotonic() + JOIN_S
    while not consumer.assignment():
        consumer.poll(0.1)
        if time.monotonic() > deadline:
            raise BenchmarkError(f"no partition of {topic} was assigned within {JOIN_S:g} s")
    time.sleep(1)
    try:
        yield consumer
    finally:
        consumer.close()


def produce(place: Place, rate: int, seconds: float) -> None:
    """Produce at this rate (events/s) for some seconds."""
    with producing(place, rate, seconds) as producer:
        producer.communicate()
    if producer.returncode:
        raise BenchmarkError(f"the producer ended with exit code {producer.returncode}")


@contextmanager
def producing(place: Place, rate: int, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that produces at this rate (events/s), for some seconds and not beyond the block.

    It prints the rate achieved.
    """
    command = _write_command(place, rate, seconds)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as producer:  # noqa: S603 - a module of this repository
        try:
            yield producer
        finally:
            producer.kill()


def _write_command(place: Place, rate: int, seconds: float) -> list[str]:
    where = [place.endpoints.broker, place.prefix, str(place.size.customers)]
    return [sys.executable, "-m", "benchmarks.paced", *where, str(rate), str(seconds)]
