"""A worker that is killed: another one takes its partitions before its session in the group times out."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from streams.runtime.failure_detector import FIND_EVERY_S
from tests.journey.test_worker import workplace
from tests.journey.workplace import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"c{number}" for number in range(8)]
"""Of both partitions."""
KNOWN_S = 8 * FIND_EVERY_S
"""A worker that dies as soon as it has joined is not known to the others yet."""


def owns_one(worker: WorkerProcess) -> bool:
    """Return whether a worker owns one of the two partitions, of each of the four topics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
        return "\nholdfast_partitions 4.0" in answer.read().decode()


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    with workplace(endpoints, tmp_path) as lent:
        lent.environment["HOLDFAST_SESSION_TIMEOUT_S"] = "300"
        del lent.environment["HOLDFAST_INSTANCE_ID"]
        yield lent


def test_the_customers_of_a_dead_worker_do_not_wait_for_its_session(place: Workplace) -> None:
    """The session lasts 300 s: without the removal the test would time out."""
    with ExitStack() as stack:
        first, second = place.start_worker(), place.start_worker()
        stack.callback(second.stop)
        wait_until(lambda: all(owns_one(each) for each in (first, second)))
        time.sleep(KNOWN_S)
        os.kill(first.pid, signal.SIGKILL)
        for customer in CUSTOMERS:
            place.set_customer(customer, days=90)
            place.update(customer)
        for customer in CUSTOMERS:
            assert place.decisions(customer) == [("win-back", "withheld", "first_evaluation")]
