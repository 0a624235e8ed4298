"""What training stores for reasons: groups, a background like all rows and of no customer, and outcome rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from training.reasons import (
    GROUPS_AT_MOST,
    ROWS_AT_MOST,
    SCORED_ADDITIVE,
    SCORED_AT_MOST,
    choose_rows,
    describe_reasons,
    find_groups,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.reasons_file import StoredReasons
    from models.shapley import Score

ROWS = 1_200
NAMES = ["recency", "orders_30d", "orders_90d", "revenue", "spend", "noise"]


def draw() -> NDArray[np.float32]:
    """Rows in which revenue and spend move together; of some the recency is null, of one it is infinite."""
    generator = np.random.default_rng(3)
    recency, revenue = generator.exponential(40, ROWS), generator.gamma(2, 100, ROWS)
    short, long = generator.poisson(1, ROWS), generator.poisson(3, ROWS)
    cells = np.stack([recency, short, long, revenue, revenue**2, generator.normal(size=ROWS)], axis=1)
    cells[::7, 0] = np.nan
    cells[1, 0] = np.inf
    return np.asarray(cells, dtype=np.float32)


INPUTS = draw()


def additive(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    logits = np.nan_to_num(rows[:, 0], nan=20, posinf=99).clip(0, 99) / 40 - np.log1p(rows[:, 3]) / 4
    return np.asarray(1 / (1 + np.exp(-logits[:, None])), dtype=np.float32)


def interacting(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return additive(rows) ** (1 + rows[:, 1:2] / 9)


def describe(
    predict: Score = additive, inputs: NDArray[np.float32] = INPUTS, method: str = "additive"
) -> StoredReasons:
    scores = predict(inputs)
    targets = (np.random.default_rng(4).random(scores.shape) < scores).astype(np.float32)
    return describe_reasons(NAMES, inputs, targets, scores, {"revenue": 0.2, "spend": 0.3}, predict, method)


def test_features_that_move_together_or_are_of_one_family_are_one_group() -> None:
    groups = [[NAMES[each] for each in group] for group in find_groups(NAMES, INPUTS, {"spend": 0.3}, 8)]
    assert groups == [["spend", "revenue"], ["recency"], ["orders_30d", "orders_90d"], ["noise"]]


@pytest.mark.parametrize("features", [1, 2, 30])
def test_there_are_few_groups_whatever_the_number_of_features(features: int) -> None:
    cells = np.random.default_rng(5).normal(size=(300, features)).astype(np.float32)
    groups = find_groups([f"f{place}" for place in range(features)], cells, {}, GROUPS_AT_MOST)
    assert len(groups) <= GROUPS_AT_MOST
    assert sorted(place for group in groups for place in group) == list(range(features))


def test_an_additive_model_has_many_rows_and_another_as_many_as_can_be_scored() -> None:
    assert (describe().additive, len(describe().rows)) == (True, ROWS_AT_MOST)
    for method, most in {"additive": SCORED_ADDITIVE, "tabm": SCORED_AT_MOST}.items():
        scored = describe(interacting, method=method)
        assert not scored.additive
        assert most / 2 < len(scored.rows) * 2 ** len(scored.groups) <= most


@pytest.mark.parametrize("predict", [additive, interacting])
def test_the_mean_score_of_the_background_is_near_that_of_all_rows(predict: Score) -> None:
    stored = describe(predict)
    base = np.array(stored.weights) @ predict(np.array(stored.rows, dtype=np.float32))[:, 0]
    assert base == pytest.approx(predict(INPUTS).mean(), abs=0.02)


def test_no_row_of_the_background_is_a_customer_s_and_each_number_stands_for_many() -> None:
    rows = np.array(describe().rows, dtype=np.float32)
    assert not (rows[:, None, :] == INPUTS[None]).all(axis=2).any()
    assert all(len(np.unique(column[~np.isnan(column)])) <= 20 for column in rows.T)


def test_the_same_rows_give_the_same_file() -> None:
    assert msgspec.json.encode(describe()) == msgspec.json.encode(describe())


def test_the_file_holds_numbers_and_names_of_features_alone() -> None:
    content = msgspec.to_builtins(describe())
    assert {type(cell) for row in content["rows"] for cell in row} == {float, type(None)}
    assert set(content) == {"format", "groups", "rows", "weights", "additive", "outcomes", "overall"}


def test_a_value_that_few_rows_have_gives_no_rate() -> None:
    """Of two dozen customers a rate says little, and more of them than it may."""
    few = INPUTS.copy()
    few[:, 0] = np.where(np.arange(ROWS) < 25, np.nan, 1.0)
    rates = describe(inputs=few).outcomes["recency"].rates
    assert rates[-1] == [None]
    assert rates[0][0] is not None


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_strata_weigh_what_they_stand_for(rows: int) -> None:
    chosen, weights = choose_rows(INPUTS, additive(INPUTS)[:, 0].astype(np.float64), rows)
    assert len(set(chosen.tolist())) == rows
    assert sum(weights) == pytest.approx(1.0)


def test_fewer_customers_than_rows_are_enough() -> None:
    assert len(describe(inputs=INPUTS[:50]).rows) == 50


def test_a_feature_that_is_always_null_does_no_harm() -> None:
    empty = INPUTS.copy()
    empty[:, 5] = np.nan
    assert [row[5] for row in describe(inputs=empty).rows] == [None] * ROWS_AT_MOST


def test_each_of_a_few_values_has_a_rate_of_its_own() -> None:
    """Codes of categories are no scale."""
    codes = INPUTS.copy()
    codes[:, 5] = np.arange(ROWS) % 4
    assert describe(inputs=codes).outcomes["noise"].edges == [0.0, 1.0, 2.0]
