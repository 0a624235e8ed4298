"""Measures predictions over HTTP: `python -m benchmarks.console`.

Starts its own services, fills a table of 100,000 customers, and serves the console in a process of its own with the
models of the example. One client asks with an API key for one customer after another, then some ask at once, then one
asks for many customers at a time. CONSOLE_CUSTOMERS changes the size. The last line is a JSON object.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from benchmarks.machine import describe
from benchmarks.peers import ROOT
from benchmarks.segment_preview import EXAMPLE_MODELS, TABLE
from campaigns.migrations import migrate
from console.access.postgres_accounts import PostgresAccounts
from console.access.roles import Role
from console.access.tokens import make_key
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
        with serve(endpoints) as port:
            found = {kind: measure(port, key, kind) for kind in ("churn", "nbo", "ltv", "rfm")}
    report = {"machine": machine, "customers": CUSTOMERS, "target_p99_ms": TARGET_P99_MS, "target_per_s": TARGET_PER_S}
    for kind, figures in found.items():
        sys.stdout.write(f"{kind:6} {' '.join(f'{name} {value:,.1f}' for name, value in figures.items())}\n")
    sys.stdout.write(f"{json.dumps({**report, 'kinds': found})}\n")


def fill(endpoints: Endpoints) -> str:
    """Create the customers and an account, and return its key."""
    with psycopg.connect(endpoints.warehouse_url, autocommit=True) as warehouse:
        warehouse.execute(TABLE, {"customers": CUSTOMERS})
        warehouse.execute("CREATE UNIQUE INDEX ON customer_features_view (customer_id)")
        warehouse.execute("VACUUM ANALYZE customer_features_view")
    migrate(endpoints.ledger_url)
    accounts, key = PostgresAccounts(endpoints.ledger_url), make_key()
    accounts.open()
    accounts.add_account("bench", Role.CARE, None, by="benchmark")
    accounts.add_key(secrets.token_hex(4), key, "bench", by="benchmark", expires_at=None)
    accounts.close()
    return key


@contextmanager
def serve(endpoints: Endpoints) -> Iterator[int]:
    """Serve the console in a process of its own meanwhile, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "HOLDFAST_LEDGER_URL": endpoints.ledger_url,
        "HOLDFAST_WAREHOUSE_URL": endpoints.warehouse_url,
        "HOLDFAST_MODELS_DIR": str(EXAMPLE_MODELS),
        "HOLDFAST_CONSOLE_PORT": str(port),
        "HOLDFAST_CONSOLE_RATE_PER_MINUTE": "0",
    }
    with subprocess.Popen([sys.executable, "-m", "console", "console"], env=environment, cwd=ROOT) as process:
        try:
            wait_until_served(port)
            yield port
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


def measure(port: int, key: str, kind: str) -> Mapping[str, float]:
    """Return latencies of one customer in ms, and predictions per second of requests at once and of batches."""
    path = f"/api/v1/predictions/{kind}"
    clients = threading.local()

    def ask(number: int, body: str | None = None) -> float:
        if not hasattr(clients, "connection"):
            clients.connection = HTTPConnection("127.0.0.1", port, timeout=60)
        began = time.perf_counter()
        one = f"{path}/customers/customer-{1 + number % CUSTOMERS}"
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        clients.connection.request("POST" if body else "GET", path if body else one, body, headers)
        answer = clients.connection.getresponse()
        said = answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{path}: {answer.status} {said[:200]!r}")
        return 1000 * (time.perf_counter() - began)

    ask(0)  # loads the models
    latencies = [ask(number) for number in range(ASKED)]
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(ask, range(ASKED)))
    at_once = ASKED / (time.perf_counter() - began)
    began = time.perf_counter()
    for batch in range(BATCHES):
        ids = [f"customer-{1 + (batch * BATCH + number) % CUSTOMERS}" for number in range(BATCH)]
        ask(0, json.dumps({"customer_ids": ids}))
    batched = BATCHES * BATCH / (time.perf_counter() - began)
    return {
        "p50_ms": statistics.median(latencies),
        "p99_ms": statistics.quantiles(latencies, n=100)[-1],
        "single_per_s": at_once,
        "batched_per_s": batched,
    }


if __name__ == "__main__":
    main()
