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
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import whole_job
from benchmarks.errors import BenchmarkError
from benchmarks.latency import producing, reading
from benchmarks.machine import describe
from benchmarks.place import open_place
from benchmarks.workers import run_workers
from benchmarks.workload import PARTITIONS, Size
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    import subprocess

    from confluent_kafka import Consumer


SIZE = Size(events=0, customers=2000, entering=1000.0)
"""Nearly every event makes a decision."""
LIVE = 500
SETTLE_S = 12.0
WATCHED_S = 30.0
JOINED_S = 60.0
LONGEST_S = 3600.0
ALL = set(range(PARTITIONS))
TARGET_S, TARGET_SHARE = 3.0, 0.9


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from a kill to the first decision on a partition of the killed worker, and to one on each of them."""

    first: float
    every: float


def measure(services: EmbeddedServices, kills: int, live: int = LIVE) -> dict[str, Any]:
    """Kill a worker some times, and return how long its customers waited, s."""
    recoveries = _measure(services, kills, live)
    first, every = [each.first for each in recoveries], [each.every for each in recoveries]
    return {
        "kills": kills,
        "live_events_per_s": live,
        "first_s": {"median": round(statistics.median(first), 2), "max": max(first), "all": first},
        "every_s": {"median": round(statistics.median(every), 2), "max": max(every), "all": every},
    }


def _measure(services: EmbeddedServices, kills: int, live: int) -> list[Recovery]:
    with open_place(services, SIZE) as warm:
        place = warm.with_new_topics()
        place.create_topics()
        group = f"{place.prefix}group"
        with place.lend_ledger(due=False) as ledger_url:
            environment = place.live_environment(ledger_url, group)
            logs = [place.folder / f"{name}.log" for name in ("killed", "survivor")]
            with (
                run_workers(environment, logs[0]) as killed,
                run_workers(environment, logs[1]),
                reading(place.endpoints.broker, f"{place.prefix}decisions") as consumer,
                producing(place, live, LONGEST_S),
            ):
                recoveries = []
                for _ in range(kills):
                    wait_for_partitions(*logs)
                    read_until(consumer, time.monotonic() + SETTLE_S)
                    recoveries.append(_kill(killed.processes[0], find_owned(*logs), consumer))
                    killed.replace_first(environment)
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


def find_owned(log: Path, other: Path) -> set[int]:
    """Return the partitions of a worker, by the epochs of its log and of the other worker's."""
    mine, others = _read_epochs(log), _read_epochs(other)
    return {partition for partition, epoch in mine.items() if epoch > others.get(partition, -1)}


def wait_for_partitions(log: Path, other: Path) -> None:
    """Wait until all partitions are owned, and each worker has some.

    Raises:
        BenchmarkError: they are not within a minute.
    """
    until = time.monotonic() + JOINED_S
    while len(owned := find_owned(log, other)) in (0, PARTITIONS) or owned | find_owned(other, log) != ALL:
        if time.monotonic() > until:
            raise BenchmarkError(f"the first worker owns partitions {sorted(owned)} after {JOINED_S:.0f} s")
        time.sleep(0.1)


def _read_epochs(log: Path) -> dict[int, int]:
    entries = [json.loads(line) for line in log.read_text().splitlines() if '"partition_acquired"' in line]
    return {each["partition"]: each["epoch"] for each in entries}


def _kill(process: subprocess.Popen[bytes], waiting: set[int], consumer: Consumer) -> Recovery:
    """Kill a worker while it decides, and read decisions until the other one has taken its partitions.

    Args:
        process: the worker.
        waiting: its partitions.
        consumer: reads the decisions.
    """
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed, killed_ms = time.monotonic(), time.time_ns() // 1_000_000
    recovered: dict[int, float] = {}
    while waiting - recovered.keys():
        for at, place, written_ms in read_until(consumer, time.monotonic() + 0.05):
            if written_ms > killed_ms:  # what the killed worker has published may be read late
                recovered.setdefault(place, at - killed)
        if time.monotonic() > killed + WATCHED_S:
            raise BenchmarkError(f"nothing was decided of partitions {waiting - recovered.keys()} for {WATCHED_S:g} s")
    seconds = [recovered[place] for place in waiting]
    return Recovery(round(min(seconds), 2), round(max(seconds), 2))


def read_until(consumer: Consumer, end: float) -> list[tuple[float, int, int]]:
    """Read decisions until a time.

    Returns:
        When each was read, the input partition of its customer, and its timestamp, ms.
    """
    read = []
    while (now := time.monotonic()) < end:
        message = consumer.poll(min(0.02, end - now))
        if message is not None and not message.error():
            partition = int(bytes(message.key() or b"")[1:]) % PARTITIONS
            read.append((time.monotonic(), partition, message.timestamp()[1]))
    return read


@click.command()
@click.option("--kills", type=int, default=10, show_default=True)
@click.option("--live", type=int, default=LIVE, show_default=True, help="Live events per second.")
@click.option("--backlog", type=int, default=1_000_000, show_default=True, help="Events of the backlog.")
def main(kills: int, live: int, backlog: int) -> None:
    """Run the measurement and print the report."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        figures = measure(services, kills, live)
        drained = measure_backlog(services, backlog)
    met = figures["first_s"]["max"] < TARGET_S and drained["share"] >= TARGET_SHARE
    click.echo(json.dumps({"machine": describe(), **figures, "backlog": drained, "target_met": met}))


if __name__ == "__main__":
    main()
