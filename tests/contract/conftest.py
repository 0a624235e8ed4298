"""Ledgers for the contracts. They are copies of one that is migrated once: that takes longer than most tests."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from campaigns.migrations import migrate
from campaigns.postgres_ledger import PostgresLedger
from tests.journey.workplace import lend_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from console.embedded.services import Endpoints


@pytest.fixture(scope="session")
def ledger_template(endpoints: Endpoints) -> Iterator[str]:
    """The name of a ledger with all tables and no rows."""
    with lend_database(endpoints.ledger_url, f"template_{secrets.token_hex(4)}") as url:
        migrate(url)
        yield url.rpartition("/")[2]


@pytest.fixture
def ledger_url(endpoints: Endpoints, ledger_template: str) -> Iterator[str]:
    """A ledger with all tables and no rows, dropped after the test."""
    with lend_database(endpoints.ledger_url, f"ledger_{secrets.token_hex(4)}", template=ledger_template) as url:
        yield url


@pytest.fixture
def empty_ledger_url(endpoints: Endpoints) -> Iterator[str]:
    """A database without tables, dropped after the test."""
    with lend_database(endpoints.ledger_url, f"ledger_{secrets.token_hex(4)}") as url:
        yield url


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[PostgresLedger]:
    """An empty ledger, open, with partition 3 claimed."""
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await postgres.claim(3)
    yield postgres
    await postgres.close()
