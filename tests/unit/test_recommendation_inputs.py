from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from intelligence.errors import RecommendationError
from intelligence.recommendations.catalogue import read_catalogue
from intelligence.recommendations.purchases import PURCHASE_COLUMNS, REQUIRED_COLUMNS, read_day, read_purchases
from intelligence.recommendations.sources import Source, read_rows

if TYPE_CHECKING:
    from pathlib import Path

DAY = "2011-05-03 10:00:00"


def product(product_id: Any, name: Any = "Tea", **more: Any) -> dict[str, Any]:
    return {"product_id": product_id, "name": name, "description": "", "category": None, "price": None, **more}


def read(path: Path, **more: Any) -> list[tuple[Any, ...]]:
    return list(read_rows(Source(str(path), "csv:unused.csv", **more), PURCHASE_COLUMNS, REQUIRED_COLUMNS))


def test_a_product_that_stands_twice_is_refused() -> None:
    with pytest.raises(RecommendationError, match=r"products: product '7' stands twice, in rows 1 and 3; leave one"):
        read_catalogue([product("7"), product("8"), product(" 7 ")], "products")


@pytest.mark.parametrize("rows", [[], [product("")], [product(None)]])
def test_a_catalogue_needs_products_with_ids(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(RecommendationError, match="products"):
        read_catalogue(rows, "products")


def test_what_products_lack_is_counted() -> None:
    """A product without a name is named by its id."""
    catalogue = read_catalogue([product(7, ""), product(8, "Cup", description="blue", price="cheap")], "products")
    assert [each.name for each in catalogue.products] == ["7", "Cup"]
    assert catalogue.counts == {
        "without a name": 1,
        "without a description": 1,
        "with a price that is no number": 1,
    }


def test_purchases_that_cannot_count_are_counted() -> None:
    """Returns, unknown products, and rows without a customer or a time."""
    catalogue = read_catalogue([product("7")], "products")
    rows = [
        ("ann", "7", DAY, "2", "1.5"),
        ("ann", 7, datetime(2011, 5, 4, tzinfo=UTC), None, None),
        ("ann", "7", DAY, -1, 1.5),
        ("ann", "7", DAY, "many", 1.5),
        ("ann", "9", DAY, 1, 1.5),
        (" ", "7", DAY, 1, 1.5),
        ("ann", "7", "yesterday", 1, 1.5),
        ("ann", "7", "2031-01-01", 1, 1.5),
    ]
    purchases = read_purchases(rows, catalogue, "purchases", datetime(2011, 6, 1, tzinfo=UTC))
    assert (purchases.customer_ids, len(purchases)) == (("ann",), 2)
    assert purchases.excluded == {
        "without a customer": 1,
        "without a time that can be read": 1,
        "dated in the future": 1,
        "returns or without a quantity above 0": 2,
        "of a product that the catalogue lacks": 1,
    }


def test_purchases_of_unknown_products_alone_are_refused() -> None:
    catalogue = read_catalogue([product("7")], "products")
    with pytest.raises(RecommendationError, match="1 of a product that the catalogue lacks"):
        read_purchases([("ann", "9", DAY, 1, 1)], catalogue, "purchases")


def test_a_time_without_a_zone_is_utc() -> None:
    assert read_day("1970-01-02") == 1
    assert read_day("1970-01-02T01:00:00+01:00") == 1


def test_a_file_may_name_columns_otherwise(tmp_path: Path) -> None:
    """It may have a byte order mark and semicolons, and lack optional columns."""
    path = tmp_path / "lines.csv"
    path.write_bytes("\ufeffwho;sku;purchased_at\nann;7;2011-05-03\n".encode())
    renames = {"customer_id": "who", "product_id": "sku"}
    assert read(path, renames=renames) == [("ann", "7", "2011-05-03", None, None)]


def test_a_file_in_another_encoding_is_refused_until_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_bytes("customer_id,product_id,purchased_at\nann,café,2011-05-03\n".encode("latin-1"))
    with pytest.raises(RecommendationError, match=r"is not in utf-8 \(byte 0xe9\); name its encoding with --encoding"):
        read(path)
    assert read(path, encoding="latin-1")[0][1] == "café"
    with pytest.raises(RecommendationError, match="'klingon' is no encoding"):
        read(path, encoding="klingon")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("customer_id,product_id\nann,7\n", "has no column purchased_at; its columns are customer_id, product_id"),
        ("customer_id,product_id,purchased_at\nann,7,x,y\n", "row 2 has 4 cells, and the header 3"),
        ('customer_id,product_id,purchased_at\nann,7,"2011-05-03\nbob,7,2011-05-03\n', "unexpected end of data"),
        ("", "has no column customer_id"),
    ],
)
def test_a_file_with_other_columns_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "lines.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecommendationError, match=problem):
        read(path)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecommendationError, match="cannot be read: No such file"):
        read(tmp_path / "lines.csv")


def test_a_broken_archive_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv.gz"
    path.write_bytes(b"no archive")
    with pytest.raises(RecommendationError, match="cannot be read: Not a gzipped file"):
        read(path)


def test_what_names_no_source_is_refused() -> None:
    source = Source("my table", "postgresql://127.0.0.1/none")
    with pytest.raises(
        RecommendationError, match="'my table' is no table, no query that begins with SELECT and no file"
    ):
        list(read_rows(source, PURCHASE_COLUMNS, REQUIRED_COLUMNS))


@pytest.mark.parametrize(
    ("address", "problem"),
    [("purchases", "HOLDFAST_WAREHOUSE_URL names a file"), ("DROP TABLE x", "HOLDFAST_WAREHOUSE_URL names a file")],
)
def test_a_table_needs_a_database(address: str, problem: str) -> None:
    with pytest.raises(RecommendationError, match=problem):
        list(read_rows(Source(address, "csv:customers.csv"), PURCHASE_COLUMNS, REQUIRED_COLUMNS))
