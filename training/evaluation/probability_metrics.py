"""AUC, Brier score and expected calibration error: the one implementation that training and monitoring share.

With numpy alone, because `holdfast models monitor` runs where the extra `training` (scikit-learn) is not installed.
The AUC takes weights and a ranking made once: 500 bootstrap AUCs of 5,000 rows take 0.04 s, with
sklearn.metrics.roc_auc_score 1.9 s (`python -m timeit` on both). Tests compare all three with scikit-learn's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.ranking import Ranking, area

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15


def roc_auc(
    scores: NDArray[Any],
    outcome: NDArray[Any],
    weights: NDArray[np.float64] | None = None,
    ranking: Ranking | None = None,
) -> float:
    """Return the probability that a positive row scores above a negative one, ties counting half.

    Mann and Whitney 1947. NaN where one outcome only has weight.

    Args:
        scores: shape [rows].
        outcome: shape [rows], 0 or 1, or truth values.
        weights: shape [rows], how often each row counts; None for once.
        ranking: of the scores, where it was made before.
    """
    ranking = ranking or Ranking.of(scores)
    counted = np.ones(len(outcome)) if weights is None else weights
    positive = ranking.cumulate(counted * outcome)
    negative = ranking.cumulate(counted) - positive
    pairs = positive[-1] * negative[-1]
    return area(negative, positive) / pairs if pairs else float("nan")


def brier_score(scores: NDArray[Any], outcome: NDArray[Any], weights: NDArray[np.float64] | None = None) -> float:
    """Return the mean squared difference of probability and outcome, both of shape [rows] (Brier 1950)."""
    return float(np.average((scores - outcome) ** 2, weights=weights))


def expected_calibration_error(
    scores: NDArray[Any], outcome: NDArray[Any], weights: NDArray[np.float64] | None = None
) -> float:
    """Return |mean score - rate| averaged over 15 bins of equal width, weighted by their rows.

    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning"; the equal widths
    and 15 bins of Guo et al. 2017.
    """
    gaps = (outcome - scores) if weights is None else weights * (outcome - scores)
    total = len(scores) if weights is None else weights.sum()
    return float(np.abs(np.bincount(probability_bins(scores), weights=gaps, minlength=BINS)).sum() / total)


def probability_bins(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Return the bin of each probability, 0 to 14, shape [rows]."""
    bins: NDArray[np.int64] = np.clip((scores * BINS).astype(np.int64), 0, BINS - 1)
    return bins
