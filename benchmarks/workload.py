"""The benchmark's workload: 100,000 customers, 400,000 updates and a tenth as many messages, 100 rules, 20 campaigns.

Customers are drawn from a Zipf distribution. The view's column `activity` is a new random number at each read, so that
a re-read row always differs; with twenty rules on it, a read enters a segment that has a campaign, and the next read of
the same customer leaves it. The other rules use constant columns.

The target is two triggers per hundred events. A batch reads a customer once however many of their events it has,
messages use the cached row, one customer in twenty has no consent, one in twenty is in the holdout, and every other
campaign has a cooldown of a day. To reach the target, the rules on `activity` match 8 reads in a hundred
(`Size.entering`).
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
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

PARTITIONS = 4
QUEUE = 1_000_000
CUSTOMERS = 100_000
RULES = 100
CAMPAIGNS = 20
MESSAGES_PERCENT = 10
CAMPAIGN_SEGMENTS = 20
"""Number of segments that have campaigns; a larger number of campaigns shares them."""
ZIPF_EXPONENT = 1.1
START = datetime(2011, 6, 1, tzinfo=UTC)
TEXTS = (
    "Thank you, the parcel came in time.",
    "The quality is bad and the courier was late. I am very angry!",
    "When do you deliver?",
    "Great service, I am happy.",
)
CONSTANT_COLUMNS = ("total_revenue", "transaction_count", "days_since_last_transaction", "tenure_days")
VIEW = """
    CREATE VIEW customer_features_view AS
    SELECT customer_id, total_revenue, transaction_count, days_since_last_transaction, avg_transaction_value,
           lifetime_value, transactions_90d, items_total, cancellations, revenue_90d, revenue_trend,
           avg_days_between_orders, tenure_days, web_visits_30d, mail_opens_30d, support_tickets, country, email_tier,
           preferred_channel, email_consent, sms_consent, push_consent, customer_since,
           random() * 1000 AS activity
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
           h % 20 <> 0, false, false, '2010-01-01'
    FROM (SELECT n, abs(hashint4(n)) AS h FROM generate_series(0, {customers} - 1) AS n) AS drawn
"""


@dataclass(frozen=True, slots=True)
class Size:
    """Size of the workload; the cost curves vary one attribute at a time.

    Attributes:
        events: customer updates; messages are added to these.
        entering: reads per thousand that enter a segment with a campaign.
    """

    events: int = 400_000
    customers: int = CUSTOMERS
    rules: int = RULES
    campaigns: int = CAMPAIGNS
    entering: float = 80.0
    seed: int = 5

    @property
    def total(self) -> int:
        """Number of all events, messages included."""
        return self.events + self.events * MESSAGES_PERCENT // 100


def fill_warehouse(url: str, size: Size) -> None:
    """Create the table and the view, with one row for each customer."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute(sql.SQL(INSERT).format(customers=sql.Literal(size.customers)))
        connection.execute(VIEW)
        connection.execute("VACUUM ANALYZE customer")


def draw_rows(size: Size) -> dict[str, dict[str, Any]]:
    """Return rows like those of the view, by customer, for an in-memory warehouse."""
    drawn = np.random.default_rng(size.seed + 2).integers(0, 2**31, size.customers).tolist()
    return {f"c{number}": _row(f"c{number}", h) for number, h in enumerate(drawn)}


def _row(customer: str, h: int) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "total_revenue": float(h % 5000),
        "transaction_count": 1 + h % 40,
        "days_since_last_transaction": h % 90,
        "avg_transaction_value": 20.0 + h % 300,
        "lifetime_value": float(h % 5000),
        "transactions_90d": h % 9,
        "items_total": h % 700,
        "cancellations": h % 4,
        "revenue_90d": float(h % 900),
        "revenue_trend": (h % 200 - 100) / 100,
        "avg_days_between_orders": float(h % 60),
        "tenure_days": 1 + h % 700,
        "web_visits_30d": h % 30,
        "mail_opens_30d": h % 12,
        "support_tickets": h % 5,
        "country": ("GB", "DE", "FR", "ES")[h % 4],
        "email_tier": ("engaged", "occasional", "dormant")[h % 3],
        "preferred_channel": "email",
        "email_consent": h % 20 != 0,
        "sms_consent": False,
        "push_consent": False,
        "customer_since": "2010-01-01T00:00:00+00:00",
        "activity": 999.0,
    }


def write_definitions(folder: Path, size: Size) -> Path:
    """Write segments, campaigns and offers, and return their folder."""
    (folder / "segments").mkdir(parents=True)
    (folder / "campaigns").mkdir()
    for number in range(size.rules):
        segment = {"key": f"s{number}", "name": f"Segment {number}", "rule": _rule(number, size)}
        _write(folder / "segments" / f"s{number}.json", segment)
    for number in range(size.campaigns):
        _write(folder / "campaigns" / f"campaign-{number}.json", _campaign(number))
    offers = [{"id": number, "key": f"offer-{number}", "name": f"Offer {number}"} for number in range(1, 9)]
    _write(folder / "campaigns" / "offers.json", offers)
    return folder


def _rule(number: int, size: Size) -> dict[str, Any]:
    """Return a rule on `activity` for a segment with a campaign, or a rule on constant columns.

    Campaigns that share a segment compete for each customer who enters it: one of them makes a trigger.
    """
    waited = min(CAMPAIGN_SEGMENTS, size.campaigns)
    if number < waited:
        width = size.entering / waited
        return _between("activity", number * width, (number + 1) * width)
    column = CONSTANT_COLUMNS[number % len(CONSTANT_COLUMNS)]
    low = 7 * number % 4000
    both = [_between(column, low, low + 5 + number), {"==": [{"var": "country"}, ("GB", "DE", "FR", "ES")[number % 4]]}]
    return {"and": both} if number % 3 else {"or": [both[0], {">": [{"var": "churn_probability"}, 0.98]}]}


def _between(column: str, low: float, high: float) -> dict[str, Any]:
    fact = {"var": column}
    return {"and": [{">=": [fact, low]}, {"<": [fact, high]}]}


def _campaign(number: int) -> dict[str, Any]:
    return {
        "key": f"campaign-{number}",
        "name": f"Campaign {number}",
        "segment": f"s{number % CAMPAIGN_SEGMENTS}",
        "launch": "on_enter",
        "offers": [1, 2, 3],
        "channels": ["email", "sms"],
        "message": "For you: {{ offer.name }}.",
        "holdout_percent": 5,
        "cooldown_days": number % 2,
    }


Addressed = tuple[str, bytes, bytes]
"""Topic, key and value of an event."""


def produce(broker: str, prefix: str, events: Iterable[Addressed]) -> int:
    """Write events to the input topics and return their number."""
    producer = Producer(
        {"bootstrap.servers": broker, "linger.ms": 50, "queue.buffering.max.messages": 2_000_000, "acks": "all"}
    )
    count = 0
    for topic, key, value in events:
        producer.produce(prefix + topic, value, key, partition=int(key[1:]) % PARTITIONS)
        count += 1
        if count % 50_000 == 0:
            producer.poll(0)
        while len(producer) > QUEUE:
            producer.poll(0.05)
    producer.flush()
    return count


def draw_customers(size: Size, count: int) -> NDArray[np.int64]:
    """Draw customer numbers from a bounded Zipf distribution in shuffled order of rank, shape [count]."""
    generator = np.random.default_rng(size.seed)
    weights = 1.0 / np.arange(1, size.customers + 1) ** ZIPF_EXPONENT
    ranks = generator.choice(size.customers, count, p=weights / weights.sum())
    numbers: NDArray[np.int64] = generator.permutation(size.customers)[ranks]
    return numbers


def draw_events(size: Size) -> Iterator[Addressed]:
    """Yield updates and messages of customers in order of time, 20 ms apart."""
    messages = size.total - size.events
    kinds = np.random.default_rng(size.seed + 1).permutation(np.arange(size.total) < messages)
    for number, (customer, is_message) in enumerate(zip(draw_customers(size, size.total), kinds, strict=True)):
        if is_message:
            said = {"role": "customer", "channel": "mail", "text": TEXTS[number % len(TEXTS)]}
            yield address("conversations", _event("conversation.message", number, customer, size) | said)
        else:
            yield address("customer-updates", _event("customer.updated", number, customer, size))


def first_events(size: Size) -> Iterator[Addressed]:
    """Yield one update per customer, dated before all other events, so that the ledger has evaluated every customer."""
    for customer in range(size.customers):
        event = {"id": f"first-{customer}", "type": "customer.updated", "occurred_at": START.isoformat()}
        yield address("customer-updates", event | {"customer_id": f"c{customer}"})


def address(topic: str, event: Mapping[str, Any]) -> Addressed:
    """Return an event with its topic and its key."""
    return topic, str(event["customer_id"]).encode(), json.dumps(event).encode()


def _event(kind: str, number: int, customer: np.int64, size: Size) -> dict[str, Any]:
    at = START + timedelta(minutes=1, milliseconds=20 * number)
    name = f"e{size.seed}-{number}"
    return {"id": name, "type": kind, "customer_id": f"c{customer}", "occurred_at": at.isoformat()}


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
