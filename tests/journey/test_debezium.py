"""Debezium's own connector between the warehouse and the worker: rows change, and triggers come out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.journey.kafka_connect import describe_debezium, run_connect
from tests.journey.test_worker import workplace
from tests.journey.workplace import wait_until

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
