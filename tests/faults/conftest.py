"""Fixtures of the fault tests: a constant warehouse, and the outcome of an undisturbed run of the input."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.faults import scenario
from tests.faults.run import Run, World
from tests.journey.workplace import lend_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.embedded.services import Endpoints
    from tests.faults.oracle import Outcome
    from tests.faults.scenario import InputRecord

SEED = 20111209
EVENTS = 3000


@pytest.fixture(scope="session")
def records() -> Sequence[InputRecord]:
    """The input."""
    return scenario.generate(SEED, EVENTS)


@pytest.fixture(scope="session")
def world(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A filled warehouse and definitions."""
    folder = tmp_path_factory.mktemp("faults")
    definitions = scenario.write_definitions(folder / "definitions")
    with lend_database(endpoints.warehouse_url, f"warehouse_{secrets.token_hex(4)}") as warehouse:
        scenario.fill_warehouse(warehouse)
        yield World(endpoints, warehouse, definitions, folder)


@pytest.fixture(scope="session")
def undisturbed(world: World, records: Sequence[InputRecord]) -> Outcome:
    """The outcome of a run without faults, whose worker makes the tables of its ledger."""
    with Run(world, records, is_migrated=False) as run:
        run.send()
        run.start()
        return run.finish()


@pytest.fixture
def run(world: World, records: Sequence[InputRecord]) -> Iterator[Run]:
    """A run for a test to disturb."""
    with Run(world, records) as entered:
        yield entered
