"""Rankings and losses by which a run compares its own candidates."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from training.evaluation.calibration import find_prior_shift
from training.evaluation.selection_metrics import compare, row_losses, selection_metric

GENERATOR = np.random.default_rng(5)
OUTCOME = GENERATOR.integers(0, 2, (400, 1)).astype(np.float32)
SCORES = np.clip(OUTCOME * 0.2 + GENERATOR.random((400, 1)).round(1) * 0.7 + 0.05, 0.01, 0.99).astype(np.float32)


def test_the_area_is_scikit_learns_with_ties_and_without_what_was_not_observed() -> None:
    hidden = np.concatenate([OUTCOME, np.full((50, 1), -1, dtype=np.float32)])
    scores = np.concatenate([SCORES, np.full((50, 1), 0.5, dtype=np.float32)])
    assert selection_metric(hidden, scores, amounts=False) == pytest.approx(roc_auc_score(OUTCOME[:, 0], SCORES[:, 0]))


def test_one_outcome_has_no_area() -> None:
    assert np.isnan(selection_metric(np.ones((9, 1)), SCORES[:9], amounts=False))


def test_spend_is_judged_by_its_ranks() -> None:
    spend = np.array([[0.0], [0.0], [5.0], [1e6]])
    assert selection_metric(spend, np.sqrt(spend), amounts=True) == pytest.approx(1)
    assert selection_metric(spend, -spend, amounts=True) == pytest.approx(-1)


def test_losses_of_chances_have_the_mean_of_the_log_loss() -> None:
    assert row_losses(OUTCOME, SCORES, amounts=False).mean() == pytest.approx(
        log_loss(OUTCOME[:, 0], SCORES[:, 0]), rel=1e-5
    )


def test_a_row_of_which_nothing_was_observed_has_no_loss() -> None:
    lost = row_losses(np.array([[-1, -1], [1, -1]]), np.full((2, 2), 0.5), amounts=False)
    assert np.isnan(lost[0])
    assert lost[1] == pytest.approx(np.log(2))


def test_one_wholesaler_does_not_decide_between_models_of_spend() -> None:
    lost = row_losses(np.array([[1e6], [10.0]]), np.array([[500.0], [20.0]]), largest=1000, amounts=True)
    assert lost.tolist() == [250_000, 100]


def test_a_difference_is_clear_beyond_two_standard_errors_only() -> None:
    noise = GENERATOR.normal(0, 1, 100)
    assert compare(noise - 1, noise * 0.9).clear
    assert not compare(noise, GENERATOR.normal(0, 1, 100)).clear


@pytest.mark.parametrize("rate", [0.02, 0.4, 0.97])
def test_a_shift_brings_the_mean_to_the_rate(rate: float) -> None:
    logits = np.log(SCORES / (1 - SCORES)) + find_prior_shift(SCORES[:, 0], rate)
    assert (1 / (1 + np.exp(-logits))).mean() == pytest.approx(rate, abs=1e-6)
