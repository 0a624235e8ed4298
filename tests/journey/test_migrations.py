"""The ledger's schema comes about once, however many workers start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import yoyo

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


CONTACTS = """
INSERT INTO contact (customer_id, trigger_id, campaign, channel, variant, offer_id, status, value, decided_at)
SELECT status, gen_random_uuid(), 'c', 'email', 'treatment', 1, status, value, '2011-06-01Z'
  FROM (VALUES ('reserved', NULL), ('refunded', NULL), ('opened', 0.1), ('converted', 25.5)) AS t (status, value)
"""
REVOCATIONS = (
    "INSERT INTO revocation VALUES ('ann', 'email', '2011-06-02Z', 'complained'), ('ann', 'sms', '2011-06-03Z', 'x')"
)


def test_contacts_and_revocations_of_an_older_ledger_are_kept(ledger_url: str) -> None:
    migrate_to(ledger_url, "0001-ledger")
    with psycopg.connect(ledger_url) as ledger:
        ledger.execute(CONTACTS)
        ledger.execute(REVOCATIONS)
    migrate(ledger_url)
    with psycopg.connect(ledger_url) as ledger:
        contacts = ledger.execute(
            "SELECT customer_id, status, value::text, conversions, first_at FROM contact"
        ).fetchall()
        changes = "SELECT customer_id, channel, granted, changed_at, source FROM consent_change ORDER BY channel"
        kept = ledger.execute(changes).fetchall()
    at = {"refunded": {"bounced": "2011-06-01T00:00:00+00:00"}, "converted": {"converted": "2011-06-01T00:00:00+00:00"}}
    assert {each[0]: each[1:] for each in contacts} == {
        "reserved": ("reserved", None, 0, {}),
        "refunded": ("bounced", None, 0, at["refunded"]),
        "opened": ("opened", "0.1", 0, {}),
        "converted": ("converted", "25.5", 1, at["converted"]),
    }
    assert kept == [
        ("ann", "email", False, datetime(2011, 6, 2, tzinfo=UTC), "complained"),
        ("ann", "sms", False, datetime(2011, 6, 3, tzinfo=UTC), "x"),
    ]


def migrate_to(url: str, last: str) -> None:
    """Bring an empty ledger to the schema of an older version."""
    backend = yoyo.get_backend("postgresql+psycopg://" + url.partition("://")[2])
    steps = yoyo.read_migrations(str(Path(campaigns.migrations.__file__).parent))
    backend.apply_migrations(steps.filter(lambda step: step.path.endswith(".sql") and step.id <= last))
    backend.connection.close()


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
