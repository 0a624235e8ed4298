"""The ledger's schema comes about once, however many workers start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import campaigns.migrations
from campaigns.errors import LedgerUnavailableError
from campaigns.migrations import ADVISORY_LOCK, migrate

STEPS = sorted(path.stem for path in Path(campaigns.migrations.__file__).parent.glob("*.sql"))
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


def test_both_schemes_that_libpq_knows_will_do(ledger_url: str) -> None:
    assert list(migrate(ledger_url.replace("postgresql://", "postgres://", 1))) == STEPS


def test_workers_that_start_at_once_migrate_once(ledger_url: str) -> None:
    """Both wait for a lock that a third holds, so neither can be through before the other begins."""
    with ThreadPoolExecutor(2) as workers, psycopg.connect(ledger_url, autocommit=True) as third:
        third.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        both = [workers.submit(migrate, ledger_url) for _ in range(2)]
        while len(third.execute(BLOCKED).fetchall()) < len(both):
            assert not any(each.done() for each in both)
        third.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])
        steps = sorted(list(each.result(60)) for each in both)
    assert steps == [[], STEPS]


def test_every_table_of_the_ledger_says_what_it_is_for(ledger_url: str) -> None:
    """The tables of yoyo itself are not ours to describe."""
    migrate(ledger_url)
    with psycopg.connect(ledger_url) as connection:
        tables = {row[0] for row in connection.execute(UNDESCRIBED)}
    assert {name for name in tables if "yoyo" not in name} == set()


def test_a_ledger_that_cannot_be_reached_is_one_clear_error() -> None:
    with pytest.raises(LedgerUnavailableError, match="the ledger cannot be"):
        migrate("postgresql://127.0.0.1:1/nowhere")
