"""Measures what people at the console cost a worker: `python -m benchmarks.console_users`.

A worker decides a backlog, by turns with the console idle and with ten people who use it. Each opens a page every five
seconds on average, in any order. The console looks at a ledger of the same size on the same PostgreSQL, and shares the
cores with the worker and all services. USERS_EVENTS and USERS_PAIRS change the size. The last line is a JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.console import Request, Served, add_key, ask, serve
from benchmarks.machine import describe
from benchmarks.place import open_place
from benchmarks.whole_job import measure
from benchmarks.workload import Size
from console.access.roles import Role
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = int(os.environ.get("USERS_EVENTS", "1200000"))
PAIRS = int(os.environ.get("USERS_PAIRS", "4"))
PEOPLE, BETWEEN_S, TARGET_LOSS = 10, 5.0, 0.03
PAGES = (
    *("/", "/live", "/segments", "/segments/s1", "/campaigns", "/campaigns/campaign-1", "/customers/c1"),
    *("/campaigns/campaign-1/performance", "/analytics", "/models", "/operations", "/operations/dead-letters"),
)


@dataclass
class Visits:
    """The pages that people have opened.

    Attributes:
        times: that each took, ms.
        cpu_s: that the console used meanwhile.
    """

    times: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


def main() -> None:
    """Measure with and without people by turns, and print the figures."""
    machine = describe()
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-") as folder,
        EmbeddedServices(Path(folder)) as services,
        open_place(services, replace(Size(), events=EVENTS)) as place,
        place.lend_ledger() as ledger_url,
    ):
        place.fill()
        key = add_key(replace(place.endpoints, ledger_url=ledger_url), Role.ADMIN)
        with serve(place.endpoints, place.environment(ledger_url, "console")) as served:
            rates: dict[str, list[int]] = {"idle": [], "ten people": []}
            visits = Visits()
            measure(place)  # while Kafka's JVM compiles
            for number in range(PAIRS):
                for who in sorted(rates, reverse=bool(number % 2)):
                    with visiting(served, key, PEOPLE if who == "ten people" else 0, visits):
                        rates[who].append(measure(place)["events_per_s"])
                sys.stdout.write(f"{json.dumps(rates)}\n")
                sys.stdout.flush()
    report = {"machine": machine, "events": EVENTS, **rates, **describe_loss(rates, visits)}
    sys.stdout.write(f"{json.dumps(report)}\n")


def describe_loss(rates: dict[str, list[int]], visits: Visits) -> dict[str, Any]:
    """Return the loss of each pair and of all, and what the pages took."""
    pairs = zip(rates["idle"], rates["ten people"], strict=True)
    return {
        "loss_by_pair": [round(1 - busy / alone, 4) for alone, busy in pairs],
        "loss": round(1 - statistics.median(rates["ten people"]) / statistics.median(rates["idle"]), 4),
        "target_loss": TARGET_LOSS,
        "pages": len(visits.times),
        "page_p50_ms": round(statistics.median(visits.times), 1),
        "console_cpu_ms_per_page": round(1000 * visits.cpu_s / len(visits.times), 1),
    }


@contextmanager
def visiting(served: Served, key: str, people: int, visits: Visits) -> Iterator[None]:
    """Let people open pages meanwhile, each in a thread of their own."""
    over = threading.Event()
    before = served.cpu_s()
    threads = [
        threading.Thread(target=visit, args=(served.port, key, random.Random(seed), over, visits))  # noqa: S311 - of a benchmark
        for seed in range(people)
    ]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in threads:
            each.join()
        visits.cpu_s += (served.cpu_s() - before) if people else 0.0


def visit(port: int, key: str, mood: random.Random, over: threading.Event, visits: Visits) -> None:
    """Open pages with pauses until it is over."""
    while not over.wait(mood.uniform(0, 2 * BETWEEN_S)):
        visits.times += asyncio.run(ask(port, key, [Request("GET", mood.choice(PAGES))]))


if __name__ == "__main__":
    main()
