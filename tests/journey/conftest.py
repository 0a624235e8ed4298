"""The worker that the tests of a module share."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.demo.worker_process import WorkerProcess
    from tests.journey.workplace import Workplace


@pytest.fixture(scope="module")
def worker(place: Workplace) -> Iterator[WorkerProcess]:
    """A worker shared by all tests of a module that do not kill it; the module has the workplace."""
    with ExitStack() as stack:
        process = place.start_worker()
        stack.callback(process.stop)
        yield process
