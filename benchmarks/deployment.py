"""Measures latency while the workers of a group change: `python -m benchmarks.deployment`.

    python -m benchmarks.deployment [--seconds S] [--rate EVENTS_PER_S]

Events come at a fixed rate all the time. After a quarter of it a second worker joins; from the middle on a deploy
replaces both, one after the other: SIGTERM, a new process, and the next once it has joined; after three quarters
the second worker leaves. A change lasts until SETTLED_S after the group is stable again. Kafka, Redis, PostgreSQL,
producer and reader share the machine with the workers. The last line is a JSON object.
"""

from __future__ import annotations

import json
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.latency import (
    COMPILING_S,
    FIXED_RATE,
    MILLISECOND_NS,
    describe_waits,
    produce,
    producing,
    read_triggers,
    reading,
    working,
)
from benchmarks.machine import describe
from benchmarks.place import open_place
from benchmarks.results import judge
from benchmarks.workers import STOP_S, Committed, run_workers
from benchmarks.workload import Size
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.place import Place
    from benchmarks.workers import Workers

SETTLED_S = 5.0
JOINS, DEPLOYS, LEAVES = 0.25, 0.5, 0.75
"""Parts of the time after which the changes begin."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the group, and when it began and had settled, ns since 1970."""

    name: str
    began: int
    ended: int


def measure_deployment(services: EmbeddedServices, seconds: float, rate: int) -> dict[str, Any]:
    """Return the latencies of the whole time, of the time without changes, and of each change, ms."""
    with open_place(services, Size()) as place, working(place) as (sibling, environment, first):
        produce(sibling, rate, COMPILING_S)
        topic = f"{sibling.prefix}campaign-triggers"
        with (
            reading(place.endpoints.broker, topic) as consumer,
            ThreadPoolExecutor(1) as thread,
            producing(sibling, rate, seconds) as producer,
        ):
            began = time.monotonic()
            taken = thread.submit(read_triggers, consumer, producer, lambda: None)
            changes = _change(sibling, environment, first, lambda part: _sleep_until(began + part * seconds))
            waits = taken.result()
            kept, _ = producer.communicate()
    return {"seconds": seconds, "events_per_s": int(kept), **describe_changes(waits, changes)}


def _change(
    place: Place, environment: Mapping[str, str], first: Workers, wait_for: Callable[[float], None]
) -> list[Change]:
    """Let a second worker join, replace both, and let the second one leave."""
    changes = []
    committed = Committed(place.endpoints.broker, environment["HOLDFAST_GROUP"], place.input_topics)

    def note(name: str, began: int, workers: Workers, members: int) -> None:
        committed.wait_for_members(workers, members)
        time.sleep(SETTLED_S)
        changes.append(Change(name, began, time.time_ns()))

    wait_for(JOINS)
    began = time.time_ns()
    with run_workers(environment, place.folder / "second.log") as second:
        note("a worker joins", began, second, 2)
        wait_for(DEPLOYS)
        began = time.time_ns()
        for workers in (first, second):
            _replace(workers, environment)
            committed.wait_for_members(workers, 2)
        note("a deploy replaces both, one by one", began, second, 2)
        wait_for(LEAVES)
        began = time.time_ns()
    note("a worker leaves", began, first, 1)
    committed.close()
    return changes


def _replace(workers: Workers, environment: Mapping[str, str]) -> None:
    process = workers.processes[0]
    process.send_signal(signal.SIGTERM)
    process.wait(STOP_S)
    workers.replace_first(environment)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def describe_changes(taken: Sequence[tuple[int, int]], changes: Sequence[Change]) -> dict[str, Any]:
    """Return the latencies, ms.

    Args:
        taken: when the event of each trigger was due, and when the trigger was read, ns since 1970.
        changes: the changes; a trigger belongs to one if its event was due in it.
    """
    waits = [(due, (read - due) / MILLISECOND_NS) for due, read in taken]
    by_change = {each.name: [ms for due, ms in waits if each.began <= due <= each.ended] for each in changes}
    quiet = [ms for due, ms in waits if not any(each.began <= due <= each.ended for each in changes)]
    found = {name: {**describe_waits(some), "max": round(max(some), 1)} for name, some in by_change.items()}
    return {
        "triggers": len(waits),
        "whole": describe_waits([ms for _, ms in waits]),
        "without_changes": describe_waits(quiet),
        "changes": found,
        "longest_change": max(each["max"] for each in found.values()),
    }


@click.command()
@click.option("--seconds", type=click.FloatRange(min=60), default=600.0, show_default=True)
@click.option("--rate", type=click.IntRange(1), default=FIXED_RATE, show_default=True, help="Events per second.")
def main(seconds: float, rate: int) -> None:
    """Run the measurement and print the report."""
    machine = describe()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        figures = measure_deployment(services, seconds, rate)
    click.echo(json.dumps({"machine": machine, **figures, "targets": judge({"deployment": figures})}))


if __name__ == "__main__":
    main()
