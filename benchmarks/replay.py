"""Measures `holdfast replay` and what it costs live events: `python -m benchmarks.replay`.

    python -m benchmarks.replay [--events N] [--live EVENTS_PER_S] [--seconds S]

A worker decides a backlog of the workload's events; a replay decides the same events again, from the same topics. Then
live events come at a fixed rate: their latency, from producing an event to reading its trigger, is measured for some
seconds without a replay, and then while one runs from its start to its end. Kafka, Redis, PostgreSQL, producer and
reader share the machine with worker and replay. The last line is a JSON object, with the load of the machine before:
compare figures of one run only, and only where nothing else ran.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import click

from benchmarks.errors import BenchmarkError
from benchmarks.latency import COMPILING_S, produce
from benchmarks.machine import describe
from benchmarks.place import open_place
from benchmarks.processes import resident_mb
from benchmarks.reevaluation import observe
from benchmarks.workers import ROOT, Committed, run_workers
from benchmarks.workload import MESSAGES_PERCENT, Size
from console.embedded.services import EmbeddedServices
from streams.kafka.topics import create_topics
from streams.topic_descriptions import SHADOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.place import Place

WARM_RATE = 5000
WARM_CUSTOMERS = 1000
SAMPLE_S = 0.5
TARGET_SPEED = 0.8
TARGET_RATIO = 2.0


def measure(services: EmbeddedServices, events: int, live: int, seconds: float) -> dict[str, Any]:
    """Return the events per second of a worker and of a replay, and the latency of live events without and with it."""
    updates = events * 100 // (100 + MESSAGES_PERCENT)
    with open_place(services, Size(events=updates)) as place, place.lend_ledger(due=False) as ledger_url:
        begin = datetime.now(UTC)
        place.fill()
        create_topics(place.endpoints.broker, [place.prefix + SHADOW], 4)
        end = datetime.now(UTC)
        group = f"{place.prefix}group"
        environment = place.live_environment(ledger_url, group)
        period = ("--from", begin.isoformat(), "--to", end.isoformat())
        live_speed = drain(place, environment, group)
        done, taken, memory_mb = replay(environment, period)
        with run_workers(environment, place.folder / f"{group}.log") as workers:
            committed = Committed(place.endpoints.broker, group, place.input_topics)
            committed.wait_for_members(workers)
            committed.close()
            # Kafka's JVM has not compiled the path of small produce requests yet.
            few = replace(place, size=Size(customers=WARM_CUSTOMERS))
            produce(few, WARM_RATE, COMPILING_S)
            without = observe(place, live, workers, seconds=seconds)
            with replaying(environment, period) as process:
                during = observe(place, live, workers, until=process)
    return {
        "events": place.events,
        "live_events_per_s": round(live_speed),
        "replay_events_per_s": round(done["records"] / done["seconds"]),
        "replay_speed": round(done["records"] / done["seconds"] / live_speed, 2),
        "replay_seconds_in_all": round(taken, 1),
        "replay_memory_mb": round(memory_mb),
        "counts": done["counts"],
        "facts_from": done["facts_from"],
        "latency_ms": {"without": without, "with": during},
        "p99_ratio": round(during["p99"] / without["p99"], 2),
    }


def drain(place: Place, environment: Mapping[str, str], group: str) -> float:
    """Return the events per second of a worker from its first commit until the backlog is committed."""
    committed = Committed(place.endpoints.broker, group, place.input_topics)
    with run_workers(environment, place.folder / f"{group}.log") as workers:
        first = committed.wait_for(1, workers)
        began = time.perf_counter()
        committed.wait_for(place.events, workers)
        speed = (place.events - first) / (time.perf_counter() - began)
    committed.close()
    return speed


def replay(environment: Mapping[str, str], period: tuple[str, ...]) -> tuple[dict[str, Any], float, float]:
    """Return what a replay prints, the seconds of the whole command, and its largest resident memory, MB."""
    began, largest, ended = time.perf_counter(), [0.0], Event()
    with replaying(environment, period) as process:

        def sample() -> None:
            while process.poll() is None and not ended.wait(SAMPLE_S):
                largest.append(resident_mb(process.pid))

        sampler = Thread(target=sample)
        sampler.start()
        printed, errors = process.communicate()
        ended.set()
        sampler.join()
    if process.returncode:
        raise BenchmarkError(f"the replay failed: {errors}")
    return json.loads(printed), time.perf_counter() - began, max(largest)


@contextmanager
def replaying(environment: Mapping[str, str], period: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    """Run the command."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "console", "replay", *period, "--json"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@click.command()
@click.option("--events", type=int, default=1_000_000, show_default=True)
@click.option("--live", type=int, default=500, show_default=True, help="Live events per second.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="How long to measure without.")
def main(events: int, live: int, seconds: float) -> None:
    """Run the measurement and print the report."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        figures = measure(services, events, live, seconds)
    met = figures["replay_speed"] >= TARGET_SPEED and figures["p99_ratio"] <= TARGET_RATIO
    click.echo(json.dumps({"machine": describe(), "live_rate": live, **figures, "target_met": met}))


if __name__ == "__main__":
    main()
