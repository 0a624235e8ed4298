"""Measures `holdfast segments reevaluate` and what it costs live events: `python -m benchmarks.reevaluation`.

    python -m benchmarks.reevaluation [--customers N] [--live EVENTS_PER_S] [--seconds S] [--rate CUSTOMERS_PER_S]

Every customer has been evaluated. Then the rule of one segment is edited so that half of the customers are members, and
one worker starts with it. Live events come at a fixed rate all the time: their latency, from producing an event to
reading its trigger, is measured for some seconds without a re-evaluation, and then while one runs. Kafka, Redis,
PostgreSQL, producer and reader share the machine with the worker. The last line is a JSON object, with the load of the
machine before: compare the two latencies of one run only, and only where nothing else ran.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from benchmarks.errors import BenchmarkError
from benchmarks.latency import (
    COMPILING_S,
    MILLISECOND_NS,
    WARM_S,
    describe_waits,
    produce,
    producing,
    read_triggers,
    reading,
    working,
)
from benchmarks.machine import describe
from benchmarks.place import open_place
from benchmarks.processes import cpu_seconds
from benchmarks.workers import ROOT
from benchmarks.workload import Size
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.place import Place
    from benchmarks.workers import Workers

EDITED = "s99"
"""A segment without a campaign."""
RULE = {"<": [{"var": "tenure_days"}, 350]}
ENTERING = 300.0
"""Reads per thousand that enter a segment with a campaign: enough triggers for a p99 within seconds."""
LONGEST_S = 3600.0
LIVE = 2000
RATE = 40_000.0
"""Faster than a worker evaluates: the customers on their way are what bounds it."""
WITHOUT_S = 60.0
WARM_RATE = 5000
WARM_CUSTOMERS = 1000
"""Few: an event evaluates a customer, who then needs no re-evaluation."""
TARGET_CUSTOMERS_PER_S = 1_000_000 / 60
EVALUATED = re.compile(r"([\d,]+) were evaluated")


def edit(place: Place) -> None:
    """Change the rule of a segment."""
    file = place.folder / "definitions" / "segments" / f"{EDITED}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "rule": RULE}))


def measure(
    services: EmbeddedServices, customers: int, live: int = LIVE, seconds: float = WITHOUT_S, rate: float = RATE
) -> dict[str, Any]:
    """Return the customers re-evaluated in a second, and the latency of live events without and with it.

    The time is that of the command from its start to its end, imports included.
    """
    with open_place(services, Size(events=0, customers=customers, entering=ENTERING)) as place:
        edit(place)
        with working(place) as (sibling, environment, workers):
            # Kafka's JVM has not compiled the path of small produce requests yet.
            few = replace(sibling, size=Size(customers=WARM_CUSTOMERS))
            produce(few, WARM_RATE, COMPILING_S)
            without = observe(sibling, live, workers, seconds=seconds)
            before = cpu_seconds(workers.pids)
            with reevaluating(environment, rate) as process:
                during = observe(sibling, live, workers, until=process)
                said = process.communicate()[0]
            spent = sum(cpu_seconds(workers.pids).values()) - sum(before.values())
    if process.returncode:
        raise BenchmarkError(f"the re-evaluation failed: {said}")
    taken = during.pop("seconds")
    without.pop("seconds")
    evaluated = EVALUATED.search(said)
    count = int(evaluated[1].replace(",", "")) if evaluated else 0
    return {
        "customers": customers,
        "live_events_per_s": live,
        "evaluated": count,
        "seconds": taken,
        "customers_per_s": round(count / taken),
        "said": said.splitlines(),
        "worker_core_percent": round(100 * spent / taken),
        "latency_ms": {"without": without, "with": during},
        "p99_ratio": round(during["p99"] / without["p99"], 2),
    }


@contextmanager
def reevaluating(environment: dict[str, str], rate: float) -> Iterator[subprocess.Popen[str]]:
    """Run the command."""
    command = [sys.executable, "-m", "console", "segments", "reevaluate", "--rate", str(rate)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def observe(
    place: Place,
    live: int,
    workers: Workers,
    *,
    seconds: float = LONGEST_S,
    until: subprocess.Popen[str] | None = None,
) -> dict[str, Any]:
    """Return the latency of live events for some seconds, or until a process ends, and how long that took."""
    with (
        reading(place.endpoints.broker, f"{place.prefix}campaign-triggers") as consumer,
        producing(place, live, WARM_S + seconds) as producer,
    ):
        began, ended = time.time_ns(), []

        def stop() -> None:
            if until is not None:
                until.wait()
                ended.append(time.time_ns())
                producer.terminate()

        thread = Thread(target=stop)
        thread.start()
        try:
            taken = read_triggers(consumer, producer, workers.check_alive)
        finally:
            producer.kill()
            thread.join()
    last = ended[0] if ended else time.time_ns()
    first = began if until else began + WARM_S * 1000 * MILLISECOND_NS
    waits = [(read - produced) / MILLISECOND_NS for produced, read in taken if first <= produced <= last]
    if not waits:
        raise BenchmarkError("no trigger was read; see the worker's log")
    return {"triggers": len(waits), **describe_waits(waits), "seconds": round((last - began) / 1e9, 1)}


@click.command()
@click.option("--customers", type=int, default=1_000_000, show_default=True)
@click.option("--live", type=int, default=LIVE, show_default=True, help="Live events per second.")
@click.option("--seconds", type=float, default=WITHOUT_S, show_default=True, help="How long to measure without.")
@click.option("--rate", type=float, default=RATE, show_default=True, help="Most customers in a second.")
def main(customers: int, live: int, seconds: float, rate: float) -> None:
    """Run the measurement and print the report."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        figures = measure(services, customers, live, seconds, rate)
    met = figures["customers_per_s"] >= TARGET_CUSTOMERS_PER_S
    click.echo(json.dumps({"machine": describe(), **figures, "target_met": met}))


if __name__ == "__main__":
    main()
