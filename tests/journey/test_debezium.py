"""Debezium's own connector between the warehouse and the worker: rows change, and triggers come out."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.kafka.topics import create_topics
from tests.journey.kafka_connect import UNWRAPPED, describe_debezium, run_connect
from tests.journey.test_worker import workplace
from tests.journey.workplace import wait_until
from tests.records import PREFIX, Arrived, decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

TABLE = "public.customer_features_view"
RECORDS = 7
"""Four rows of the snapshot, a change, a deletion and its tombstone."""


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    with workplace(endpoints, tmp_path) as lent:
        yield lent
        drop_slots(lent)


def drop_slots(place: Workplace) -> None:
    """Drop what a connector that was killed leaves: its database could not be dropped."""
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"], autocommit=True) as warehouse:
        warehouse.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
        )


def test_rows_that_change_in_the_warehouse_make_triggers(place: Workplace, tmp_path: Path) -> None:
    """Without code of the user's: the snapshot fires nothing, a change does, a deletion leaves no dead letter."""
    url, topic = place.environment["HOLDFAST_WAREHOUSE_URL"], f"{place.prefix}customer-updates"
    place.set_customers(["stays", "lapses", "goes"], days=5)
    place.set_customer("lapsed", days=90)
    with ExitStack() as stack:
        stack.callback(place.start_worker().stop)
        connector = describe_debezium(url, TABLE, topic)
        stack.enter_context(run_connect(tmp_path, place.broker, connector))
        wait_until(lambda: bool(place.decisions("lapsed")))
        place.settle()
        assert place.decisions("lapsed") == [("win-back", "withheld", "first_evaluation")]

        place.set_customer("lapses", days=90)
        with psycopg.connect(url) as warehouse:
            warehouse.execute("DELETE FROM customer_features_view WHERE customer_id = 'goes'")
        wait_until(lambda: bool(place.triggers("lapses")))
        wait_until(lambda: len(place.see("customer-updates")) >= RECORDS)
        place.settle()
    assert [each["customer_id"] for each in place.triggers("lapses")] == ["lapses"]
    assert place.see("dead-letters") == []
    operations = [each.body["payload"] for each in place.see("customer-updates") if each.value]
    assert sorted(each["op"] for each in operations) == ["d", "r", "r", "r", "r", "u"]


ACCOUNTS = """
CREATE TABLE {table} (customer_id {kind} PRIMARY KEY, plan text, story text);
ALTER TABLE {table} ALTER story SET STORAGE EXTERNAL;
INSERT INTO {table} VALUES (17850, 'basic', repeat('x', 100000));
"""
CHANGES = """
UPDATE {table} SET plan = 'gold';
UPDATE {table} SET customer_id = 17851;
DELETE FROM {table};
"""
SETTINGS = {
    "accounts_as_text": ("text", {}),
    "accounts_as_numbers": ("numeric(12)", {}),
    "accounts_unwrapped": ("bigint", UNWRAPPED),
}
CHANGED_KEY = [("deletion", "17850"), ("deletion", "17850"), ("customer", "17851")]
DELETED = [("deletion", "17851"), ("deletion", "17851")]


def test_records_are_read_whatever_the_settings_of_the_connector(place: Workplace, tmp_path: Path) -> None:
    """A snapshot, a change that leaves a long text out, a changed primary key, a deletion; each with its tombstone."""
    url = place.environment["HOLDFAST_WAREHOUSE_URL"]
    topics = {table: f"{place.prefix}{table}" for table in SETTINGS}
    create_topics(place.broker, list(topics.values()), 1)
    with psycopg.connect(url) as warehouse:
        for table, (kind, _) in SETTINGS.items():
            warehouse.execute(ACCOUNTS.format(table=table, kind=kind))  # type: ignore[call-overload]
    connectors = [describe_debezium(url, f"public.{table}", topics[table], **SETTINGS[table][1]) for table in SETTINGS]
    with run_connect(tmp_path, place.broker, *connectors):
        wait_until(lambda: all(place.see(table) for table in SETTINGS))
        with psycopg.connect(url, autocommit=True) as warehouse:
            for table in SETTINGS:
                for change in CHANGES.format(table=table).strip().splitlines():
                    warehouse.execute(change)  # type: ignore[call-overload]
        wait_until(lambda: all(len(place.see(table)) == 7 for table in SETTINGS))
    now_ms = int(time.time() * 1000)
    for table in SETTINGS:
        arrived = [
            Arrived(f"{PREFIX}customer-updates", offset=offset, timestamp=now_ms, key=each.key, value=each.value)
            for offset, each in enumerate(place.see(table))
        ]
        decoded = decode_batch(arrived)
        assert not decoded.rejects, decoded.rejects
        found = [
            (event.kind, event.customer_id) for event in sorted(decoded.events, key=lambda each: each.record.offset)
        ]
        assert found == [("snapshot", "17850"), ("customer", "17850"), *CHANGED_KEY, *DELETED], table
