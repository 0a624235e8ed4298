"""Columns of text as inputs: what is compared, what is null, what is another value, and what training learns."""

from __future__ import annotations

import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from features.table import FeatureTable
from models.categories import OTHER, decode, encode, normalise
from models.errors import ModelError, ModelInputError, ModelLoadError
from models.inputs import FEATURE_MAPPING, model_inputs, readable_inputs
from models.registry import load_scorers
from models.view_check import check_view
from tests.evidence import churn
from tests.model_versions import SHIPPED, add_copy, churn_of_text
from training.data.categories import CATEGORIES_AT_MOST, learn_categories
from training.data.dataset import prepare
from training.errors import TrainingDataError
from training.evaluation.gates import check_leakage
from training.evaluation.thresholds import GateThresholds
from training.nets.preprocessing import learn_preprocessing
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from pathlib import Path

    from features.table import Column

KNOWN = ("café au lait", "gold", "straße")


def column(*cells: Any) -> Column:
    """A column as a warehouse gives one."""
    made = np.empty(len(cells), dtype=object)
    made[:] = cells
    return made


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("Gold", "gold"),
        ("  gold\t", "gold"),
        ("Cafe\u0301  AU\u00a0lait", "caf\u00e9 au lait"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("", None),
        (" \n", None),
        (None, None),
        (np.nan, None),
        (3.0, "3"),
        (np.int64(3), "3"),
        (True, "true"),
        (Decimal("3.50"), "3.5"),
    ],
)
def test_values_are_compared_as_a_person_would(cell: Any, text: str | None) -> None:
    assert normalise(cell) == text


def test_a_value_has_the_code_of_its_place_null_none_and_an_unknown_one_that_of_others() -> None:
    codes = encode(column("GOLD", None, "platinum", "", ["gold"], 7, "gold "), ("bronze", "gold"))
    np.testing.assert_array_equal(codes, [1, np.nan, OTHER, np.nan, OTHER, OTHER, 1])


def test_the_code_of_a_customer_does_not_depend_on_the_others() -> None:
    cells = column("gold", "Gold", None, "x", 3, "bronze")
    together = encode(cells, ("3", "bronze", "gold"))
    alone = [encode(cells[row : row + 1], ("3", "bronze", "gold"))[0] for row in range(len(cells))]
    np.testing.assert_array_equal(together, alone)


def test_codes_become_text_that_has_them_again() -> None:
    codes = np.array([0, 1, np.nan, OTHER, 7, np.inf, 0.5], dtype=np.float32)
    np.testing.assert_array_equal(
        encode(decode(codes, ("a", "b")), ("a", "b")), [0, 1, np.nan, OTHER, OTHER, OTHER, OTHER]
    )


def table(plans: Column) -> FeatureTable:
    """Customers of plans, who churn by turns."""
    rows = len(plans)
    columns = {"plan": plans, "age": np.arange(rows, dtype=np.float64), "churned": np.arange(rows) % 2}
    return FeatureTable(tuple(map(str, range(rows))), columns)


def test_training_learns_the_frequent_values_in_alphabetical_order() -> None:
    plans = column(*["Silver"] * 30, *["gold "] * 15, *["Gold"] * 15, *["trial"] * 3, None)
    made = prepare(table(plans), TASKS["churn"], {"tariff": "plan", "age": "age"})
    assert made.categories == {"tariff": ["gold", "silver"]}
    assert made.coded == (0,)
    np.testing.assert_array_equal(np.unique(made.inputs[:, 0]), [OTHER, 0, 1, np.nan])


@pytest.mark.parametrize("cells", [column(*range(60)), column(*map(str, range(60))), column(*[True, False] * 30)])
def test_numbers_are_no_categories_even_when_they_are_written_as_text(cells: Column) -> None:
    assert learn_categories(table(cells), {"plan": "plan"}) == {}


def test_the_most_frequent_values_are_learned_where_there_are_many() -> None:
    cells = column(*[f"plan {place % 80}" for place in range(80 * 25)], *["plan 79"] * 10)
    known = learn_categories(table(cells), {"plan": "plan"})["plan"]
    assert len(known) == CATEGORIES_AT_MOST
    assert "plan 79" in known


@pytest.mark.parametrize("cells", [column(*[f"a{place}@example.org" for place in range(100)])])
def test_a_column_that_names_customers_is_refused(cells: Column) -> None:
    with pytest.raises(TrainingDataError, match=r"'plan' is text with 100 different values in 100 rows, .* names cust"):
        prepare(table(cells), TASKS["churn"], {"plan": "plan"})


def test_a_column_of_times_is_no_text() -> None:
    days = column(*[np.datetime64("2026-01-01").astype(object)] * 60)
    with pytest.raises(TrainingDataError, match="'plan' is text"):
        prepare(table(days), TASKS["churn"], {"plan": "plan"})


def test_rare_values_are_others_to_the_net_and_null_is_not() -> None:
    inputs = np.array([[0], [1], [OTHER], [np.nan]], dtype=np.float32)
    constants = learn_preprocessing(inputs, [0])
    assert constants.code.tolist() == [0, 1]
    assert constants.flagged.tolist() == [0]


def test_text_in_a_column_of_numbers_is_still_no_number() -> None:
    customers = FeatureTable(("a", "b"), {"plan": column("gold", "x"), "age": column(3, "old")})
    with pytest.raises(ModelInputError, match="'age' is text"):
        model_inputs(customers, ["plan", "age"], {"plan": ("gold",)})
    matrix, unreadable = readable_inputs(customers, ["plan", "age"], {"plan": ("gold",)})
    np.testing.assert_array_equal(matrix, [[0, 3], [OTHER, np.nan]])
    assert {name: rows.tolist() for name, rows in unreadable.items()} == {"age": [False, True]}


def test_a_model_scores_a_customers_text_as_its_code_whatever_stands_in_the_same_batch() -> None:
    columns = {name: np.full(5, 7.0) for name in FEATURE_MAPPING.values()}
    ids, scorer = tuple("abcde"), churn_of_text("bronze", "gold")
    text = FeatureTable(ids, columns | {"items_total": column("bronze", " GOLD", "platinum", None, 4)})
    codes = FeatureTable(ids, columns | {"items_total": np.array([0, 1, OTHER, np.nan, OTHER])})
    expected = load_scorers(SHIPPED, FEATURE_MAPPING)["churn"].score(codes)
    np.testing.assert_array_equal(scorer.score(text), expected)
    alone = [scorer.score(text.take([row]))[0] for row in range(5)]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"items": []}, {"items": ["gold", "gold"]}, {"colour": ["red"]}, {"items": [1]}, []])
def test_a_manifest_with_categories_that_make_no_sense_is_refused(tmp_path: Path, wrong: Any) -> None:
    home = tmp_path / "churn"
    shutil.copytree(SHIPPED / "churn", home)
    with pytest.raises(ModelError, match="categories"):
        add_copy(home, "churn-2", categories=wrong)


def test_a_view_may_have_text_where_the_model_learned_text() -> None:
    view = FeatureTable((), {"plan": column(), "age": np.empty(0)})
    manifest = {"version": "churn-1", "features": ["plan", "age"], "categories": {"plan": ["gold"]}}
    mapping = {"plan": "plan", "age": "age"}
    check_view(manifest, mapping, "customers", view)
    with pytest.raises(ModelLoadError, match="plan in customers is text"):
        check_view(manifest | {"categories": {}}, mapping, "customers", view)


def test_a_category_that_holds_the_outcome_is_found_whatever_its_codes() -> None:
    made = churn(1200)
    codes = np.where(made.outcome[:, 0] > 0, 1, np.random.default_rng(1).choice([0, 2], 1200)).astype(np.float32)
    given = churn(1200, later_inputs=codes[:, None], categories={"shoe_size": ("a", "left", "z")})
    assert check_leakage(given, GateThresholds()).passed is False
