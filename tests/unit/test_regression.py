"""Measures of predicted spend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tests.evidence import spend
from training.evaluation.metrics import evaluate
from training.evaluation.regression import Predictor, compare_deciles, cover, find_widening

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOUND = spend(500)
PREDICTED, ACTUAL = FOUND.scores[:, 0].astype(float), FOUND.outcome[:, 0].astype(float)


def test_measures_are_those_of_scikit_learn_and_scipy() -> None:
    found = Predictor.of(PREDICTED, ACTUAL).measure(np.ones(500))
    assert found["mae"] == pytest.approx(mean_absolute_error(ACTUAL, PREDICTED))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(ACTUAL, PREDICTED))
    assert found["r2"] == pytest.approx(r2_score(ACTUAL, PREDICTED))
    # Half the customers spent nothing, so there are ties.
    assert found["spearman"] == pytest.approx(spearmanr(ACTUAL, PREDICTED)[0])


def test_a_weight_is_a_repetition() -> None:
    weights = np.random.default_rng(4).integers(0, 4, 500)
    rows = np.repeat(np.arange(500), weights)
    repeated = Predictor(
        *(getattr(Predictor.of(PREDICTED[rows], ACTUAL[rows]), name) for name in ("predicted", "actual")),
        cap=Predictor.of(PREDICTED, ACTUAL).cap,
        by_predicted=Predictor.of(PREDICTED[rows], ACTUAL[rows]).by_predicted,
        by_actual=Predictor.of(PREDICTED[rows], ACTUAL[rows]).by_actual,
    )
    weighted = Predictor.of(PREDICTED, ACTUAL).measure(weights.astype(float))
    assert weighted == pytest.approx(repeated.measure(np.ones(len(rows))))


def test_one_wholesaler_decides_r2_and_not_r2_winsorised() -> None:
    predicted, actual = np.append(PREDICTED, 100.0), np.append(ACTUAL, 50_000.0)
    found = Predictor.of(predicted, actual).measure(np.ones(501))
    assert found["r2"] < 0.02
    assert found["r2_winsorised"] > 0.15


def test_a_perfect_order_has_a_normalised_gini_of_one_and_a_random_one_of_none() -> None:
    once = np.ones(500)
    assert Predictor.of(ACTUAL, ACTUAL).measure(once)["gini_normalised"] == pytest.approx(1)
    noise = np.random.default_rng(2).random(500)
    assert Predictor.of(noise, ACTUAL).measure(once)["gini_normalised"] == pytest.approx(0, abs=0.1)
    assert Predictor.of(np.ones(500), ACTUAL).measure(once)["gini"] == pytest.approx(0, abs=1e-9)


def test_coverage_counts_what_is_within_below_and_above() -> None:
    bounds = np.array([[0, 1], [2, 3], [0, 9], [5, 6]], dtype=float)
    assert cover(bounds, np.array([0.5, 1.0, 9.0, 7.0])) == {
        "coverage": 0.5,
        "below": 0.25,
        "above": 0.25,
        "mean_width": 3.0,
    }


def test_deciles_begin_with_the_highest_prediction_and_hold_all_rows() -> None:
    deciles = compare_deciles(PREDICTED, ACTUAL)
    assert [part["decile"] for part in deciles] == list(range(1, 11))
    assert deciles[0]["predicted"] > deciles[-1]["predicted"]
    assert np.mean([part["actual"] for part in deciles]) == pytest.approx(ACTUAL.mean())


def test_metrics_of_values_have_intervals_and_differences() -> None:
    flat = np.full_like(FOUND.scores, ACTUAL.mean())
    metrics = evaluate(spend(500, baselines={"constant": flat}))
    low, high = metrics["model"]["r2_winsorised_95"]
    difference = metrics["baselines"]["constant"]["difference"]
    assert low < metrics["model"]["r2_winsorised"] < high
    assert difference["value"] == pytest.approx(metrics["model"]["r2_winsorised"], abs=0.01)
    assert metrics["baselines"]["constant"]["spearman"] is None


def move(bounds: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """Bounds moved apart as the graph does it."""
    low, high = np.log1p(bounds.T)
    moved = np.where(low > 0, np.maximum(low - by, 0), 0)
    return np.expm1(np.stack([moved, np.maximum(high + by, moved)], axis=1))


@pytest.mark.parametrize("nothing", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_widened_bounds_cover_what_they_should_however_many_spend_nothing(nothing: float, factor: float) -> None:
    """Too narrow or too wide at first; no side of a bound of 0 gives way."""
    generator = np.random.default_rng(1)
    rows = 4000
    actual = generator.lognormal(4, 1, rows) * (generator.random(rows) >= nothing)
    low, high = (np.exp(4 + side * factor * 1.28) for side in (-1, 1))
    bounds = np.tile([low if nothing == 0 else 0.0, high], (rows, 1))
    moved = move(bounds, find_widening(bounds, actual, 0.8))
    assert cover(moved, actual)["coverage"] == pytest.approx(0.8, abs=0.005)


def test_where_more_spend_nothing_than_are_to_be_covered_the_bounds_are_zero() -> None:
    actual = np.where(np.arange(100) < 90, 0.0, 50.0)
    bounds = np.tile([0.0, 20.0], (100, 1))
    assert move(bounds, find_widening(bounds, actual, 0.8)).max() == pytest.approx(0)
