"""The example warehouse on a real PostgreSQL: load it, query it, play it forward."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import pytest

from console.errors import ExampleError
from console.warehouse import Day, connect, example_days, insert_day, load_example

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

    from tests.journey.conftest import LendExample

pytestmark = pytest.mark.journey
FOLDER = Path(__file__).parents[2] / "examples" / "online_retail"
START = date(2011, 6, 1)
END = date(2011, 12, 9)


@pytest.fixture
def example_url(lend_example: LendExample) -> Iterator[str]:
    with lend_example(START) as url:
        yield url


def _one(connection: Connection, query: LiteralString, *values: date) -> tuple[Any, ...] | None:
    return connection.execute(query, values).fetchone()


def test_loading_stops_before_the_date(warehouse_url: str) -> None:
    summary = load_example(warehouse_url, START, FOLDER)
    assert (summary.customers, summary.orders, summary.business_date) == (2767, 8998, START)
    with connect(warehouse_url) as connection:
        assert _one(connection, "SELECT max(ordered_at)::date < %s FROM orders", START) == (True,)
        assert _one(connection, "SELECT max(occurred_at)::date < %s FROM customer_conversations", START) == (True,)


def test_playing_every_day_completes_the_data(example_url: str) -> None:
    with connect(example_url) as connection:
        for day in example_days(START, END, FOLDER):
            insert_day(connection, day)
        assert _one(connection, "SELECT count(*) FROM customers") == (4372,)
        assert _one(connection, "SELECT count(*), max(today) FROM orders, business_date") == (22190, END)


def test_a_day_is_seen_by_others_as_soon_as_it_is_inserted(example_url: str) -> None:
    with connect(example_url) as connection, connect(example_url) as other:
        assert _one(connection, "SELECT today FROM business_date") == (START,)
        insert_day(connection, Day(START + timedelta(days=1)))
        assert _one(other, "SELECT today FROM business_date") == (START + timedelta(days=1),)


def test_the_view_agrees_with_the_orders(example_url: str) -> None:
    by_hand = """
        SELECT round(sum(amount) FILTER (WHERE NOT cancelled)::numeric, 2)::float8,
               round(sum(amount)::numeric, 2)::float8,
               count(*) FILTER (WHERE NOT cancelled), count(*) FILTER (WHERE cancelled)
        FROM orders WHERE customer_id = '17850'"""
    view = """
        SELECT total_revenue, lifetime_value, transaction_count, cancellations
        FROM customer_features_view WHERE customer_id = '17850'"""
    with connect(example_url) as connection:
        assert _one(connection, view) == _one(connection, by_hand)


def test_the_view_pushes_the_customers_down_to_the_index(example_url: str) -> None:
    query = "EXPLAIN SELECT * FROM customer_features_view WHERE customer_id = ANY(ARRAY['17850', '13047'])"
    with connect(example_url) as connection:
        plan = "\n".join(line for (line,) in connection.execute(query))
    assert "orders_by_customer" in plan
    assert "Seq Scan on orders" not in plan


def test_a_later_order_changes_no_earlier_feature_and_no_label(example_url: str) -> None:
    fingerprint = "SELECT md5(string_agg(f::text, '' ORDER BY customer_id)) FROM customer_features(%s) AS f"
    with connect(example_url) as connection:
        before = _one(connection, fingerprint, START - timedelta(days=1))
        for day in example_days(START, START + timedelta(days=5), FOLDER):
            insert_day(connection, day)
        assert _one(connection, fingerprint, START - timedelta(days=1)) == before
        latest = "SELECT max(snapshot_date) + 90 <= %s FROM customer_churn_history"
        assert _one(connection, latest, START) == (True,)


def test_offer_history_logs_what_was_shown_with_its_probability(example_url: str) -> None:
    query = """
        SELECT count(DISTINCT shown_offer_id), min(propensity) > 0.05, max(propensity) < 1,
               count(*) FILTER (WHERE converted_offer_id <> shown_offer_id),
               count(*) > count(converted_offer_id)
        FROM customer_offer_history"""
    with connect(example_url) as connection:
        assert _one(connection, query) == (8, True, True, 0, True)


def test_loading_twice_is_refused_with_what_to_do(example_url: str) -> None:
    with pytest.raises(ExampleError, match="needs an empty database"):
        load_example(example_url, START, FOLDER)


def test_a_server_that_is_not_there_is_one_clear_sentence_without_the_password() -> None:
    with pytest.raises(ExampleError, match="cannot be used") as caught:
        connect("postgresql://someone:secret@127.0.0.1:1/nowhere")
    assert "secret" not in str(caught.value)


def test_a_date_before_the_first_invoice_is_refused() -> None:
    with pytest.raises(ExampleError, match="begins on 2010-12-01"):
        load_example("postgresql://unused", date(2010, 1, 1), FOLDER)
