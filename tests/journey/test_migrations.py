"""The ledger's schema is created once, however many workers start."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
import yoyo
from msgspec.structs import replace

import campaigns.migrations
from campaigns.dead_letters import DeadLetterFilter, Resolution
from campaigns.errors import LedgerUnavailableError
from campaigns.migrations import ADVISORY_LOCK, migrate
from campaigns.ports import BatchChanges
from campaigns.postgres_dead_letters import open_dead_letters
from campaigns.postgres_ledger import PostgresLedger
from segments.engine import Episode, MembershipState
from streams.formats.dead_letters import dead_letter
from streams.formats.events import Reject, RejectReason
from tests.records import Arrived

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.triggers import Message

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


# Every way in which MessagePack writes a length: 15 and 16 pairs, short and long names, values of 8, 16 and 32 bits.
HEADERS: dict[str, Any] = {
    "none": (),
    "values": (("trace", b"\xff\x00"), ("empty", b""), ("null", None), ("trace", b"2")),
    "a dead letter sent again": (("holdfast_dead_letter_id", b"old"), ("holdfast_reason", b"theirs")),
    "exactly 15 with ours": tuple((f"h{n}", b"v") for n in range(7)),
    "15": tuple((f"h{n}", b"v") for n in range(15)),
    "16": tuple((f"h{n}", b"v") for n in range(16)),
    "204": tuple((f"h{n}", bytes([n])) for n in range(204)),
    "long names": (("n" * 40, b"1"), ("n" * 300, b"2"), ("n" * 70_000, b"3")),
    "long values": (("a", b"x" * 300), ("b", b"y" * 70_000)),
    "a name with NUL": (("\0", b"1"),),
}


def migrate_to_the_first(ledger_url: str) -> None:
    """Bring a ledger to the schema of the first release."""
    backend = yoyo.get_backend("postgresql+psycopg://" + ledger_url.partition("://")[2])
    with as_file(files("campaigns.migrations")) as folder:
        backend.apply_migrations(yoyo.read_migrations(str(folder)).filter(lambda step: step.id == "0001-ledger"))
    backend.connection.close()


def old_letters() -> list[Message]:
    """Return the dead letters of records with all those headers."""
    records = [Arrived(offset=n, headers=each, value=b"\xff{") for n, each in enumerate(HEADERS.values())]
    return [dead_letter(Reject(each, "decode", RejectReason.NOT_JSON, "it says \u20ac")) for each in records]


def write_old(ledger_url: str, letters: Sequence[Message], *, sent: bool) -> None:
    """Write letters as the first release did: as rows of the outbox."""
    with psycopg.connect(ledger_url) as ledger:
        for each in letters:
            ledger.execute(
                """INSERT INTO outbox (customer_id, message_id, destination, partition, key, headers, value, sent_at)
                   VALUES ('', %s, 'dead_letters', %s, %s, %s, %s, CASE WHEN %s THEN now() END)""",
                [each.message_id, each.partition, each.key, msgspec.msgpack.encode(each.headers), each.value, sent],
            )


def test_dead_letters_of_an_older_ledger_are_moved_with_all_they_have(ledger_url: str) -> None:
    migrate_to_the_first(ledger_url)
    letters = old_letters()
    write_old(ledger_url, letters, sent=True)
    assert list(migrate(ledger_url)) == STEPS[1:]
    with open_dead_letters(ledger_url) as desk:
        found = desk.find(DeadLetterFilter())
        assert set(desk.read_values([each.letter_id for each in found]).values()) == {b"\xff{"}
    assert [each.letter_id for each in found] == [each.message_id for each in letters]
    assert {each.offset: each.headers for each in found if each.offset != len(HEADERS) - 1} == dict(
        enumerate(list(HEADERS.values())[:-1])
    )
    assert {
        (each.stage, each.reason, each.detail, each.topic, each.partition, each.key, each.size) for each in found
    } == {("decode", "not_json", "it says \u20ac", "p.customer-updates", 1, b"ann", 2)}


def test_resolutions_of_an_older_ledger_are_kept(ledger_url: str) -> None:
    migrate_to_the_first(ledger_url)
    letters = old_letters()[:3]
    write_old(ledger_url, letters, sent=True)
    with psycopg.connect(ledger_url) as ledger:
        ledger.execute(
            """INSERT INTO dead_letter_fate (letter_id, fate, by_whom, why, run)
               VALUES (%s, 'discarded', 'olga', 'old', NULL), (%s, 'requeued', 'ann', '', 7)""",
            [letters[0].message_id, letters[1].message_id],
        )
    migrate(ledger_url)
    with open_dead_letters(ledger_url) as desk:
        found = desk.name([each.message_id for each in letters])
        assert desk.last_run() == 7
    assert [(each.resolution, each.actor, each.why) for each in found] == [
        (Resolution.DISCARDED, "olga", "old"),
        (Resolution.REQUEUED, "ann", None),
        (Resolution.OPEN, None, None),
    ]


async def test_what_an_older_ledger_has_not_published_still_goes_out_once(ledger_url: str) -> None:
    """And what it has published does not, though its record is delivered again."""
    await asyncio.to_thread(migrate_to_the_first, ledger_url)
    published, waiting = old_letters()[:2]
    write_old(ledger_url, [published], sent=True)
    write_old(ledger_url, [waiting], sent=False)
    await asyncio.to_thread(migrate, ledger_url)
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    new = replace(published, message_id="new")
    committed = await ledger.commit(BatchChanges(messages=[published, waiting, new]), owners={})
    assert [each.message.message_id for each in committed.outbox] == ["new"]
    assert [each.message.message_id for each in await ledger.unsent(1)] == [waiting.message_id, "new"]
    await ledger.close()
