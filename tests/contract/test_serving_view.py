"""The view that training writes gives PostgreSQL's answer to what training computes from orders."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest

from training.data.dataset import OrdersSource, Source, read_orders
from training.data.point_in_time import Windows, take_snapshots
from training.errors import TrainingSourceError
from training.serving import ServedView, check_served, prepare_view, read_view

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 60
EDGES = (0, 1, 2, 9, 10, 11, 29, 30, 31, 59, 60, 61, 200)
"""Days before today at which a window begins or ends."""
AMOUNTS = (-20.0, 0.0, 5.0, 7.5, 300.0)


def draw_orders(seed: int, today: date) -> list[tuple[str, date, float]]:
    draw = np.random.default_rng(seed)
    return [
        (str(draw.integers(100, 140)), today - timedelta(days=int(draw.choice(EDGES))), float(draw.choice(AMOUNTS)))
        for _ in range(400)
    ]


def store(url: str, orders: Sequence[tuple[str, date, float]], id_type: str = "text") -> None:
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE TABLE sales (buyer {id_type}, placed timestamptz, total numeric)".encode())
        for buyer, day, total in orders:
            connection.execute("INSERT INTO sales VALUES (%s, %s, %s)", (buyer, day, total))


def orders_source(url: str) -> Source:
    columns = "buyer AS customer_id, placed AS ordered_at, total AS amount"
    query = f"SELECT {columns} FROM sales WHERE buyer::text NOT LIKE '%9%';"  # noqa: S608
    return Source(url, None, date(1970, 1, 1), orders=OrdersSource(query, Windows(WINDOW, 30)))


def read_features(url: str, view: str) -> dict[str, dict[str, Any]]:
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        cursor = connection.execute(f"SELECT * FROM {view}".encode())  # noqa: S608
        names = [each.name for each in cursor.description or ()]
        return {str(row[names.index("customer_id")]): dict(zip(names, row, strict=True)) for row in cursor}


@pytest.mark.parametrize("seed", range(3))
def test_the_view_has_the_features_that_training_computes(warehouse_url: str, seed: int) -> None:
    """For every customer of the observation window, as of the beginning of today."""
    today = datetime.now(UTC).date()
    store(warehouse_url, draw_orders(seed, today), id_type="int")
    source = orders_source(warehouse_url)
    assert source.orders is not None
    prepare_view(source, ServedView("no_such_view", write_as="features"))
    found = read_features(warehouse_url, "features")
    orders = read_orders(source, source.orders.relation)
    taken = take_snapshots(orders, np.array([today], dtype="datetime64[D]"), source.orders.windows)
    assert len(taken) > 30
    for row, customer in enumerate(taken.customer):
        expected = {name: values[row] for name, values in taken.features.items()}
        seen = {name: float("nan" if found[customer][name] is None else found[customer][name]) for name in expected}
        assert seen == pytest.approx(expected, nan_ok=True), customer
    assert found.keys() == set(orders.customer[(orders.day < np.datetime64(today))])


@pytest.mark.parametrize("id_type", ["text", "bigint"])
def test_the_view_keeps_the_columns_of_the_present_one(warehouse_url: str, id_type: str) -> None:
    """And replaces those of the same name; ids may have another type, and customers no orders."""
    today = datetime.now(UTC).date()
    store(warehouse_url, [("7", today - timedelta(days=4), 10.0), ("7", today - timedelta(days=300), 2.0)])
    with psycopg.connect(warehouse_url) as connection:
        connection.execute(
            f'CREATE TABLE present ("Id" {id_type}, "pla%n" text, days_since_last_transaction int)'.encode()
        )
        connection.execute("INSERT INTO present VALUES (7, 'gold', 1), (8, 'gold', 1)")
    view = ServedView("present", "Id", write_as='"New view"')
    prepare_view(orders_source(warehouse_url), view)
    columns = read_view(warehouse_url, view, '"New view"').columns
    assert [*columns][:2] == ["Id", "pla%n"]
    with psycopg.connect(warehouse_url) as connection:
        rows = connection.execute(
            'SELECT "Id"::text, days_since_last_transaction, revenue_60d, tenure_days_60d FROM "New view" ORDER BY 1'
        ).fetchall()
    assert rows == [("7", 3, 10.0, 60), ("8", None, None, None)]


def test_a_model_is_compared_with_the_view_and_the_mapping(warehouse_url: str) -> None:
    """The one that workers read, or the one just written."""
    store(warehouse_url, [("7", datetime.now(UTC).date(), 10.0)])
    with psycopg.connect(warehouse_url) as connection:
        connection.execute("CREATE VIEW present AS SELECT 'a' AS customer_id, 'x' AS plan, 1 AS age")
    source = orders_source(warehouse_url)
    manifest = {"version": "churn-1", "features": ["revenue_60d"], "columns": {"revenue_60d": "revenue_60d"}}

    def refuse(features: Sequence[str], mapping: dict[str, str]) -> tuple[str, tuple[str, ...]]:
        named = {**manifest, "features": features}
        return check_served(named, Source(warehouse_url, mapping, date.min), ServedView("present"))

    assert refuse(["age"], {"age": "age"}) == ("", ())
    assert "present has no column revenue_60d" in refuse(["revenue"], {"revenue": "revenue_60d"})[0]
    assert "plan in present is text" in refuse(["plan"], {"plan": "plan"})[0]
    assert "only in the model: revenue_60d" in refuse(["revenue_60d"], {"age": "age"})[0]
    refusal, (note,) = check_served(manifest, source, ServedView("absent"))
    assert (refusal, "no table absent" in note) == ("", True)
    view = ServedView("present", write_as="written")
    prepare_view(source, view)
    assert check_served(manifest, source, view)[0] == ""


def test_a_view_that_cannot_be_written_is_one_sentence(warehouse_url: str) -> None:
    """Before anything is trained."""
    store(warehouse_url, [])
    source = orders_source(warehouse_url)
    with pytest.raises(TrainingSourceError, match="choose another name"):
        prepare_view(source, ServedView("same", write_as="same"))
    with pytest.raises(TrainingSourceError, match="refused to create the view"):
        prepare_view(source, ServedView("present", write_as="nowhere.features"))
