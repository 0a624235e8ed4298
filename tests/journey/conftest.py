"""The worker that the tests of a module share, and the example warehouse, loaded once."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.warehouse import load_example
from tests.journey.workplace import lend_database, lend_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

    LendExample = Callable[[date], AbstractContextManager[str]]

EXAMPLE = Path(__file__).parents[2] / "examples" / "online_retail"


@pytest.fixture(scope="session")
def lend_example(endpoints: Endpoints) -> Iterator[LendExample]:
    """Return what lends a copy of the example warehouse as of a date; it is loaded once for each date."""
    server = endpoints.warehouse_url
    loaded: dict[date, str] = {}
    with ExitStack() as stack:

        @contextmanager
        def lend(until: date) -> Iterator[str]:
            if until not in loaded:
                url = stack.enter_context(lend_database(server, f"example_{secrets.token_hex(4)}"))
                load_example(url, until, EXAMPLE)
                loaded[until] = url.rpartition("/")[2]
            with lend_database(server, f"warehouse_{secrets.token_hex(4)}", template=loaded[until]) as copy:
                yield copy

        yield lend


@pytest.fixture
def migrated_url(endpoints: Endpoints) -> Iterator[str]:
    """A ledger with all tables and no rows, dropped after the test."""
    with lend_ledger(endpoints.ledger_url) as url:
        yield url


@pytest.fixture(scope="module")
def worker(place: Workplace) -> Iterator[WorkerProcess]:
    """A worker shared by all tests of a module that do not kill it; the module has the workplace."""
    with ExitStack() as stack:
        process = place.start_worker()
        stack.callback(process.stop)
        yield process
