"""Measures the time and memory of training: python -m benchmarks.monthly_run --warehouse-url URL.

Writes synthetic orders of 50,000 customers over two years to table benchmark_orders (dropped afterwards), trains churn
on four cut-offs with the documented command, and prints the seconds and the peak memory of the largest process. The
target is 300 s and 4 GB on two cores.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = np.datetime64("2023-01-01")
DAYS = 730
GIGABYTE = 2**30


def draw_orders(customers: int, seed: int = 1) -> Iterator[tuple[str, str, float]]:
    """Yield (customer_id, day, amount): rates and lifetimes differ, so that churn is predictable, but not perfectly."""
    draw = np.random.default_rng(seed)
    gaps = draw.gamma(2.0, 25.0, customers)
    joined = draw.integers(0, DAYS // 2, customers)
    left = joined + draw.exponential(500.0, customers)
    sizes = draw.lognormal(3.5, 0.8, customers)
    for number in range(customers):
        day = float(joined[number])
        while day < min(left[number], DAYS):
            amount = round(float(sizes[number] * draw.lognormal(0.0, 0.5)), 2)
            yield f"c{number}", str(FIRST + np.timedelta64(int(day), "D")), amount
            day += 1 + draw.exponential(gaps[number])


def load_orders(warehouse_url: str, customers: int) -> int:
    """Recreate and fill table benchmark_orders, and return its number of rows."""
    with psycopg.connect(warehouse_url) as connection:
        connection.execute("DROP TABLE IF EXISTS benchmark_orders")
        connection.execute("CREATE TABLE benchmark_orders (customer_id text, ordered_at date, amount float8)")
        with connection.cursor().copy("COPY benchmark_orders FROM STDIN") as copy:
            for row in draw_orders(customers):
                copy.write_row(row)
        found = connection.execute("SELECT count(*) FROM benchmark_orders").fetchone()
    return int(found[0]) if found else 0


def train(warehouse_url: str, folder: str) -> tuple[float, dict[str, Any]]:
    """Run the command; return its duration in seconds and its JSON output."""
    arguments = ["churn", "--warehouse-url", warehouse_url, "--out", folder, "--orders", "benchmark_orders", "--json"]
    began = time.perf_counter()
    # This interpreter and fixed arguments.
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "training", *arguments], capture_output=True, text=True, check=False
    )
    if not done.stdout:
        sys.exit(f"training ended with exit code {done.returncode}: {done.stderr[-500:]}")
    return time.perf_counter() - began, json.loads(done.stdout.splitlines()[-1])


@click.command()
@click.option(
    "--warehouse-url",
    envvar="HOLDFAST_WAREHOUSE_URL",
    required=True,
    help="A database in which a table can be created.",
)
@click.option("--customers", type=click.IntRange(1000), default=50_000, show_default=True)
def main(warehouse_url: str, customers: int) -> None:
    """Measure one churn training."""
    orders = load_orders(warehouse_url, customers)
    try:
        with tempfile.TemporaryDirectory(prefix="holdfast-benchmark-") as folder:
            seconds, output = train(warehouse_url, folder)
    finally:
        with psycopg.connect(warehouse_url) as connection:
            connection.execute("DROP TABLE benchmark_orders")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "customers": customers,
        "orders": orders,
        "seconds": round(seconds, 1),
        "processor_seconds": round(spent.ru_utime + spent.ru_stime, 1),
        "peak_gigabytes": round(spent.ru_maxrss * 1024 / GIGABYTE, 2),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[2], 1),
        "split": output["models"]["churn"]["split"],
        "method": output["models"]["churn"]["method"],
        "verdict": output["models"]["churn"]["verdict"],
    }
    click.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
