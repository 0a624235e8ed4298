"""A catalogue and purchases in the warehouse become products named in messages, on real services."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json
from tests.shop import PRODUCTS, draw_purchases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CATALOGUE = "CREATE TABLE products (product_id text, name text, description text, category text, price numeric)"
PURCHASES = """CREATE TABLE purchases (customer_id text, product_id text, purchased_at timestamptz, quantity integer,
    price numeric)"""


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace whose warehouse has a catalogue and purchases, and whose campaign names a product."""
    folder = tmp_path_factory.mktemp("recommendations")
    with workplace(endpoints, folder) as lent:
        told = campaign("win-back", "lapsing", "on_enter") | {"message": "For you: {{ recommendations[0].name }}."}
        write_json(folder / "definitions" / "campaigns" / "win-back.json", told)
        with psycopg.connect(lent.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse, warehouse.cursor() as cursor:
            cursor.execute(CATALOGUE)
            cursor.execute(PURCHASES)
            cursor.executemany(
                "INSERT INTO products VALUES (%s, %s, %s, %s, %s)", [[*row.values()] for row in PRODUCTS]
            )
            cursor.executemany("INSERT INTO purchases VALUES (%s, %s, %s, %s, %s)", draw_purchases())
        yield lent


def run(place: Workplace, *options: str) -> dict[str, Any]:
    return dict(json.loads(place.do("recommend", "run", "--json", *options)))


def test_a_message_names_the_product_and_an_erasure_removes_it(place: Workplace, tmp_path: Path) -> None:
    out = tmp_path / "recommendations.parquet"
    said = place.do("recommend", "run", "--out", str(out))
    assert "recommendations for 80 customers, 0 of them without purchases" in said
    assert "stored as facts of 80 customers" in said
    query = f"SELECT name, reason FROM '{out}' WHERE customer_id = 'c2' ORDER BY rank"  # noqa: S608 - our file
    (name, reason), *_ = duckdb.sql(query).fetchall()
    shown = place.do("recommend", "c2", "--top-k", "2")
    assert f"{name} (" in shown.splitlines()[1]
    assert reason in shown.splitlines()[2]
    worker = place.start_worker()
    place.set_customer("c2", days=5)
    place.update("c2")
    place.settle()
    place.set_customer("c2", days=90)
    place.update("c2")
    place.settle()
    (trigger,) = place.triggers("c2")
    assert trigger["message"] == f"For you: {name}."
    worker.stop()
    place.do("forget", "c2", "--why", "asked for it")
    ended = place.holdfast("recommend", "c2")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no recommendations of customer 'c2' are stored" in ended.stderr
    assert run(place)["stored"] == 79


def test_customers_without_purchases_get_popular_products(place: Workplace) -> None:
    """Of their category; a query names other columns."""
    newcomers = "SELECT 'nina' AS customer_id, 'lamps' AS category"
    report = run(place, "--newcomers", newcomers, "--purchases", "SELECT *, 1 AS more FROM purchases")
    assert (report["newcomers"], report["customers"]) == (1, 81)
    (best, *_) = json.loads(place.do("recommend", "nina", "--json"))["recommendations"]
    assert best["category"] == "lamps"
    now = json.loads(place.do("recommend", "nobody", "--now", "--category", "tea", "--top-k", "1", "--json"))
    assert [each["category"] for each in now["recommendations"]] == ["tea"]


def test_a_source_that_cannot_be_used_is_one_sentence(place: Workplace, tmp_path: Path) -> None:
    """And a former file stays."""
    out = tmp_path / "recommendations.json"
    out.write_text("former", encoding="utf-8")
    for options, sentence in (
        (("--catalog", "nowhere"), 'nowhere cannot be read from the warehouse: relation "nowhere" does not exist'),
        (("--catalog", "SELECT * FROM products UNION ALL SELECT * FROM products"), "stands twice"),
    ):
        ended = place.holdfast("recommend", "run", "--out", str(out), *options)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert sentence in ended.stderr
        assert "Traceback" not in ended.stderr
    assert out.read_text(encoding="utf-8") == "former"
    run(place, "--out", str(out), "--no-store", "--only-new")
    written = json.loads(out.read_text(encoding="utf-8"))["recommendations"]
    assert len(written) == 80
    assert not any(each["bought_before"] for found in written.values() for each in found)
