"""Logs of a worker contain no customer in clear text, whatever comes in."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from console.demo.worker_process import DemoWorkerError
from tests.journey.test_worker import workplace
from tests.journey.workplace import TIMEOUT_S

if TYPE_CHECKING:
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

# None of them may occur in a log. No time, offset or digest contains the part, as it may contain four digits.
PART = "customer4711"
CUSTOMERS = {
    name: f"{name}-{PART}@mail.example"
    for name in ("known", "unknown", "poison", "keyless", "twice", "broken", "future", "late", "gone")
}
VALUE = "secret-value-0815"
WORDS = "meet me at secret-place-42"
FAILING_VIEW = """
ALTER TABLE customer_features_view RENAME TO customers;
CREATE VIEW customer_features_view AS
    SELECT *, CASE WHEN customer_id LIKE 'poison-%' THEN (email || 'secret-value-0815')::integer ELSE 1 END AS odd
      FROM customers
"""


def misuse(place: Workplace) -> None:
    """Send what a worker decides, rejects and cannot decide."""
    of = CUSTOMERS
    place.publish("customer-updates", place.event(of["unknown"]), place.event(of["broken"], occurred_at="then"))
    place.publish("customer-updates", place.event(of["future"], occurred_at="2190-01-01T00:00:00Z"))
    place.publish("conversations", place.event(of["known"], "conversation.message", role="customer", text=WORDS))
    place.publish("outcomes", place.event(of["late"], "outcome.converted", trigger_id=VALUE, value=1))
    place.publish("outcomes", place.event(of["known"], "outcome.unsubscribed", channel=VALUE))
    place.publish("outcomes", place.event(of["known"], "feedback.always_vip", by=VALUE, reason=WORDS))
    place.publish("evaluations", place.event(of["known"], "evaluation.requested", campaign=VALUE))
    body = json.dumps(place.event(of["twice"])).encode()
    place.publish_bytes("customer-updates", of["keyless"].encode(), body)
    place.publish_bytes("customer-updates", of["keyless"].encode() + b"\xff", body[:-3])
    place.publish_bytes("customer-updates", None, body, [("ce_id", of["gone"].encode())])
    place.publish_bytes("customer-updates", of["gone"].encode(), None)
    place.publish("customer-updates", place.event(of["poison"]))


def test_no_line_of_a_worker_names_a_customer_or_quotes_a_value(endpoints: Endpoints, tmp_path: Path) -> None:
    """At the most talkative level, also when a row of the view fails; the digest leads to the customer."""
    with workplace(endpoints, tmp_path) as place:
        place.set_customers([CUSTOMERS["known"], CUSTOMERS["poison"]])
        with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"], autocommit=True) as warehouse:
            warehouse.execute(FAILING_VIEW.encode())
        place.environment = {**place.environment, "HOLDFAST_LOG_LEVEL": "debug"}
        worker = place.start_worker()
        place.update(CUSTOMERS["known"])
        misuse(place)
        place.settle()
        digest = place.do("customers", "digest", CUSTOMERS["poison"]).strip()
        worker.stop()
        written = "".join(path.read_text() for path in tmp_path.glob("worker-*"))
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    (isolated,) = (each for each in lines if each["event"] == "poison_isolated")
    assert isolated["customer"] == digest
    (failed,) = (each for each in lines if each["event"] == "batch_failed")
    assert failed["error"] == "WarehouseRowError: InvalidTextRepresentation (22P02)"
    assert [word for word in (*CUSTOMERS.values(), VALUE, WORDS, PART, "private@example.org") if word in written] == []


def test_a_worker_that_ends_by_an_error_names_no_customer(endpoints: Endpoints, tmp_path: Path) -> None:
    """As when every row of the view fails: the reason is logged without the row."""
    with workplace(endpoints, tmp_path) as place:
        customers = [f"poison-{PART}-{number}" for number in range(60)]
        place.set_customers(customers)
        with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"], autocommit=True) as warehouse:
            warehouse.execute(FAILING_VIEW.encode())
        worker = place.start_worker()
        place.publish("customer-updates", *map(place.event, customers))
        with suppress(DemoWorkerError):
            place.settle()
        assert worker._process.wait(TIMEOUT_S) not in (0, None)
        written = "".join(path.read_text() for path in tmp_path.glob("worker-*"))
    assert "too_many_poison_records" in written
    assert "InvalidTextRepresentation" in written
    assert PART not in written
