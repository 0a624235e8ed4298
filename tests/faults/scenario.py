"""An input whose outcome does not depend on batching, with its warehouse and definitions.

Warehouse rows are fixed before the first event, counts of messages and of cancellation requests only grow, and a
launch reaches members of a segment that holds every customer. Customers who fall silent have one event before time
alone moves them, and none after. Of the launches that reach a customer, the first is the only one within the limit. So
triggers, memberships and signals are the same under any redelivery and any coalescing.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from streams.kafka.key_partitions import choose_partition
from streams.settings import INPUT_TOPICS, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PARTITIONS = 4
CUSTOMERS = 90
# Later than any activation: such a customer is new, so the first evaluation is not suppressed.
JOINED = "2099-01-01"
START = datetime(2011, 6, 1, tzinfo=UTC)

SILENT = 40
"""Customers whom only time moves, one after the other in a part of the input."""
SILENT_DAYS = 30
FIRST_SILENT, LAST_SILENT = 0.1, 0.8
"""Shares of the input."""
LATE = timedelta(hours=2)
"""The last events are so much later than the others: all workers know then that everybody is due."""

RULES: dict[str, Any] = {
    "everybody": None,
    "spenders": {">=": [{"var": "total_revenue"}, 500]},
    "silent": {">=": [{"time.days_since": [{"var": "last_order_at"}]}, SILENT_DAYS]},
    **{f"talked-{count}": {">=": [{"var": "message_count"}, count]} for count in (1, 3, 6, 10, 15, 20)},
    **{f"cancels-{count}": {">=": [{"var": "cancellation_requests"}, count]} for count in (1, 2, 4)},
}
LIMIT = {"key": "one-launch", "contacts": 1, "days": 30, "campaign": "to-everybody"}
TEXTS = (
    "Thank you, the parcel came in time.",
    "The quality is bad and the courier was late. I am very angry!",
    "I want to cancel.",
    "Please close my account, nobody answers.",
    "When do you deliver?",
    "Great service, I am happy.",
)
POISON: tuple[tuple[bytes | None, bytes | None], ...] = (
    (b"c1", b'{"id": "\xff\xfe"}'),
    (b"c1", b"not JSON"),
    (b"c1", None),
    (None, b'{"id":"p","type":"customer.updated","customer_id":"c1","occurred_at":"2011-06-01T00:00:00Z"}'),
    (b"c1", b'{"id":"p","type":"order.placed","customer_id":"c1","occurred_at":"2011-06-01T00:00:00Z"}'),
    (b"c1", b'{"id":"p","type":"customer.updated","customer_id":"c1","occurred_at":"yesterday"}'),
    (b"c1", b"x" * 300_000),
    (b"ghost", b'{"id":"p","type":"customer.updated","customer_id":"ghost","occurred_at":"2011-06-01T00:00:00Z"}'),
)


@dataclass(frozen=True, slots=True)
class InputRecord:
    """An input record; the topic is without its prefix."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


def generate(seed: int, events: int, customers: int = CUSTOMERS) -> list[InputRecord]:
    """Return customer updates, conversations, launches, duplicate events, and poison records in between."""
    chance = random.Random(seed)
    records = [_event(chance, number, customers) for number in range(events)]
    for number, (key, value) in enumerate(POISON * 3):
        place = chance.randrange(len(records))
        topic = INPUT_TOPICS[number % 2] if key != b"ghost" else INPUT_TOPICS[0]
        records.insert(place, InputRecord(topic, chance.randrange(PARTITIONS), key, value))
    for _ in range(events // 50):
        place = chance.randrange(len(records) - 1)
        records.insert(place + 1 + chance.randrange(len(records) - place - 1), records[place])
    return records


def announce_silent() -> list[InputRecord]:
    """Return the only event of each customer who falls silent."""
    return [_update(f"s{number}", _find_partition(f"s{number}"), START) for number in range(SILENT)]


def is_request(record: InputRecord) -> bool:
    """Return whether a worker made a record, for a customer who was due."""
    return b'"id":"due-' in (record.value or b"").replace(b" ", b"")


def end_time(events: int) -> list[InputRecord]:
    """Return an event for each partition that is later than all others."""
    at = START + timedelta(seconds=events) + LATE
    return [_update(f"late{number}", number, at) for number in range(PARTITIONS)]


def _update(customer: str, partition: int, at: datetime) -> InputRecord:
    event = {"id": customer, "type": "customer.updated", "customer_id": customer, "occurred_at": at.isoformat()}
    return InputRecord("customer-updates", partition, customer.encode(), json.dumps(event).encode())


def _find_partition(customer: str) -> int:
    """Return the partition in which workers request the evaluation of a customer who is due."""
    return choose_partition(load_settings().partitioner, customer.encode(), PARTITIONS)


def without_poison(records: Iterable[InputRecord]) -> list[InputRecord]:
    """Return the records that can be decided."""
    return [record for record in records if (record.key, record.value) not in POISON]


def _event(chance: random.Random, number: int, customers: int) -> InputRecord:
    customer = chance.randrange(customers)
    topic, kind, more = chance.choices(
        [
            ("customer-updates", "customer.updated", {}),
            ("conversations", "conversation.message", {"role": "customer", "text": chance.choice(TEXTS)}),
            ("conversations", "conversation.message", {"role": "agent", "text": "How can I help?"}),
            ("evaluations", "evaluation.requested", {"campaign": "to-everybody", "launch": f"l{chance.randrange(3)}"}),
        ],
        weights=(30, 50, 15, 5),
    )[0]
    at = START + timedelta(seconds=number)
    event = {"id": f"e{number}", "type": kind, "customer_id": f"c{customer}", "occurred_at": at.isoformat(), **more}
    return InputRecord(topic, customer % PARTITIONS, f"c{customer}".encode(), json.dumps(event).encode())


def fill_warehouse(url: str, customers: int = CUSTOMERS, events: int = 0) -> None:
    """Create the view's table, with one constant row for each customer.

    Args:
        url: the warehouse.
        customers: customers with events.
        events: events of the input, with whose times customers become silent; 0: nobody does.
    """
    with psycopg.connect(url) as connection:
        connection.execute("""
            CREATE TABLE customer_features_view (
                customer_id text PRIMARY KEY, customer_since text, total_revenue double precision,
                transaction_count integer, days_since_last_transaction double precision,
                email_consent boolean, sms_consent boolean, preferred_channel text, last_order_at timestamptz)""")
        rows = [*_rows(customers), *(_silent_rows(events) if events else ())]
        connection.cursor().executemany(
            "INSERT INTO customer_features_view VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", rows
        )


def _rows(customers: int) -> Iterator[tuple[Any, ...]]:
    for number in range(customers):
        consent = number % 10 != 0
        yield f"c{number}", JOINED, 20.0 * number, 1 + number % 7, 3.0 * number, consent, consent, "sms", None


def _silent_rows(events: int) -> Iterator[tuple[Any, ...]]:
    for number in range(SILENT):
        share = FIRST_SILENT + (LAST_SILENT - FIRST_SILENT) * number / SILENT
        at = START + timedelta(seconds=round(share * events))
        yield f"s{number}", JOINED, 20.0, 1, 3.0, True, True, "sms", at - timedelta(days=SILENT_DAYS)
    for number in range(PARTITIONS):
        yield f"late{number}", JOINED, 20.0, 1, 3.0, True, True, "sms", None


def write_definitions(folder: Path) -> Path:
    """Write the segments and campaigns, and return their folder."""
    (folder / "segments").mkdir(parents=True)
    (folder / "campaigns").mkdir()
    for key, rule in RULES.items():
        _write(folder / "segments" / f"{key}.json", {"key": key, "name": key, "rule": rule})
    for campaign in _campaigns():
        _write(folder / "campaigns" / f"{campaign['key']}.json", campaign)
    _write(folder / "campaigns" / "limits.json", [LIMIT])
    offers = [{"id": number, "key": f"offer-{number}", "name": f"Offer {number}"} for number in range(1, 9)]
    _write(folder / "campaigns" / "offers.json", offers)
    return folder


def _campaigns() -> Iterable[dict[str, Any]]:
    for segment in RULES:
        by_operator = segment == "everybody"
        yield {
            "key": f"to-{segment}",
            "name": f"To {segment}",
            "segment": segment,
            "launch": "by_operator" if by_operator else "on_enter",
            "offers": [1, 2, 3],
            "channels": ["email", "sms"],
            "message": "For you: {{ offer.name }}.",
            "holdout_percent": 15,
            # Which campaigns compete depends on which events come in one batch, and the runs compared differ in that.
            "competes": False,
        }


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
