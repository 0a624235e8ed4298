"""What a model must beat is fitted on the earlier rows alone, and as well as it can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from training.evaluation.baselines import BaselineRows, scale
from training.tasks.registry import TASKS

COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")
ROWS = 1200


def customers(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs of three columns with some nulls, whether they leave, and what they spend."""
    generator = np.random.default_rng(seed)
    days, orders = generator.integers(0, 180, ROWS), 1 + generator.poisson(2, ROWS)
    revenue = orders * generator.gamma(2, 50, ROWS)
    odds = (days - 90) / 40 - 0.5 * (orders - 3)
    left = generator.random(ROWS) < 1 / (1 + np.exp(-odds))
    spent = np.where(left, 0, revenue / 2 * generator.gamma(4, 1 / 4, ROWS))
    inputs = np.stack([days, orders, revenue], axis=1).astype(np.float32)
    inputs[::50, 2] = np.nan
    return inputs, left[:, None].astype(np.float32), spent[:, None].astype(np.float32)


def fit_baselines(task: str, *rows: Any, **options: Any) -> dict[str, np.ndarray]:
    """Scores of the later rows by each baseline of a task."""
    return TASKS[task].fit_baselines(BaselineRows(*rows, **options))


INPUTS, LEFT, SPENT = customers(1)
LATER, LATER_LEFT, LATER_SPENT = customers(2)


def test_baselines_of_churn_rank_customers() -> None:
    scores = fit_baselines("churn", INPUTS, LEFT, LATER, COLUMNS)
    assert set(scores) == {"constant", "logistic_regression", "gradient_boosting", "recency_rule", "rfm"}
    auc = {name: roc_auc_score(LATER_LEFT, each) for name, each in scores.items()}
    assert auc["constant"] == 0.5
    assert min(auc[name] for name in auc if name != "constant") > 0.7
    assert all((each.shape, each.dtype) == ((ROWS, 1), np.float32) for each in scores.values())


def test_nothing_is_resampled_or_weighted_so_scores_have_the_rate() -> None:
    rare = LEFT * (np.arange(ROWS)[:, None] % 6 == 0)
    scores = fit_baselines("churn", INPUTS, rare, INPUTS, COLUMNS)
    for name in ("constant", "logistic_regression", "gradient_boosting", "rfm"):
        assert scores[name].mean() == pytest.approx(rare.mean(), abs=0.01)


def test_baselines_of_value_predict_spend() -> None:
    scores = fit_baselines("ltv", INPUTS, SPENT, LATER, COLUMNS)
    assert set(scores) == {"constant", "tweedie", "gradient_boosting", "past_spend"}
    assert min(r2_score(LATER_SPENT, scores[name]) for name in ("tweedie", "gradient_boosting")) > 0.15
    assert scores["constant"].mean() == pytest.approx(SPENT.mean(), rel=1e-4)


def test_past_spend_goes_on_by_one_factor_learned_earlier() -> None:
    inputs = np.stack([INPUTS[:, 0], INPUTS[:, 1], np.full(ROWS, 100.0)], axis=1).astype(np.float32)
    scores = fit_baselines("ltv", inputs, np.full((ROWS, 1), 30.0, dtype=np.float32), LATER, COLUMNS)
    np.testing.assert_allclose(scores["past_spend"][:, 0], 0.3 * np.nan_to_num(LATER[:, 2]), rtol=1e-4)


def test_each_offer_has_a_model_of_those_it_was_shown_to_and_a_rare_one_its_rate() -> None:
    shown = np.random.default_rng(3).integers(0, 2, ROWS)
    targets = np.full((ROWS, 8), -1, dtype=np.float32)
    targets[np.arange(ROWS), shown] = LEFT[:, 0]
    targets[:5, 7] = [1, 0, 0, 0, 0]
    scores = fit_baselines("nbo", INPUTS, targets, LATER, COLUMNS)
    assert set(scores) == {"constant", "logistic_regression", "gradient_boosting", "offers_rule"}
    linear = scores["logistic_regression"]
    assert roc_auc_score(LATER_LEFT, linear[:, 0]) > 0.7
    assert np.unique(linear[:, 7]).tolist() == pytest.approx([0.2])
    assert np.unique(linear[:, 4]).tolist() == [0]


@pytest.mark.parametrize(
    ("columns", "left_out"),
    [
        (("a", "b", "c"), {"recency_rule", "rfm"}),
        (("days_since_last_transaction", "b", "c"), {"rfm"}),
    ],
)
def test_rules_whose_columns_are_missing_are_left_out(columns: tuple[str, ...], left_out: set[str]) -> None:
    scores = fit_baselines("churn", INPUTS, LEFT, LATER, columns)
    assert {"recency_rule", "rfm"} - set(scores) == left_out


def test_same_rows_and_seed_give_same_scores() -> None:
    ids = [str(number // 2) for number in range(ROWS)]
    one, other = (fit_baselines("churn", INPUTS, LEFT, LATER, COLUMNS, ids, seed=7) for _ in range(2))
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize("task", ["churn", "ltv"])
def test_cells_that_are_null_infinite_or_enormous_give_finite_scores(task: str) -> None:
    odd: Any = np.array([[np.nan] * 3, [np.inf] * 3, [-np.inf] * 3, [1e30] * 3], dtype=np.float32)
    scores = fit_baselines(task, INPUTS, LEFT if task == "churn" else SPENT, odd, COLUMNS)
    assert all(np.isfinite(scores[name]).all() for name in scores)


def test_scaling_learns_from_the_earlier_rows_alone() -> None:
    earlier, later = scale(INPUTS, LATER)
    again, _ = scale(INPUTS, 100 * LATER)
    np.testing.assert_array_equal(earlier, again)
    np.testing.assert_allclose(earlier.mean(axis=0), 0, atol=1e-9)
    assert earlier.shape[1] == 4
    assert np.isfinite(later).all()


def test_constant_and_empty_columns_are_dropped() -> None:
    inputs = np.stack([INPUTS[:, 0], np.full(ROWS, 3), np.full(ROWS, np.nan)], axis=1).astype(np.float32)
    earlier, later = scale(inputs, inputs[:5])
    assert (earlier.shape, later.shape) == ((ROWS, 1), (5, 1))
