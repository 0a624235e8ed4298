"""The message store where a role may not create it, or not use it."""

from __future__ import annotations

import psycopg
import pytest

from campaigns import migrations as ledger_migrations
from intelligence.errors import MessageStoreUnavailableError
from intelligence.migrations import list_steps, migrate
from intelligence.postgres_customers import newest_run, read_clusters
from intelligence.postgres_messages import open_store
from tests.builders import AS_OF
from tests.contract.test_roles import as_role, grant, role  # noqa: F401 - a fixture


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


def test_roles_search_erase_and_prune_and_nothing_else(ledger_url: str, role: str) -> None:  # noqa: F811 - the fixture
    """Also a table that a run of `holdfast clusters` makes later."""
    ledger_migrations.migrate(ledger_url)
    migrate(ledger_url)
    grant(ledger_url, role, "--set", "search=1")
    with open_store(ledger_url) as owner:
        owner.execute("create_next_customers")
        owner.execute("replace_customers")
    with open_store(as_role(ledger_url, role)) as store:
        assert (store.count(), newest_run(store), read_clusters(store)) == (0, None, {})
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            store.execute("delete_older", cutoff=AS_OF, most=1)
    grant(ledger_url, role, "--set", "prune=1")
    with open_store(as_role(ledger_url, role)) as store:
        assert (store.count_older(AS_OF), store.delete_older(AS_OF)) == (0, 0)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            store.erase(["ann"])
    grant(ledger_url, role, "--set", "forget=1")
    with open_store(as_role(ledger_url, role)) as store:
        assert store.has_tables()
        assert set(store.erase(["ann"]).values()) == {0}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            store.connection.execute("UPDATE intelligence.message SET text = 'forged'")


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
