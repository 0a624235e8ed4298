"""Calibration of probabilities.

A base rate that changes between training and the later rows shifts every probability (prior shift): no model
prevents it, newer calibration corrects it. So the shift is measured by itself (mean score and later rate), and the
calibration error is given as it is and, as `ece_recentred`, after prior-shift correction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from training.evaluation.probability_metrics import BINS, expected_calibration_error, probability_bins
from training.evaluation.resampling import rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIMULATIONS = 200
SMALLEST_PROBABILITY = 1e-6
NEWTON_STEPS = 50
REACH = 40.0


def describe_calibration(scores: NDArray[Any], outcome: NDArray[Any], seed: int = 0) -> dict[str, Any]:
    """Describe how far probabilities of shape [rows] are from the outcomes 0 and 1.

    Returns:
        mean_score and rate; slope and intercept; ece, ece_recentred, ece_by_chance (what a perfectly
        calibrated model stays under 19 times of 20 on as many rows); bins, for a reliability diagram.
    """
    slope, intercept = fit_slope(scores, outcome)
    centred = correct_prior_shift(scores, float(outcome.mean()))
    return {
        "mean_score": rounded(scores.mean()),
        "rate": rounded(outcome.mean()),
        "slope": rounded(slope),
        "intercept": rounded(intercept),
        "ece": rounded(expected_calibration_error(scores, outcome)),
        "ece_recentred": rounded(expected_calibration_error(centred, outcome)),
        "ece_by_chance": rounded(ece_by_chance(centred, seed)),
        "bins": reliability(scores, outcome),
    }


def ece_by_chance(scores: NDArray[Any], seed: int = 0) -> float:
    """Return the 95th percentile of the ECE of outcomes drawn from the scores themselves.

    Consistency resampling (Broecker and Smith 2007, "Increasing the reliability of reliability diagrams"):
    an ECE is never 0 on finitely many rows, so a limit must not be under this.
    """
    generator = np.random.default_rng(seed)
    drawn = (generator.random(len(scores)) < scores for _ in range(SIMULATIONS))
    return float(np.quantile([expected_calibration_error(scores, outcome) for outcome in drawn], 0.95))


def fit_slope(scores: NDArray[Any], outcome: NDArray[Any]) -> tuple[float, float]:
    """Return slope and intercept of the outcome's log-odds on the score's (Cox 1958); 1 and 0 are right.

    A logistic regression of one input, by Newton's method. Scores that do not vary have no slope: NaN.
    """
    odds = _odds(scores)
    if np.ptp(odds) < SMALLEST_PROBABILITY:
        return float("nan"), float("nan")
    design = np.stack([np.ones_like(odds), odds], axis=1)
    found = np.array([0.0, 1.0])
    for _ in range(NEWTON_STEPS):
        probability = expit(np.clip(design @ found, -REACH, REACH))
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (outcome - probability))
        found = found + np.clip(step, -1, 1)
        if np.abs(step).max() < SMALLEST_PROBABILITY:
            break
    return float(found[1]), float(found[0])


def correct_prior_shift(scores: NDArray[Any], rate: float) -> NDArray[np.float64]:
    """Return the scores with their log-odds shifted by one constant, so that their mean is the rate.

    What a change of the base rate alone does to calibrated probabilities (Saerens et al. 2002).
    """
    corrected: NDArray[np.float64] = expit(_odds(scores) + find_prior_shift(scores, rate))
    return corrected


def find_prior_shift(scores: NDArray[Any], rate: float) -> float:
    """Return the constant to add to the log-odds of scores of shape [rows] so that their mean is the rate."""
    odds = _odds(scores)
    target = min(max(rate, SMALLEST_PROBABILITY), 1 - SMALLEST_PROBABILITY)
    return float(brentq(lambda by: float(expit(odds + by).mean()) - target, -REACH, REACH))


def reliability(scores: NDArray[Any], outcome: NDArray[Any]) -> list[dict[str, Any]]:
    """Return mean score, rate and rows of each bin that has rows."""
    bins = probability_bins(scores)
    rows = np.bincount(bins, minlength=BINS)
    mean, rate = (np.bincount(bins, weights=each, minlength=BINS) for each in (scores, outcome))
    return [
        {"mean_score": rounded(mean[i] / rows[i]), "rate": rounded(rate[i] / rows[i]), "rows": int(rows[i])}
        for i in np.flatnonzero(rows)
    ]


def _odds(scores: NDArray[Any]) -> NDArray[np.float64]:
    odds: NDArray[np.float64] = logit(
        np.clip(scores.astype(np.float64), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    )
    return odds
