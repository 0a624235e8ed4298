"""Contributions are Shapley values: by their axioms, by definition, and whoever else is explained."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.shapley import Background, ExactShapley
from tests.examples import examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.shapley import Score

SETTINGS = examples(60)
FEATURES = 5
GROUPINGS = (((0, 1), (2,), (3, 4)), ((0,), (1,), (2,), (3,), (4,)), ((4, 0, 2, 1, 3),))
SEEDS = st.integers(0, 10_000)


def draw(seed: int, rows: int = 4) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """A customer, a background with nulls, and weights."""
    generator = np.random.default_rng(seed)
    cells = generator.normal(size=(rows + 1, FEATURES)).astype(np.float32)
    cells[generator.random(cells.shape) < 0.2] = np.nan
    weights = generator.random(rows) + 0.1
    return cells[0], cells[1:], weights / weights.sum()


def tangle(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two scores in which all features act on each other, null as another value; the second ignores the last one."""
    known = np.nan_to_num(rows, nan=0.7).astype(np.float64)
    first = np.tanh(known[:, 0] * known[:, 1] + known[:, 2] ** 2 - known[:, 3] * known[:, 4])
    return np.asarray(np.stack([first, known[:, 0] * known[:, 1] + known[:, 2]], axis=1), dtype=np.float32)


def logistic(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two probabilities of sums of one curve per feature."""
    known = np.nan_to_num(rows, nan=0.7).astype(np.float64)
    curves = np.stack([np.sin(known), 0.3 * known**2 - 0.5], axis=2).sum(axis=1)
    return np.asarray(1 / (1 + np.exp(-curves)), dtype=np.float32)


def interacting(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """A probability in which two features act on each other."""
    known = np.nan_to_num(rows, nan=0.7).astype(np.float64)
    return np.asarray(1 / (1 + np.exp(-known[:, :1] * known[:, 2:3])), dtype=np.float32)


@SETTINGS
@given(SEEDS, st.sampled_from(GROUPINGS), st.sampled_from([(tangle, False), (logistic, False), (logistic, True)]))
def test_contributions_sum_to_the_score_less_the_mean_score_of_the_background(
    seed: int, groups: tuple[tuple[int, ...], ...], model: tuple[Score, bool]
) -> None:
    score, additive = model
    row, rows, weights = draw(seed)
    explained = ExactShapley(score, Background(rows, weights, groups), additive=additive)
    contributions = explained.explain(row, (0, 1))
    assert contributions.shape == (len(groups), 2)
    assert contributions.sum(axis=0) == pytest.approx(score(row[None])[0] - explained.base, abs=1e-5)


@SETTINGS
@given(SEEDS)
def test_a_contribution_is_the_mean_gain_over_all_orders_of_taking_the_groups(seed: int) -> None:
    """The definition, computed without the weights of coalitions."""
    row, rows, weights = draw(seed)
    groups = GROUPINGS[0]
    gains = np.zeros(len(groups))
    for order in permutations(range(len(groups))):
        taken = rows.copy()
        value = weights @ tangle(taken)[:, 0]
        for group in order:
            taken[:, list(groups[group])] = row[list(groups[group])]
            gains[group] -= value - (value := weights @ tangle(taken)[:, 0])
    found = ExactShapley(tangle, Background(rows, weights, groups)).explain(row, (0,))[:, 0]
    assert found == pytest.approx(gains / 6, abs=1e-6)


@SETTINGS
@given(SEEDS)
def test_a_feature_that_the_model_ignores_contributes_nothing(seed: int) -> None:
    row, rows, weights = draw(seed)
    contributions = ExactShapley(tangle, Background(rows, weights, GROUPINGS[1])).explain(row, (1,))
    assert contributions[3:] == pytest.approx(0.0, abs=1e-9)


@SETTINGS
@given(SEEDS)
def test_a_group_with_the_background_s_own_values_contributes_nothing(seed: int) -> None:
    row, rows, weights = draw(seed)
    rows[:, 2] = row[2]
    assert ExactShapley(tangle, Background(rows, weights, GROUPINGS[0])).explain(row, (0,))[1] == pytest.approx(0.0)


@SETTINGS
@given(SEEDS)
def test_features_that_act_alike_contribute_alike(seed: int) -> None:
    """The first two are factors of one product."""
    row, rows, weights = draw(seed)
    row[1], rows[:, 1] = row[0], rows[:, 0]
    contributions = ExactShapley(tangle, Background(rows, weights, GROUPINGS[1])).explain(row, (1,))
    assert contributions[0] == pytest.approx(contributions[1], abs=1e-9)


@SETTINGS
@given(SEEDS, st.sampled_from(GROUPINGS[:2]))
def test_terms_give_what_scoring_every_coalition_gives(seed: int, groups: tuple[tuple[int, ...], ...]) -> None:
    row, rows, weights = draw(seed)
    background = Background(rows, weights, groups)
    by_terms, by_scores = (
        ExactShapley(logistic, background, additive=each).explain(row, (1, 0)) for each in (True, False)
    )
    assert by_terms == pytest.approx(by_scores, abs=2e-6)


@SETTINGS
@given(SEEDS)
def test_a_model_that_is_taken_for_additive_and_is_not_is_explained_exactly(seed: int) -> None:
    row, rows, weights = draw(seed)
    explained = ExactShapley(interacting, Background(rows, weights, GROUPINGS[1]), additive=True)
    gap = interacting(row[None])[0] - explained.base
    assert explained.explain(row, (0,)).sum(axis=0) == pytest.approx(gap, abs=1e-5)


def test_additive_models_are_told_from_others() -> None:
    _, rows, weights = draw(1, rows=32)
    background = Background(rows, weights, GROUPINGS[1])
    told = [ExactShapley(score, background, additive=True).is_additive for score in (logistic, interacting, tangle)]
    assert told == [True, False, False]


def test_scores_that_float32_cannot_tell_from_1_are_explained_by_coalitions() -> None:
    """Their logits are lost, and terms made of them would be wrong."""

    def certain(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(1 / (1 + np.exp(-8 * rows[:, :2].sum(axis=1, keepdims=True))), dtype=np.float32)

    rows = np.array([[0.1, -0.1, 0, 0, 0], [0.2, -0.3, 0, 0, 0]], dtype=np.float32)
    background = Background(rows, np.array([0.5, 0.5]), GROUPINGS[1])
    row = np.array([3.0, -2.9, 0, 0, 0], dtype=np.float32)
    by_terms, by_scores = (
        ExactShapley(certain, background, additive=each).explain(row, (0,)) for each in (True, False)
    )
    assert np.array_equal(by_terms, by_scores)
