"""The example warehouse: real invoices loaded up to a date, then played forward day by day.

A date stands for its midnight, UTC: earlier events are loaded, later ones are played.
"""

from __future__ import annotations

import csv
import gzip
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import psycopg

from console.errors import ExampleError
from console.synthetic import SEED, Message, draw_attributes, show_offers, write_conversations
from features.extract_warehouse import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from psycopg import Connection

INVOICES_FILE = "online_retail_invoices.csv.gz"
SHOWN_EACH_TIME = 900
SHOWN_EVERY = timedelta(days=10)
FIRST_SHOWN_AFTER = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Invoice:
    """One real invoice; a cancellation has a negative amount."""

    order_id: str
    customer_id: str
    country: str
    ordered_at: datetime
    amount: float
    items: int
    lines: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Day:
    """The events of one day, each list in order of time."""

    date: date
    invoices: list[Invoice] = field(default_factory=list)
    conversations: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """The numbers of rows loaded, and the warehouse's business date."""

    business_date: date
    customers: int
    orders: int
    conversations: int
    offers_shown: int
    churn_snapshots: int


@dataclass(frozen=True, slots=True)
class _Example:
    invoices: tuple[Invoice, ...]
    conversations: tuple[Message, ...]


def connect(warehouse_url: str) -> Connection:
    """Connect to the warehouse; each statement or `transaction()` block commits by itself.

    Raises:
        ExampleError: the server refuses or cannot be reached.
    """
    if warehouse_url.partition(":")[0] in SCHEMES:
        raise ExampleError(f"the example needs PostgreSQL, and HOLDFAST_WAREHOUSE_URL is {warehouse_url}; set another")
    try:
        return psycopg.connect(warehouse_url, connect_timeout=10, autocommit=True)
    except psycopg.Error as error:
        shown = re.sub(r"://([^:@/]+):[^@]*@", r"://\1:***@", warehouse_url)
        reason = str(error).strip().splitlines()[0]
        raise ExampleError(
            f"HOLDFAST_WAREHOUSE_URL: the warehouse at {shown} cannot be used ({reason}); check the URL and that the "
            "server runs"
        ) from error


def load_example(warehouse_url: str, until: date, folder: Path) -> LoadSummary:
    """Create the example's schema in an empty database and load the events before `until`.

    The business date becomes `until`, a day without orders yet.

    Args:
        warehouse_url: a database without the example's tables.
        until: first date that is not loaded.
        folder: examples/online_retail.

    Raises:
        ExampleError: a file or the database cannot be used, or there are no invoices before `until`.
    """
    example = _read_example(folder)
    start = _midnight(until)
    invoices = [invoice for invoice in example.invoices if invoice.ordered_at < start]
    conversations = [message for message in example.conversations if message.occurred_at < start]
    if not invoices:
        first = example.invoices[0].ordered_at.date()
        raise ExampleError(f"no invoice before {until}: the example begins on {first}; choose a later date")
    with connect(warehouse_url) as connection, connection.transaction():
        _create_schema(connection, folder)
        customers = _insert_customers(connection, invoices)
        _insert_orders(connection, invoices)
        _insert_conversations(connection, conversations)
        connection.execute("INSERT INTO business_date (today) VALUES (%s)", (until,))
        connection.execute("ANALYZE customers, orders")
        offers = _fill_offer_history(connection, invoices[0].ordered_at.date(), until)
        snapshots = connection.execute(_read_sql(folder / "churn_history.sql"), {"until": until}).rowcount
        connection.execute(_read_sql(folder / "ltv_history.sql"), {"until": until})
        connection.execute("ANALYZE")
    return LoadSummary(until, customers, len(invoices), len(conversations), offers, snapshots)


def example_days(after: date, to: date, folder: Path) -> Iterator[Day]:
    """Yield each day from midnight of `after` to the end of `to`, including days without events.

    With the date given to `load_example`, it continues exactly where loading stopped.

    Raises:
        ExampleError: the example's files cannot be read.
    """
    example = _read_example(folder)
    invoices = {day: list(rows) for day, rows in groupby(example.invoices, lambda row: row.ordered_at.date())}
    messages = {day: list(rows) for day, rows in groupby(example.conversations, lambda row: row.occurred_at.date())}
    for offset in range((to - after).days + 1):
        day = after + timedelta(days=offset)
        yield Day(day, invoices.get(day, []), messages.get(day, []))


def insert_day(connection: Connection, day: Day) -> None:
    """Insert a day's new customers, orders and messages and set the business date, in one transaction."""
    with connection.transaction():
        if day.invoices:
            _insert_customers(connection, day.invoices)
            _insert_orders(connection, day.invoices)
        if day.conversations:
            _insert_conversations(connection, day.conversations)
        connection.execute("UPDATE business_date SET today = %s", (day.date,))


def _create_schema(connection: Connection, folder: Path) -> None:
    try:
        connection.execute(_read_sql(folder / "schema.sql"))
    except psycopg.errors.DuplicateTable as error:
        reason = str(error).strip().splitlines()[0]
        raise ExampleError(
            f"the example needs an empty database, but {reason}; name another or drop its tables"
        ) from error


def _insert_customers(connection: Connection, invoices: Sequence[Invoice]) -> int:
    """Insert new customers with the country and time of their first invoice; return their number."""
    first = {invoice.customer_id: invoice for invoice in reversed(invoices)}
    rows = [_customer_row(invoice) for invoice in first.values()]
    columns = list(zip(*rows, strict=True))
    statement = """
        INSERT INTO customers (customer_id, country, customer_since, email_tier, preferred_channel,
                               email_consent, sms_consent, push_consent)
        SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[],
                             %s::boolean[], %s::boolean[], %s::boolean[])
        ON CONFLICT (customer_id) DO NOTHING"""
    return connection.execute(statement, [list(column) for column in columns]).rowcount


def _customer_row(invoice: Invoice) -> tuple[Any, ...]:
    drawn = draw_attributes(invoice.customer_id)
    consents = (drawn.email_consent, drawn.sms_consent, drawn.push_consent)
    return (
        invoice.customer_id,
        invoice.country,
        invoice.ordered_at,
        drawn.email_tier,
        drawn.preferred_channel,
        *consents,
    )


def _insert_orders(connection: Connection, invoices: Iterable[Invoice]) -> None:
    statement = "COPY orders (order_id, customer_id, ordered_at, amount, items, lines, cancelled) FROM STDIN"
    rows = ((i.order_id, i.customer_id, i.ordered_at, i.amount, i.items, i.lines, i.cancelled) for i in invoices)
    _copy(connection, statement, rows)


def _insert_conversations(connection: Connection, messages: Iterable[Message]) -> None:
    statement = "COPY customer_conversations (id, customer_id, channel, role, text, occurred_at) FROM STDIN"
    _copy(
        connection,
        statement,
        ((m.id, m.customer_id, m.channel, m.role, m.text, m.occurred_at) for m in messages),
    )


def _copy(connection: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _fill_offer_history(connection: Connection, first: date, until: date) -> int:
    """Show offers to a sample of the customers of every tenth day; return the number of exposures."""
    generator = np.random.default_rng(SEED)
    shown = 0
    day = first + FIRST_SHOWN_AFTER
    while day < until:
        shown += _show_offers_on(connection, day, generator)
        day += SHOWN_EVERY
    return shown


def _show_offers_on(connection: Connection, day: date, generator: np.random.Generator) -> int:
    # Features of the day before, so that they exclude orders placed after the offer.
    cursor = connection.execute(
        "SELECT * FROM customer_features(%s) WHERE transaction_count > 0 ORDER BY customer_id",
        (day - timedelta(days=1),),
    )
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    chosen = sorted(generator.choice(len(rows), size=min(SHOWN_EACH_TIME, len(rows)), replace=False))
    sample = [rows[position] for position in chosen]
    columns = dict(zip(names, (np.array(values, dtype=object) for values in zip(*sample, strict=True)), strict=True))
    exposures = show_offers(columns, generator)
    extra = zip(exposures.shown.tolist(), exposures.propensity.tolist(), exposures.converted.tolist(), strict=True)
    at = _midnight(day) + timedelta(hours=9)
    history = (
        (*row, offer, propensity, won or None, at, True)
        for row, (offer, propensity, won) in zip(sample, extra, strict=True)
    )
    _copy(connection, "COPY customer_offer_history FROM STDIN", history)
    return len(sample)


@lru_cache(maxsize=1)
def _read_example(folder: Path) -> _Example:
    invoices = tuple(_join_parts(_read_invoices(folder / INVOICES_FILE)))
    ordered = ((row.order_id, row.customer_id, row.ordered_at) for row in invoices if not row.cancelled)
    return _Example(invoices, tuple(write_conversations(ordered)))


def _read_invoices(path: Path) -> list[Invoice]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            return [_parse_invoice(row) for row in csv.DictReader(lines)]
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise ExampleError(
            f"{path}: not the example's invoices ({error!r}); restore the file from the repository"
        ) from error


def _parse_invoice(row: Mapping[str, str]) -> Invoice:
    return Invoice(
        order_id=row["InvoiceNo"],
        customer_id=row["CustomerID"],
        country=row["Country"],
        ordered_at=datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC),
        amount=float(row["value"]),
        items=int(row["items"]),
        lines=int(row["lines"]),
        cancelled=row["cancelled"] == "1",
    )


def _join_parts(rows: Iterable[Invoice]) -> list[Invoice]:
    """Join the few invoices with timestamps in two adjacent minutes, and sort by time."""
    joined: dict[str, Invoice] = {}
    for row in rows:
        part = joined.get(row.order_id)
        joined[row.order_id] = row if part is None else _add(part, row)
    return sorted(joined.values(), key=lambda row: (row.ordered_at, row.order_id))


def _add(part: Invoice, other: Invoice) -> Invoice:
    return Invoice(
        part.order_id,
        part.customer_id,
        part.country,
        min(part.ordered_at, other.ordered_at),
        round(part.amount + other.amount, 2),
        part.items + other.items,
        part.lines + other.lines,
        part.cancelled,
    )


def _read_sql(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExampleError(
            f"{path}: cannot be read ({error.strerror}); restore the file from the repository"
        ) from error


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
