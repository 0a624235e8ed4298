"""Measures how fast customers who are due are decided, and what those who wait cost.

    python -m benchmarks.silent_customers [--customers N] [--waiting N] [--seconds S] [--rounds N]

First one worker is idle while no customer waits, and while many customers wait to become due: CPU of the worker and of
PostgreSQL, several times in turn. Then all customers are due at once, and the worker claims, requests and decides them;
rows are read from the warehouse, and nothing else happens. Kafka, Redis and PostgreSQL share the machine. The last line
is a JSON object, with the load of the machine before.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psycopg

from benchmarks.errors import BenchmarkError
from benchmarks.machine import describe
from benchmarks.place import open_place
from benchmarks.processes import cpu_seconds
from benchmarks.workers import Committed, run_workers
from benchmarks.workload import Size
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.place import Place
    from benchmarks.workers import Workers

TARGET_PER_S = 5_000
SETTLED_S = 10.0
"""A worker that has joined its group still starts."""
PATIENCE_S = 600.0
FAR = 4_000_000_000
EVERYBODY = "UPDATE evaluated SET due_at = %s, claimed_until = NULL"
OTHERS = """INSERT INTO evaluated (customer_id, roster_id, due_at)
            SELECT 'waiting-' || n, (SELECT min(roster_id) FROM roster), %s::bigint + n
              FROM generate_series(1, %s) AS n"""
DUE = "SELECT count(*) FROM evaluated WHERE due_at <= %s"


@contextmanager
def working(place: Place, ledger_url: str) -> Iterator[Workers]:
    """Run a worker for whom customers become due by the clock, until it is idle."""
    group = f"{place.prefix}{secrets.token_hex(3)}"
    environment = {
        **place.environment(ledger_url, group),
        "HOLDFAST_DUE_CLOCK": "wall",
        "HOLDFAST_DUE_RATE": "1000000",
    }
    committed = Committed(place.endpoints.broker, group, place.input_topics)
    with run_workers(environment, place.folder / f"{group}.log") as workers:
        committed.wait_for_members(workers)
        committed.close()
        yield workers


def measure_idle(place: Place, waiting: int, seconds: float) -> dict[str, float]:
    """Return the share of a core that an idle worker and PostgreSQL take while customers wait."""
    with place.lend_ledger() as ledger_url:
        with psycopg.connect(ledger_url, autocommit=True) as ledger:
            ledger.execute(EVERYBODY, [None])
            ledger.execute(OTHERS, [FAR, waiting])
            ledger.execute("VACUUM ANALYZE evaluated")
        with working(place, ledger_url) as workers:
            time.sleep(SETTLED_S)
            pids = {"worker": workers.processes[0].pid, "postgres": place.services.find_pids()["postgres"]}
            before, began = cpu_seconds(pids), time.perf_counter()
            time.sleep(seconds)
            spent, taken = cpu_seconds(pids), time.perf_counter() - began
            workers.check_alive()
    return {name: round(100 * (spent[name] - before[name]) / taken, 2) for name in pids}


def measure_due(place: Place) -> dict[str, Any]:
    """Return how many customers are decided in a second when all are due."""
    with (
        place.lend_ledger() as ledger_url,
        psycopg.connect(ledger_url, autocommit=True) as ledger,
        working(place, ledger_url) as workers,
    ):
        time.sleep(SETTLED_S)
        now = int(time.time())
        ledger.execute(EVERYBODY, [now])
        began, left = time.perf_counter(), place.size.customers
        before = cpu_seconds(workers.pids)
        while left:
            if time.perf_counter() - began > PATIENCE_S:
                raise BenchmarkError(f"{left:,} customers are still due; see the worker's log")
            time.sleep(0.1)
            workers.check_alive()
            ((left,),) = ledger.execute(DUE, [now]).fetchall()
        seconds = time.perf_counter() - began
        spent = sum(cpu_seconds(workers.pids).values()) - sum(before.values())
    customers = place.size.customers
    return {
        "customers": customers,
        "seconds": round(seconds, 1),
        "customers_per_s": round(customers / seconds),
        "worker_core_percent": round(100 * spent / seconds),
    }


@click.command()
@click.option("--customers", type=int, default=100_000, show_default=True, help="Customers who are due at once.")
@click.option("--waiting", type=int, default=1_000_000, show_default=True, help="Customers who wait.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="How long the worker is idle each time.")
@click.option("--rounds", type=int, default=3, show_default=True, help="How often it is idle.")
def main(customers: int, waiting: int, seconds: float, rounds: int) -> None:
    """Run the measurement and print the report."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        machine = describe()
        with open_place(services, Size(events=0, customers=customers)) as place:
            place.create_topics()
            idle = [
                {"without": measure_idle(place, 0, seconds), "with": measure_idle(place, waiting, seconds)}
                for _ in range(rounds)
            ]
            due = measure_due(place)
    met = due["customers_per_s"] >= TARGET_PER_S
    click.echo(json.dumps({"machine": machine, "waiting": waiting, "idle_core_percent": idle, "due": due, "met": met}))


if __name__ == "__main__":
    main()
