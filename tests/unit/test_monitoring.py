"""When a model in service is to be trained again: drift, ranking, calibration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from models.drift import describe_column, measure_shift, share_out
from training.evaluation.evaluation_data import EvaluationData
from training.evaluation.probability_metrics import brier_score, expected_calibration_error, roc_auc
from training.monitoring.cohorts import Cohort, calibration_error_by_chance, measure_cohorts
from training.monitoring.drift import (
    AlertThresholds,
    CheckResult,
    check_calibration,
    check_drift,
    check_ranking,
    conclude_checks,
    describe_snapshot,
    measure_drift,
)
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLDS = AlertThresholds()
SPEND = np.random.default_rng(7).gamma(2.0, 50.0, 4000).astype(np.float32)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(8)


def cohort(name: str = "2011-06", **more: Any) -> Cohort:
    return replace(Cohort(name, 500, 0.4, 0.5, 0.05, 0.02, 0.7, 0.2), **more)


def floats(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def test_the_same_customers_have_not_moved() -> None:
    assert measure_shift(describe_column(SPEND), SPEND) == pytest.approx(0, abs=1e-6)


def test_psi_is_the_published_sum() -> None:
    then = {"edges": [10.0, 20.0], "shares": [0.5, 0.3, 0.2, 0.0]}
    now = floats(*[5] * 30, *[15] * 30, *[25] * 40)
    by_hand = (0.3 - 0.5) * np.log(0.3 / 0.5) + (0.4 - 0.2) * np.log(0.4 / 0.2)
    assert measure_shift(then, now) == pytest.approx(by_hand)


def test_chance_alone_stays_under_the_alarm_on_the_fewest_rows_judged(generator: np.random.Generator) -> None:
    then = describe_column(SPEND)
    drawn = [measure_shift(then, generator.gamma(2.0, 50.0, THRESHOLDS.rows).astype(np.float32)) for _ in range(500)]
    assert max(drawn) < THRESHOLDS.psi
    assert np.quantile(drawn, 0.95) == pytest.approx(0.06, abs=0.01)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (SPEND, SPEND * 2),
        (SPEND, np.where(np.arange(4000) < 1000, np.nan, SPEND).astype(np.float32)),
        (floats(*[0] * 99, 1), floats(*[1] * 100)),
        (floats(*[1] * 99, 0), floats(*[0] * 100)),
        (floats(*[3] * 100), floats(*[4] * 100)),
        (floats(*[np.nan] * 100), floats(*[4] * 100)),
    ],
    ids=["doubled", "missing", "rare yes", "rare no", "constant", "all null"],
)
def test_what_moved_is_seen(then: NDArray[np.float32], now: NDArray[np.float32]) -> None:
    assert measure_shift(describe_column(then), now) > THRESHOLDS.psi


def test_shares_cover_every_value() -> None:
    described = describe_column(SPEND)
    odd = floats(np.nan, np.inf, -np.inf, 1e30, 0)
    assert len(described["edges"]) == 9
    assert share_out(odd, described["edges"]).sum() == pytest.approx(1)
    assert share_out(odd, described["edges"])[-1] == pytest.approx(0.2)


def test_a_snapshot_names_every_feature_and_score(generator: np.random.Generator) -> None:
    scores = generator.random((4000, 8)).astype(np.float32)
    inputs = np.stack([SPEND, SPEND], axis=1)
    evidence = EvaluationData(
        *(TASKS["nbo"].sized(8), scores, scores, {}, None, np.empty(0), (), np.empty(0, "datetime64[D]")),
        training_inputs=inputs,
        training_scores=scores,
        later_inputs=inputs,
        features=("spend", "visits"),
    )
    snapshot = describe_snapshot(evidence)
    drift = measure_drift(snapshot, np.stack([SPEND, SPEND * 3], axis=1), ("spend", "visits"), scores)
    assert next(iter(drift)) == "visits"
    assert {*drift} == {"spend", "visits", *(f"offer_{number}" for number in range(1, 9))}


@pytest.mark.parametrize(
    ("drift", "rows", "verdict", "says"),
    [
        ({}, 500, "cannot be judged", "no training snapshot"),
        ({}, 0, "cannot be judged", "no customers"),
        ({"spend": 9.0}, 299, "cannot be judged", "299 customers; 300 are needed"),
        ({"spend": 0.2}, 500, "fine", "0.20 (spend)"),
        ({"spend": 0.21, "score": 0.1}, 500, "retrain", "PSI over 0.2: spend 0.21"),
    ],
)
def test_drift_is_judged_by_the_largest_shift(drift: dict[str, float], rows: int, verdict: str, says: str) -> None:
    found = check_drift(drift, rows, THRESHOLDS)
    assert found.verdict == verdict
    assert says in found.sentence


@pytest.mark.parametrize(
    ("aucs", "verdict"),
    [
        ([], "cannot be judged"),
        ([None], "cannot be judged"),
        ([0.6], "fine"),
        ([0.6, 0.7], "fine"),
        ([0.6, 0.6, 0.7, 0.6], "fine"),
        ([0.7, 0.6, 0.6], "retrain"),
        ([0.6, None, 0.6], "retrain"),
    ],
)
def test_ranking_asks_to_train_after_two_low_periods(aucs: list[float | None], verdict: str) -> None:
    periods = [cohort(f"2011-0{month}", auc=auc) for month, auc in enumerate(aucs, start=1)]
    assert check_ranking(periods, THRESHOLDS).verdict == verdict


def test_periods_with_few_rows_are_not_judged() -> None:
    few = [cohort(auc=0.5, rows=299), cohort(auc=0.5, rows=299)]
    assert check_ranking(few, THRESHOLDS) == CheckResult(
        "ranking",
        "cannot be judged",
        "no period has 300 matured rows with both outcomes, the largest has 299",
    )
    assert check_calibration(few, THRESHOLDS).verdict == "cannot be judged"


@pytest.mark.parametrize(
    ("error", "by_chance", "verdict"),
    [(0.1, 0.01, "fine"), (0.11, 0.01, "retrain"), (0.11, 0.06, "fine"), (None, 0.0, "cannot be judged")],
)
def test_calibration_is_judged_by_the_last_period(error: float | None, by_chance: float, verdict: str) -> None:
    periods = [cohort(calibration_error=0.01), cohort(calibration_error=error, error_by_chance=by_chance)]
    found = check_calibration(periods if error is not None else periods[1:], THRESHOLDS)
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["fine", "cannot be judged"], "fine"),
        (["fine", "retrain", "cannot be judged"], "retrain"),
        (["cannot be judged"], "cannot be judged"),
    ],
)
def test_one_alarm_is_enough(verdicts: list[Any], expected: str) -> None:
    assert conclude_checks([CheckResult("drift", verdict, "") for verdict in verdicts]) == expected


def test_auc_is_that_of_scikit_learn_with_ties(generator: np.random.Generator) -> None:
    score = generator.integers(0, 20, 500) / 20
    yes = generator.random(500) < score
    assert roc_auc(score, yes) == pytest.approx(roc_auc_score(yes, score))
    weights = generator.integers(0, 4, 500).astype(float)
    assert roc_auc(score, yes, weights) == pytest.approx(roc_auc_score(yes, score, sample_weight=weights))


def test_the_brier_score_is_that_of_scikit_learn(generator: np.random.Generator) -> None:
    score = generator.random(500)
    yes = generator.random(500) < score
    weights = generator.integers(0, 4, 500).astype(float)
    assert brier_score(score, yes, weights) == pytest.approx(brier_score_loss(yes, score, sample_weight=weights))


def test_a_calibrated_model_errs_by_chance_only(generator: np.random.Generator) -> None:
    score = generator.random(3000)
    error = expected_calibration_error(score, (generator.random(3000) < score).astype(float))
    by_chance = calibration_error_by_chance(score)
    assert error == pytest.approx(by_chance, rel=0.5)
    worse = expected_calibration_error(score, (generator.random(3000) < score**2).astype(float))
    assert worse > 5 * by_chance


def test_cohorts_tell_the_rates_of_error_at_the_threshold() -> None:
    outcome = floats(1, 1, 0, 0, 0, -1)[:, None]
    scores = floats(0.9, 0.3, 0.8, 0.2, 0.1, 0.5)[:, None]
    (all_of_them,) = measure_cohorts(["a"] * 6, outcome, scores, threshold=0.5)
    assert (all_of_them.rows, all_of_them.auc) == (5, pytest.approx(5 / 6))
    assert all_of_them.false_positive_rate == pytest.approx(1 / 3)
    assert all_of_them.false_negative_rate == pytest.approx(1 / 2)
    assert all_of_them.brier == pytest.approx((0.01 + 0.49 + 0.64 + 0.04 + 0.01) / 5)


def test_cohorts_without_both_outcomes_have_no_auc() -> None:
    outcome, scores = floats(1, 1, 0, -1)[:, None], floats(0.9, 0.3, 0.2, 0.5)[:, None]
    ones, noes = measure_cohorts(["b", "b", "c", "d"], outcome, scores, threshold=None)
    assert (ones.name, ones.auc, noes.name, noes.auc) == ("b", None, "c", None)
    assert ones.false_positive_rate is None


def test_spend_is_judged_by_its_total() -> None:
    outcome, scores = floats(0, 100, 300)[:, None], floats(20, 120, 300)[:, None]
    (cohort_of_spend,) = measure_cohorts(["a"] * 3, outcome, scores, threshold=None, money=True)
    assert cohort_of_spend.calibration_error == pytest.approx(0.1)
    assert cohort_of_spend.auc is None
