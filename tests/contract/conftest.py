"""Ledgers for the contracts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from campaigns.postgres_ledger import PostgresLedger
from tests.journey.workplace import lend_database, lend_ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from console.embedded.services import Endpoints


@pytest.fixture
def ledger_url(endpoints: Endpoints) -> Iterator[str]:
    """A ledger with all tables and no rows, dropped after the test."""
    with lend_ledger(endpoints.ledger_url) as url:
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
