from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from console.use_cases.recommendation_file import open_file
from intelligence.errors import RecommendationError
from intelligence.recommendations.recommender import Recommended

if TYPE_CHECKING:
    from pathlib import Path

LAMP: dict[str, Any] = {
    "product_id": "l1",
    "name": "Lämp",
    "category": None,
    "price": None,
    "score": 0.5,
    "bought_before": False,
    "reason": "New in the catalogue",
    "because": {"kind": "popular"},
}


def test_json_has_a_list_for_each_customer(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with open_file(path) as add:
        add(Recommended('a"b', [LAMP]))
        add(Recommended("c", []))
    assert json.loads(path.read_text(encoding="utf-8")) == {"recommendations": {'a"b': [LAMP], "c": []}}


def test_parquet_has_a_row_for_each_recommendation(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    with open_file(path) as add:
        add(Recommended("a", [LAMP, {**LAMP, "price": 2.5}]))
    rows = duckdb.sql(f"SELECT customer_id, rank, name, price, bought_before FROM '{path}'").fetchall()  # noqa: S608 - our file
    assert rows == [("a", 1, "Lämp", None, False), ("a", 2, "Lämp", 2.5, False)]


def test_a_run_that_fails_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("former", encoding="utf-8")
    with pytest.raises(KeyError), open_file(path):
        raise KeyError
    assert [each.name for each in tmp_path.iterdir()] == ["out.json"]
    assert path.read_text(encoding="utf-8") == "former"


@pytest.mark.parametrize(
    ("name", "problem"), [("out.txt", "ends with neither"), ("away/out.json", "cannot be written")]
)
def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(RecommendationError, match=problem), open_file(tmp_path / name):
        pass
