"""The work measured: 100,000 customers, 400,000 updates and a tenth as many messages, 100 rules, 20 campaigns.

Customers are drawn by Zipf's law. The view's column `activity` is another random number at each read, so that a
re-read row differs each time; twenty rules on it let two events in a hundred enter a segment that a campaign waits
for, and the next event of the same customer leaves it. The other rules are on columns that stay.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from confluent_kafka import Producer
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

PARTITIONS = 4
CUSTOMERS = 100_000
RULES = 100
CAMPAIGNS = 20
MESSAGES_PERCENT = 10
ZIPF_EXPONENT = 1.1
START = datetime(2011, 6, 1, tzinfo=UTC)
TEXTS = (
    "Thank you, the parcel came in time.",
    "The quality is bad and the courier was late. I am very angry!",
    "When do you deliver?",
    "Great service, I am happy.",
)
STAYING = ("total_revenue", "transaction_count", "days_since_last_transaction", "tenure_days")
VIEW = """
    CREATE VIEW customer_features_view AS
    SELECT customer_id, total_revenue, transaction_count, days_since_last_transaction, avg_transaction_value,
           lifetime_value, transactions_90d, items_total, cancellations, revenue_90d, revenue_trend,
           avg_days_between_orders, tenure_days, web_visits_30d, mail_opens_30d, support_tickets, country, email_tier,
           preferred_channel, email_consent, sms_consent, push_consent, customer_since,
           floor(random() * 1000) AS activity
    FROM customer
"""
TABLE = """
    CREATE TABLE customer (
        customer_id text PRIMARY KEY, total_revenue double precision, transaction_count integer,
        days_since_last_transaction integer, avg_transaction_value double precision, lifetime_value double precision,
        transactions_90d integer, items_total integer, cancellations integer, revenue_90d double precision,
        revenue_trend double precision, avg_days_between_orders double precision, tenure_days integer,
        web_visits_30d integer, mail_opens_30d integer, support_tickets integer, country text, email_tier text,
        preferred_channel text, email_consent boolean, sms_consent boolean, push_consent boolean,
        customer_since timestamptz)
"""
INSERT = """
    INSERT INTO customer
    SELECT 'c' || n, h % 5000, 1 + h % 40, h % 90, 20 + h % 300, h % 5000, h % 9, h % 700, h % 4, h % 900,
           (h % 200 - 100) / 100.0, h % 60, 1 + h % 700, h % 30, h % 12, h % 5,
           (ARRAY['GB', 'DE', 'FR', 'ES'])[1 + h % 4], (ARRAY['engaged', 'occasional', 'dormant'])[1 + h % 3], 'email',
           h % 20 <> 0, true, false, '2099-01-01'
    FROM (SELECT n, abs(hashint4(n)) AS h FROM generate_series(0, {customers} - 1) AS n) AS drawn
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; one thing at a time is varied for the cost curves."""

    events: int = 400_000
    customers: int = CUSTOMERS
    rules: int = RULES
    campaigns: int = CAMPAIGNS
    seed: int = 5


def fill_warehouse(url: str, size: Size) -> None:
    """Create the table and the view, with one row for each customer."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute(sql.SQL(INSERT).format(customers=sql.Literal(size.customers)))
        connection.execute(VIEW)
        connection.execute("VACUUM ANALYZE customer")


def write_definitions(folder: Path, size: Size) -> Path:
    """Write segments and campaigns, and return their folder."""
    (folder / "segments").mkdir(parents=True)
    (folder / "campaigns").mkdir()
    for number in range(size.rules):
        segment = {"key": f"s{number}", "name": f"Segment {number}", "rule": _rule(number, size)}
        _write(folder / "segments" / f"s{number}.json", segment)
    for number in range(size.campaigns):
        _write(folder / "campaigns" / f"to-s{number}.json", _campaign(number))
    offers = [{"id": number, "key": f"offer-{number}", "name": f"Offer {number}"} for number in range(1, 9)]
    _write(folder / "campaigns" / "offers.json", offers)
    return folder


def _rule(number: int, size: Size) -> dict[str, Any]:
    """Return one of the rules that campaigns wait for, which share two hundredths of all reads, or a staying one."""
    if number < size.campaigns:
        width = 20 / size.campaigns
        return _between("activity", number * width, (number + 1) * width)
    column = STAYING[number % len(STAYING)]
    low = 7 * number
    both = [_between(column, low, low + 5 + number), {"==": [{"var": "country"}, ("GB", "DE", "FR", "ES")[number % 4]]}]
    return {"and": both} if number % 3 else {"or": [both[0], {">": [{"var": "churn_probability"}, 0.98]}]}


def _between(column: str, low: float, high: float) -> dict[str, Any]:
    fact = {"var": column}
    return {"and": [{">=": [fact, low]}, {"<": [fact, high]}]}


def _campaign(number: int) -> dict[str, Any]:
    return {
        "key": f"to-s{number}",
        "name": f"To segment {number}",
        "segment": f"s{number}",
        "launch": "on_enter",
        "offers": [1, 2, 3],
        "channels": ["email", "sms"],
        "message": "For you: {{ offer.name }}.",
        "holdout_percent": 5,
    }


def produce(broker: str, prefix: str, size: Size) -> int:
    """Write all events to the input topics and return how many there are."""
    producer = Producer(
        {"bootstrap.servers": broker, "linger.ms": 50, "queue.buffering.max.messages": 2_000_000, "acks": "all"}
    )
    count = 0
    for topic, key, value in _events(size):
        producer.produce(prefix + topic, value, key, partition=int(key[1:]) % PARTITIONS)
        count += 1
        if count % 50_000 == 0:
            producer.poll(0)
    producer.flush()
    return count


def draw_customers(size: Size, count: int) -> NDArray[np.int64]:
    """Return customer numbers by a bounded Zipf law, shape [count], the frequent ones anywhere among the numbers."""
    generator = np.random.default_rng(size.seed)
    weights = 1.0 / np.arange(1, size.customers + 1) ** ZIPF_EXPONENT
    ranks = generator.choice(size.customers, count, p=weights / weights.sum())
    numbers: NDArray[np.int64] = generator.permutation(size.customers)[ranks]
    return numbers


def _events(size: Size) -> Iterator[tuple[str, bytes, bytes]]:
    messages = size.events * MESSAGES_PERCENT // 100
    total = size.events + messages
    kinds = np.random.default_rng(size.seed + 1).permutation(np.arange(total) < messages)
    for number, (customer, is_message) in enumerate(zip(draw_customers(size, total), kinds, strict=True)):
        at = START + timedelta(milliseconds=20 * number)
        event = {"id": f"e{number}", "customer_id": f"c{customer}", "occurred_at": at.isoformat()}
        if is_message:
            said = {"role": "customer", "channel": "mail", "text": TEXTS[number % len(TEXTS)]}
            event = {"type": "conversation.message", **event, **said}
        else:
            event = {"type": "customer.updated", **event}
        topic = "conversations" if is_message else "customer-updates"
        yield topic, f"c{customer}".encode(), json.dumps(event).encode()


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
