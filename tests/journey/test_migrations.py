"""The ledger's schema is created once, however many workers start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import yoyo

import campaigns.migrations
from campaigns.errors import LedgerUnavailableError
from campaigns.migrations import ADVISORY_LOCK, migrate
from campaigns.postgres_ledger import PostgresLedger
from segments.engine import Episode, MembershipState

FOLDER = Path(campaigns.migrations.__file__).parent
STEPS = sorted(path.stem for path in FOLDER.glob("*.sql"))
FIRST_ROWS = """
INSERT INTO roster (versions) VALUES ('{"risk": "v1"}');
INSERT INTO evaluated SELECT 'ann', roster_id FROM roster;
INSERT INTO membership VALUES ('ann', 'risk', 2, true, now(), NULL, 'v1');
INSERT INTO signal VALUES ('ann', '{"message_count": 3, "customer_message_count": 2, "sentiment_score": 0.5,
    "cancellation_requests": 1, "last_message_at": "2011-06-01T12:00:00Z", "last_message_id": "m"}');
"""
BLOCKED = """
SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
 WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""
UNDESCRIBED = """
SELECT relname FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND obj_description(oid, 'pg_class') IS NULL
"""


def test_the_second_migration_has_nothing_to_do(ledger_url: str) -> None:
    assert list(migrate(ledger_url)) == STEPS
    assert list(migrate(ledger_url)) == []


async def test_a_ledger_of_the_first_schema_is_brought_to_the_newest_with_its_data(ledger_url: str) -> None:
    backend = yoyo.get_backend("postgresql+psycopg://" + ledger_url.partition("://")[2])
    backend.apply_migrations(yoyo.read_migrations(str(FOLDER)).filter(lambda step: step.id == STEPS[0]))
    backend.connection.close()
    with psycopg.connect(ledger_url) as connection:
        connection.execute(FIRST_ROWS)
    assert list(migrate(ledger_url)) == STEPS[1:]
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    state = await ledger.read(["ann"], [])
    await ledger.close()
    assert state.memberships == {"ann": MembershipState({"risk": Episode(2, is_member=True)}, {"risk": "v1"})}
    assert (state.signals["ann"].cancellation_requests, state.signals["ann"].days) == (1, ())


def test_both_schemes_that_libpq_knows_will_do(ledger_url: str) -> None:
    assert list(migrate(ledger_url.replace("postgresql://", "postgres://", 1))) == STEPS


def test_workers_that_start_at_once_migrate_once(ledger_url: str) -> None:
    """Both wait for a lock that a third session holds, so neither can finish before the other begins."""
    with ThreadPoolExecutor(2) as workers, psycopg.connect(ledger_url, autocommit=True) as third:
        third.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        both = [workers.submit(migrate, ledger_url) for _ in range(2)]
        while len(third.execute(BLOCKED).fetchall()) < len(both):
            assert not any(each.done() for each in both)
        third.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])
        steps = sorted(list(each.result(60)) for each in both)
    assert steps == [[], STEPS]


def test_every_table_of_the_ledger_says_what_it_is_for(ledger_url: str) -> None:
    """Except the tables of yoyo itself."""
    migrate(ledger_url)
    with psycopg.connect(ledger_url) as connection:
        tables = {row[0] for row in connection.execute(UNDESCRIBED)}
    assert {name for name in tables if "yoyo" not in name} == set()


def test_a_ledger_that_cannot_be_reached_is_one_clear_error() -> None:
    with pytest.raises(LedgerUnavailableError, match="the ledger cannot be"):
        migrate("postgresql://127.0.0.1:1/nowhere")
