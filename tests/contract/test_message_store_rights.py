"""The message store where a role may not create it, or not use it."""

from __future__ import annotations

import psycopg
import pytest

from intelligence.errors import MessageStoreUnavailableError
from intelligence.migrations import list_steps, migrate
from intelligence.postgres_messages import open_store
from tests.contract.test_roles import as_role, role  # noqa: F401 - a fixture


def test_a_role_without_rights_is_told_what_to_do(ledger_url: str, role: str) -> None:  # noqa: F811 - the fixture
    """First to create the store, then to read it."""
    with pytest.raises(MessageStoreUnavailableError, match=r"as the database's owner"):
        migrate(as_role(ledger_url, role))
    assert migrate(ledger_url) == list_steps()
    assert migrate(ledger_url) == []
    with (
        pytest.raises(MessageStoreUnavailableError, match="may not use"),
        open_store(as_role(ledger_url, role)) as store,
    ):
        store.count()


def test_an_older_pgvector_is_refused(ledger_url: str) -> None:
    """Its index would find too little with filters."""
    migrate(ledger_url)
    with psycopg.connect(ledger_url) as server:
        server.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    with pytest.raises(MessageStoreUnavailableError, match=r"0\.8 or later"):
        migrate(ledger_url)


def test_a_store_that_is_away_is_named() -> None:
    with pytest.raises(MessageStoreUnavailableError, match="HOLDFAST_INTELLIGENCE_URL"):
        migrate("postgresql://127.0.0.1:1/none")
    with (
        pytest.raises(MessageStoreUnavailableError, match="HOLDFAST_INTELLIGENCE_URL"),
        open_store("postgresql://127.0.0.1:1/x"),
    ):
        pass
