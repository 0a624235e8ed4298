"""A ledger for contracts of what has no fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from campaigns.migrations import migrate
from campaigns.postgres_ledger import PostgresLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[PostgresLedger]:
    """An empty ledger, open, with partition 3 claimed."""
    migrate(ledger_url)
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await postgres.claim(3)
    yield postgres
    await postgres.close()
