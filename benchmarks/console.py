"""Measures predictions over HTTP: `python -m benchmarks.console`.

Starts its own services, fills a table of 100,000 customers, and serves the console in a process of its own with the
models of the example. One client asks with an API key for one customer after another, then some ask at once, then one
asks for many customers at a time. Clients and services share the machine with the console; `per_core_s` is what the
console answers for each second of its own CPU. CONSOLE_CUSTOMERS changes the size. The last line is a JSON object.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from benchmarks.machine import describe
from benchmarks.peers import ROOT
from benchmarks.processes import cpu_seconds
from benchmarks.segment_preview import EXAMPLE_MODELS, TABLE
from campaigns.migrations import migrate
from console.access.postgres_accounts import PostgresAccounts
from console.access.roles import Role
from console.access.tokens import make_key
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from console.embedded.services import Endpoints

CUSTOMERS = int(os.environ.get("CONSOLE_CUSTOMERS", "100000"))
ASKED, AT_ONCE, BATCH, BATCHES = 1_000, 16, 500, 10
START_S = 120.0
TARGET_P99_MS, TARGET_PER_S = 20.0, 1_000.0


def main() -> None:
    """Measure each kind of prediction, and print the figures."""
    machine = describe()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        endpoints = services.start()
        key = fill(endpoints)
        with serve(endpoints, {}) as served:
            found = {kind: asyncio.run(measure(served, key, kind)) for kind in ("churn", "nbo", "ltv", "rfm")}
    report = {"machine": machine, "customers": CUSTOMERS, "target_p99_ms": TARGET_P99_MS, "target_per_s": TARGET_PER_S}
    for kind, figures in found.items():
        sys.stdout.write(f"{kind:6} {' '.join(f'{name} {value:,.1f}' for name, value in figures.items())}\n")
    sys.stdout.write(f"{json.dumps({**report, 'kinds': found})}\n")


def fill(endpoints: Endpoints) -> str:
    """Create the customers and an account, and return its key."""
    create_customers(endpoints, CUSTOMERS)
    return add_key(endpoints, Role.CARE)


def create_customers(endpoints: Endpoints, customers: int) -> None:
    """Create customers in the warehouse, and an empty ledger."""
    with psycopg.connect(endpoints.warehouse_url, autocommit=True) as warehouse:
        warehouse.execute(TABLE, {"customers": customers})
        warehouse.execute("CREATE UNIQUE INDEX ON customer_features_view (customer_id)")
        warehouse.execute("VACUUM ANALYZE customer_features_view")
    migrate(endpoints.ledger_url)


def add_key(endpoints: Endpoints, role: Role) -> str:
    """Add an account with a role, and return a key of it."""
    accounts, key = PostgresAccounts(endpoints.ledger_url), make_key()
    accounts.open()
    accounts.add_account("bench", role, None, by="benchmark")
    accounts.add_key(secrets.token_hex(4), key, "bench", by="benchmark", expires_at=None)
    accounts.close()
    return key


@dataclass(frozen=True, slots=True)
class Served:
    """A console in a process of its own."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU that it has used, s."""
        return cpu_seconds({"console": self.pid})["console"]


@contextmanager
def serve(endpoints: Endpoints, settings: Mapping[str, str]) -> Iterator[Served]:
    """Serve the console in a process of its own meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        **endpoints.as_environment(),
        "HOLDFAST_MODELS_DIR": str(EXAMPLE_MODELS),
        "HOLDFAST_CONSOLE_PORT": str(port),
        "HOLDFAST_CONSOLE_RATE_PER_MINUTE": "0",
        **settings,
    }
    with subprocess.Popen([sys.executable, "-m", "console", "console"], env=environment, cwd=ROOT) as process:
        try:
            wait_until_served(port)
            yield Served(port, process.pid)
        finally:
            process.terminate()


def wait_until_served(port: int) -> None:
    """Return when the console answers.

    Raises:
        TimeoutError: it does not.
    """
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"the console does not answer within {START_S:g} s")


async def measure(served: Served, key: str, kind: str) -> Mapping[str, float]:
    """Return latencies of one customer in ms, and predictions per second of requests at once and of batches."""
    path, numbers = f"/api/v1/predictions/{kind}", itertools.count()

    def one() -> Request:
        return Request("GET", f"{path}/customers/customer-{1 + next(numbers) % CUSTOMERS}")

    def batch() -> Request:
        ids = [f"customer-{1 + next(numbers) % CUSTOMERS}" for _ in range(BATCH)]
        return Request("POST", path, json.dumps({"customer_ids": ids}))

    await ask(served.port, key, [one()])  # loads the models
    latencies = await ask(served.port, key, [one() for _ in range(ASKED)])
    before, began = served.cpu_s(), time.perf_counter()
    await asyncio.gather(*(ask(served.port, key, [one() for _ in range(ASKED)]) for _ in range(AT_ONCE)))
    asked, cpu_s, at_once_s = AT_ONCE * ASKED, served.cpu_s() - before, time.perf_counter() - began
    began = time.perf_counter()
    await ask(served.port, key, [batch() for _ in range(BATCHES)])
    return {
        "p50_ms": statistics.median(latencies),
        "p99_ms": statistics.quantiles(latencies, n=100)[-1],
        "single_per_s": asked / at_once_s,
        "single_cpu_ms": 1000 * cpu_s / asked,
        "per_core_s": asked / cpu_s,
        "batched_per_s": BATCHES * BATCH / (time.perf_counter() - began),
    }


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the console."""

    method: str
    path: str
    body: str = ""


async def ask(port: int, key: str, requests: Sequence[Request], *, expected: int = 200) -> list[float]:
    """Send requests one after another on one connection, and return the time of each, ms.

    A client that costs little: what it takes from the machine is missing to the console.

    Raises:
        RuntimeError: an answer has another status than the expected one.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    for each in requests:
        head = f"{each.method} {each.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(each.body)}\r\n\r\n"
        began = time.perf_counter()
        writer.write(head.encode() + each.body.encode())
        status, *headers = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        lengths = [int(line.partition(b":")[2]) for line in headers if line.startswith(b"content-length:")]
        said = await reader.readexactly(lengths[0])
        times.append(1000 * (time.perf_counter() - began))
        if int(status.split()[1]) != expected:
            raise RuntimeError(f"{each.path}: {status.decode()} {said[:200]!r}")
    writer.close()
    return times


if __name__ == "__main__":
    main()
