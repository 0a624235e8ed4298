"""Two workers with one HOLDFAST_INSTANCE_ID: one works, the other ends and says why."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from console.demo.worker_process import DemoWorkerError
from tests.journey.test_worker import read_health, workplace
from tests.journey.workplace import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

WATCHED_S = 8.0
"""Long enough for a worker that was fenced to take the name back several times."""


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    with workplace(endpoints, tmp_path) as lent:
        yield lent


def test_the_worker_that_lost_its_instance_id_ends_and_the_other_one_works(place: Workplace) -> None:
    """The later one keeps the name; partitions move once."""
    with ExitStack() as stack:
        first = place.start_worker()
        stack.callback(first.stop)
        place.set_customer("ann", days=90)
        place.update("ann")
        second = place.start_worker()
        stack.callback(second.stop)
        with pytest.raises(DemoWorkerError) as ended:
            wait_until(lambda: first.check_alive() is not None)  # type: ignore[func-returns-value]
        assert "exit code 2" in str(ended.value)
        assert "HOLDFAST_INSTANCE_ID: another worker has joined the group as" in str(ended.value)
        assert "Traceback" not in str(ended.value)
        wait_until(lambda: read_health(second)["status"] == "ok")
        place.set_customer("bea", days=90)
        place.update("bea")
        assert place.decisions("bea") == [("win-back", "withheld", "first_evaluation")]
        owners, moved_once = "SELECT partition, epoch FROM partition_owner ORDER BY 1", [(0, 2), (1, 2)]
        wait_until(lambda: place.ask_ledger(owners) == moved_once)
        time.sleep(WATCHED_S)
        assert place.ask_ledger(owners) == moved_once
        assert read_health(second)["status"] == "ok"


def test_a_worker_that_restarts_with_its_instance_id_is_not_stopped(place: Workplace) -> None:
    """After a kill the name is still in the group; the next process takes it at once."""
    with ExitStack() as stack:
        first = place.start_worker()
        stack.callback(first.stop)
        os.kill(first.pid, signal.SIGKILL)
        second = place.start_worker()
        stack.callback(second.stop)
        place.set_customer("cem", days=90)
        place.update("cem")
        assert place.decisions("cem") == [("win-back", "withheld", "first_evaluation")]
