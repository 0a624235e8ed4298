"""Unreadable warehouse rows with a real worker: each affects its value or its customer, never the worker."""

from __future__ import annotations

import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.journey.test_worker import read_health, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"c{number}" for number in range(10)]
NEIGHBOURS = [each for each in CUSTOMERS if each != "c5"]
# Type, and the value of c5: all but the last four cannot be read.
ODD = [
    ("date", "infinity"),
    ("timestamptz", "-infinity"),
    ("timestamp", "12000-01-01"),
    ("date", "0044-03-15 BC"),
    ("time", "24:00"),
    ("interval", "9000000 years"),
    ("daterange", "[2011-12-09,infinity)"),
    ("date[]", "{infinity}"),
    ("json", r'"a\u0000b"'),
    ("daterange", "[2011-12-09,)"),
    ("interval", "5 mons"),
    ("numeric", "1e400"),
    ("jsonb", "1e400"),
]


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with ten known customers who are not lapsing."""
    with workplace(endpoints, tmp_path) as lent:
        lent.set_customers(CUSTOMERS)
        yield lent


@pytest.fixture
def worker(place: Workplace) -> Iterator[WorkerProcess]:
    """A worker that has evaluated every customer once."""
    process = place.start_worker()
    place.update(*CUSTOMERS)
    yield process
    process.stop()


def change(place: Workplace, *statements: str) -> None:
    """Change the warehouse."""
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"], autocommit=True) as warehouse:
        for statement in statements:
            warehouse.execute(statement.encode())


def let_lapse(place: Workplace, customers: Sequence[str], days: int = 90) -> None:
    """Set the days since the last transaction, and publish an update."""
    ids = ", ".join(f"'{each}'" for each in customers)
    change(
        place,
        f"UPDATE customer_features_view SET days_since_last_transaction = {days} WHERE customer_id IN ({ids})",  # noqa: S608
    )
    place.update(*customers)


def contacted(place: Workplace) -> list[str]:
    """Return the customer of each trigger."""
    return sorted((each.key or b"").decode() for each in place.see("campaign-triggers"))


def reasons(place: Workplace) -> list[tuple[bytes | None, str]]:
    """Return key and reason of every dead letter."""
    return [(each.key, each.header("holdfast_reason")) for each in place.see("dead-letters")]


def test_odd_values_cost_only_themselves(place: Workplace, worker: WorkerProcess) -> None:
    """Every customer is decided, including c5; health and metrics name the columns."""
    for number, (kind, value) in enumerate(ODD):
        change(place, f"ALTER TABLE customer_features_view ADD odd_{number} {kind}")
        change(place, f"UPDATE customer_features_view SET odd_{number} = '{value}' WHERE customer_id = 'c5'")  # noqa: S608
    let_lapse(place, CUSTOMERS)
    assert contacted(place) == CUSTOMERS
    assert reasons(place) == []
    health = read_health(worker)
    assert health["status"] == "degraded"
    assert sum("values that cannot be read" in line for line in health["degraded"]) == 6
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
        metrics = answer.read().decode()
    named = [number for number in range(len(ODD)) if f'unreadable_values_total{{column="odd_{number}"}}' in metrics]
    assert named == list(range(len(ODD) - 4))


def test_a_customer_with_two_rows_costs_only_its_own_events(place: Workplace, worker: WorkerProcess) -> None:
    """Also at the start of a worker; the customer is decided once only one row is left."""
    change(
        place,
        "ALTER TABLE customer_features_view DROP CONSTRAINT customer_features_view_pkey",
        "INSERT INTO customer_features_view SELECT * FROM customer_features_view WHERE customer_id = 'c5'",
    )
    let_lapse(place, CUSTOMERS)
    assert contacted(place) == NEIGHBOURS
    assert reasons(place) == [(b"c5", "duplicate_customer")]
    worker.stop()
    with closing_worker(place.start_worker()):
        place.update(*CUSTOMERS)
        assert reasons(place) == [(b"c5", "duplicate_customer")] * 2
        change(
            place,
            "DELETE FROM customer_features_view WHERE customer_id = 'c5'",
            "INSERT INTO customer_features_view VALUES ('c5', 90, 100, 4, 25, 100, true, 'email')",
        )
        place.update("c5")
    assert contacted(place) == CUSTOMERS


@contextmanager
def closing_worker(worker: WorkerProcess) -> Iterator[None]:
    """Stop a worker at the end of the block."""
    try:
        yield
    finally:
        worker.stop()


def test_a_row_that_the_server_cannot_compute_costs_only_its_customer(place: Workplace, worker: WorkerProcess) -> None:
    """The dead letter says why."""
    change(
        place,
        "ALTER TABLE customer_features_view RENAME TO customers",
        "CREATE VIEW customer_features_view AS SELECT *, 1 / (transaction_count - 1) AS ratio FROM customers",
        "UPDATE customers SET transaction_count = 1 WHERE customer_id = 'c5'",
    )
    let_lapse(place, CUSTOMERS)
    worker.check_alive()
    assert contacted(place) == NEIGHBOURS
    (letter,) = place.see("dead-letters")
    assert (letter.key, letter.header("holdfast_reason")) == (b"c5", "undecidable")
    assert "division by zero" in letter.header("holdfast_detail")


def test_a_column_that_disappears_leaves_its_segments_unchanged(place: Workplace, worker: WorkerProcess) -> None:
    """No customer enters or leaves them, other segments are evaluated, and all are once the column is back."""
    let_lapse(place, CUSTOMERS[:5])
    change(
        place,
        "CREATE TABLE kept AS SELECT customer_id, 150 - days_since_last_transaction AS days"
        " FROM customer_features_view",
        "ALTER TABLE customer_features_view DROP days_since_last_transaction",
        "UPDATE customer_features_view SET total_revenue = 5000",
    )
    place.update(*CUSTOMERS)
    assert contacted(place) == CUSTOMERS[:5]
    members = "SELECT segment, count(*) FROM membership WHERE is_member GROUP BY segment ORDER BY segment"
    assert place.ask_ledger(members) == [("big-spenders", 10), ("lapsing", 5)]
    health = read_health(worker)
    expected = "segment lapsing: missing from the warehouse's view: days_since_last_transaction; memberships unchanged"
    assert (health["status"], expected in health["degraded"]) == ("degraded", True)
    change(
        place,
        "ALTER TABLE customer_features_view ADD days_since_last_transaction integer",
        "UPDATE customer_features_view AS v SET days_since_last_transaction = days FROM kept"
        " WHERE kept.customer_id = v.customer_id",
    )
    place.update(*CUSTOMERS)
    assert contacted(place) == CUSTOMERS
    assert place.ask_ledger(members) == [("big-spenders", 10), ("lapsing", 5)]
    assert not any("lapsing" in line for line in read_health(worker)["degraded"])
