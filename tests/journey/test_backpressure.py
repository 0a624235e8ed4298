"""Workers that are stuck, blocked, or stopped while blocked: they report it and lose nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import pytest

from benchmarks import backlog
from console.demo.worker_process import WorkerProcess, free_port
from streams.runtime.shutdown import ABANDONED
from tests.faults.proxy import Proxy
from tests.forked_process import ROOT
from tests.journey.stuck_worker import WAYS
from tests.journey.test_worker import workplace
from tests.journey.workplace import Workplace, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints


class WatchedProcess:
    """A worker process of a given module, and the responses of its probes."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env={**os.environ, **environment, "HOLDFAST_HEALTH_PORT": str(self.port)},
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )

    def ask(self, path: str = "health") -> tuple[int, dict[str, Any]]:
        """Return the status code and the report of a path; (0, {}) without a response."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=10) as answer:
                return answer.status, json.load(answer)
        except HTTPError as answer:
            with answer:
                return answer.code, json.load(answer)
        except (URLError, ConnectionError, TimeoutError):
            return 0, {}

    def is_in(self, status: str) -> bool:
        """Return whether /health reports this status."""
        assert self.process.poll() is None, f"the worker ended with exit code {self.process.returncode}"
        return self.ask()[1].get("status") == status

    def metrics(self) -> str:
        """Return the text of /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


@contextmanager
def watched(command: list[str], place: Workplace, **environment: str) -> Iterator[WatchedProcess]:
    """Run a worker while the block lasts."""
    given = {**place.environment, **environment}
    worker = WatchedProcess(command, given, place.folder / f"watched-{len(list(place.folder.iterdir()))}.log")
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


@pytest.mark.parametrize("way", WAYS)
def test_a_worker_that_is_stuck_says_so(way: str, endpoints: Endpoints, tmp_path: Path) -> None:
    """In every way: it is neither ready nor live, and reports the stalled part and its duration."""
    settings = {"HOLDFAST_STUCK_AFTER_S": "3", "HOLDFAST_BATCH_EVENTS": "1"}
    with workplace(endpoints, tmp_path) as place, ExitStack() as stack:
        customers = [f"c{number}" for number in range(200)]
        place.set_customers(customers)
        worker = stack.enter_context(watched(["tests.journey.stuck_worker", way], place, **settings))
        wait_until(lambda: worker.is_in("ok"))
        place.publish("customer-updates", *map(place.event, customers))
        wait_until(lambda: worker.is_in("stuck"))
        code, report = worker.ask("health/live")
        assert (code, report["alive"], report["ready"], report["retrying"]) == (503, False, False, {})
        assert all("customer-updates[" in each and "events behind" in each for each in report["stuck"])
        figures = worker.metrics()
    assert "holdfast_stuck 0.0" not in figures
    ages = [line.rpartition(" ")[2] for line in figures.splitlines() if line.startswith("holdfast_commit_age_seconds{")]
    assert max(map(float, ages)) > 3


@pytest.fixture(scope="module")
def held_place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace for the tests that block PostgreSQL."""
    with workplace(endpoints, tmp_path_factory.mktemp("held")) as place:
        yield place


def test_a_worker_that_waits_for_the_ledger_is_not_stuck(held_place: Workplace) -> None:
    """It reports the awaited service, the duration, the attempts and the last error, and stays live."""
    place, ledger = held_place, held_place.environment["HOLDFAST_LEDGER_URL"]
    with Proxy(urlsplit(ledger).port or 0) as proxy, ExitStack() as stack:
        settings = {"HOLDFAST_LEDGER_URL": proxy.lead(ledger), "HOLDFAST_STUCK_AFTER_S": "1"}
        worker = stack.enter_context(watched(["console", "worker"], place, **settings))
        wait_until(lambda: worker.is_in("ok"))
        proxy.refuse()
        proxy.cut()
        place.set_customer("ann")
        place.publish("customer-updates", place.event("ann"))
        wait_until(lambda: worker.ask()[1].get("retrying", {}).get("ledger", {}).get("seconds", 0) > 3)
        code, report = worker.ask()
        assert (code, report["status"], report["ready"]) == (503, "retrying", False)
        assert report["retrying"]["ledger"]["attempts"] >= 1
        assert "ledger" in report["retrying"]["ledger"]["error"]
        assert worker.ask("health/live")[0] == 200
        proxy.heal()
        wait_until(lambda: worker.is_in("ok"))
        assert 'holdfast_retry_seconds_total{service="ledger"}' in worker.metrics()


def test_a_worker_ends_in_time_while_postgresql_hangs_and_loses_nothing(held_place: Workplace) -> None:
    """It stops by itself with the exit code for this case; the next worker processes every event once."""
    place = held_place
    customers = [f"h{number}" for number in range(600)]
    place.set_customers(customers)
    urls = {name: place.environment[name] for name in ("HOLDFAST_LEDGER_URL", "HOLDFAST_WAREHOUSE_URL")}
    with Proxy(urlsplit(urls["HOLDFAST_LEDGER_URL"]).port or 0) as proxy, ExitStack() as stack:
        led = {name: proxy.lead(url) for name, url in urls.items()}
        settings = {**led, "HOLDFAST_SHUTDOWN_S": "3", "HOLDFAST_BATCH_EVENTS": "50"}
        worker = stack.enter_context(watched(["console", "worker"], place, **settings))
        wait_until(lambda: worker.is_in("ok"))
        place.publish("customer-updates", *map(place.event, customers))
        wait_until(lambda: len(place.ask_ledger("SELECT 1 FROM evaluated WHERE customer_id LIKE 'h%'")) == 600)
        place.set_customers(customers, days=90)
        place.publish("customer-updates", *map(place.event, customers))
        wait_until(lambda: len(place.ask_ledger("SELECT 1 FROM contact WHERE customer_id LIKE 'h%'")) > 0, 0.001)
        proxy.hold()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(30) == ABANDONED
    successor = place.start_worker()
    place.settle()
    successor.stop()
    reached = Counter(each.key for each in place.see("campaign-triggers") if (each.key or b"").startswith(b"h"))
    assert reached == Counter({customer.encode(): 1 for customer in customers})


def test_memory_stays_flat_while_a_backlog_stands(endpoints: Endpoints, tmp_path: Path) -> None:
    """The ledger is slow: the read-ahead is bounded, and the rest, 130 MB as records, stays in Kafka."""
    with workplace(endpoints, tmp_path) as place, ExitStack() as stack:
        ledger = place.environment["HOLDFAST_LEDGER_URL"]
        proxy = stack.enter_context(Proxy(urlsplit(ledger).port or 0))
        led = {**place.environment, "HOLDFAST_LEDGER_URL": proxy.lead(ledger)}
        place.set_customers([f"c{number}" for number in range(backlog.CUSTOMERS)])
        worker = WorkerProcess(led, place.folder / "worker.log")
        stack.callback(worker.stop)
        worker.wait_until_ready()
        idle = worker.read_figures()
        proxy.delay(backlog.DELAY_S)
        backlog.produce(place.broker, f"{place.prefix}customer-updates", 150_000)
        samples = list(backlog.sample(worker, lambda each: each.events >= 5_000))
    assert samples[-1].events < 100_000, "the backlog has drained too soon for a measurement"
    assert max(each.memory_mb for each in samples) - idle.memory_mb < 60
