"""Measures the recovery from a kill, and of a backlog: `python -m benchmarks.recovery`.

    python -m benchmarks.recovery [--kills N] [--live EVENTS_PER_S] [--backlog EVENTS]

Two workers with the shipped settings decide live events. One is killed with SIGKILL; the time until the other one has
decided an event of one of its partitions, and of each of them, is read from the topic of decisions. Then a new worker
takes the place of the killed one. After that one worker decides a backlog, and one of the size of the whole job
(benchmarks/whole_job.py) to compare the rates. Kafka, Redis, PostgreSQL, producer and reader share the machine with the
workers. The last line is a JSON object.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import whole_job
from benchmarks.errors import BenchmarkError
from benchmarks.latency import reading, write_command
from benchmarks.machine import describe
from benchmarks.place import open_place
from benchmarks.workers import ROOT, Committed, run_workers
from benchmarks.workload import PARTITIONS, Size
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Consumer

    from benchmarks.place import Place

SIZE = Size(events=0, customers=2000, entering=1000.0)
"""Nearly every event makes a decision."""
SETTLE_S = 12.0
WATCHED_S = 30.0
OWNED_S = 0.45
"""A partition that has a decision within this time after a kill belongs to the other worker."""
LATE_S = 0.1
"""What a worker has published before it is killed is read within this time."""
LONGEST_S = 3600.0
TARGET_S, TARGET_SHARE = 3.0, 0.9


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from a kill to the first decision on a partition of the killed worker, and to one on each of them."""

    first: float
    every: float


def measure(services: EmbeddedServices, kills: int, live: int) -> list[Recovery]:
    """Kill a worker some times, and return how long its customers waited."""
    with open_place(services, SIZE) as warm:
        place = warm.with_new_topics()
        place.create_topics()
        group = f"{place.prefix}group"
        with place.lend_ledger() as ledger_url:
            environment = place.environment(ledger_url, group)
            log = place.folder / "workers.log"
            with run_workers(environment, log, cores=(None, None)) as workers:
                committed = Committed(place.endpoints.broker, group, place.input_topics)
                topic = f"{place.prefix}decisions"
                with reading(place.endpoints.broker, topic) as consumer, producing(place, live):
                    recoveries = []
                    for _ in range(kills):
                        committed.wait_for_members(workers)
                        read_until(consumer, time.monotonic() + SETTLE_S)
                        recoveries.append(_kill(workers.processes[0], consumer))
                        workers.replace_first(environment)
                committed.close()
    return recoveries


def measure_backlog(services: EmbeddedServices, events: int) -> dict[str, Any]:
    """Return the events per second of a backlog, those of the whole job, and the share of them."""
    with open_place(services, Size()) as place:
        rates = []
        for count in (Size().events, events):
            sibling = replace(place.with_new_topics(), size=Size(events=count))
            sibling.fill()
            rates.append(whole_job.measure(sibling)["events_per_s"])
    peak, drained = rates
    return {"events": events, "events_per_s": drained, "peak_per_s": peak, "share": round(drained / peak, 3)}


@contextmanager
def producing(place: Place, live: int) -> Iterator[None]:
    """Produce live events during the block."""
    command = write_command(place, live, LONGEST_S)
    producer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - a module of this repository
    try:
        yield
    finally:
        producer.kill()
        producer.wait()


def _kill(process: subprocess.Popen[bytes], consumer: Consumer) -> Recovery:
    """Kill a worker while it decides, and read decisions until the other one has taken its partitions."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = time.monotonic()
    read_until(consumer, killed + LATE_S)
    waiting = set(range(PARTITIONS)) - {place for _, place in read_until(consumer, killed + OWNED_S)}
    if not waiting or len(waiting) == PARTITIONS:
        raise BenchmarkError(f"of {PARTITIONS} partitions {len(waiting)} stopped when a worker was killed")
    recovered: dict[int, float] = {}
    while waiting - recovered.keys():
        for at, place in read_until(consumer, time.monotonic() + 0.05):
            recovered.setdefault(place, at - killed)
        if time.monotonic() > killed + WATCHED_S:
            raise BenchmarkError(f"nothing was decided of partitions {waiting - recovered.keys()} for {WATCHED_S:g} s")
    seconds = [recovered[place] for place in waiting]
    return Recovery(round(min(seconds), 2), round(max(seconds), 2))


def read_until(consumer: Consumer, end: float) -> list[tuple[float, int]]:
    """Read decisions until a time; return for each when it was read and the input partition of its customer."""
    read = []
    while (now := time.monotonic()) < end:
        message = consumer.poll(min(0.02, end - now))
        if message is not None and not message.error():
            read.append((time.monotonic(), int(bytes(message.key() or b"")[1:]) % PARTITIONS))
    return read


@click.command()
@click.option("--kills", type=int, default=10, show_default=True)
@click.option("--live", type=int, default=500, show_default=True, help="Live events per second.")
@click.option("--backlog", type=int, default=1_000_000, show_default=True, help="Events of the backlog.")
def main(kills: int, live: int, backlog: int) -> None:
    """Run the measurement and print the report."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        recoveries = measure(services, kills, live)
        drained = measure_backlog(services, backlog)
    first, every = [each.first for each in recoveries], [each.every for each in recoveries]
    figures: dict[str, Any] = {
        "kills": kills,
        "first_s": {"median": statistics.median(first), "max": max(first), "all": first},
        "every_s": {"median": statistics.median(every), "max": max(every), "all": every},
        "backlog": drained,
        "target_met": max(first) < TARGET_S and drained["share"] >= TARGET_SHARE,
    }
    click.echo(json.dumps({"machine": describe(), "live_events_per_s": live, **figures}))


if __name__ == "__main__":
    main()
