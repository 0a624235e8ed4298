"""Metrics by which a run compares its candidates: one for the ranking, and a loss for each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.probability_metrics import roc_auc
from training.evaluation.ranking import Ranking, spearman

if TYPE_CHECKING:
    from numpy.typing import NDArray

CERTAIN = 1e-6
WINSORISED = 0.99


def selection_metric(outcome: NDArray[Any], scores: NDArray[Any], *, amounts: bool) -> float:
    """Return AUC over what was observed, of amounts the rank correlation (Spearman) of score and amount.

    Args:
        outcome: shape [rows, outputs]; see `training.evaluation.evaluation_data`.
        scores: same shape.
        amounts: whether both are money.

    Returns:
        NaN where one outcome only was observed.
    """
    if amounts:
        return spearman(Ranking.of(outcome[:, 0]), Ranking.of(scores[:, 0]), np.ones(len(outcome)))
    observed = outcome >= 0
    return roc_auc(scores[observed], outcome[observed] > 0)


def row_losses(
    outcome: NDArray[Any], scores: NDArray[Any], *, amounts: bool, largest: float = np.inf
) -> NDArray[np.float64]:
    """Return the loss of each row, shape [rows]; NaN where nothing was observed of it.

    Probabilities: cross-entropy, the mean over what was observed. Amounts: squared error, amount and score cut at
    `largest`, because a few customers dominate the plain one.
    """
    if amounts:
        missed = np.minimum(outcome[:, 0], largest) - np.minimum(scores[:, 0], largest)
        return np.asarray(missed.astype(np.float64) ** 2)
    observed = outcome >= 0
    probability = np.clip(scores.astype(np.float64), CERTAIN, 1 - CERTAIN)
    lost = -np.log(np.where(outcome > 0, probability, 1 - probability))
    counts = observed.sum(axis=1)
    return np.where(counts > 0, np.where(observed, lost, 0).sum(axis=1) / np.maximum(counts, 1), np.nan)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more one candidate loses than another on the same rows: the mean, and its standard error."""

    mean: float
    error: float

    @property
    def clear(self) -> bool:
        """Whether the first is better beyond the noise: by more than two standard errors."""
        return self.mean < -2 * self.error


def compare(one: NDArray[np.float64], other: NDArray[np.float64]) -> Difference:
    """Return the paired difference of two losses of shape [rows]."""
    gaps = (one - other)[~(np.isnan(one) | np.isnan(other))]
    error = float(gaps.std(ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else float("inf")
    return Difference(float(gaps.mean()) if len(gaps) else 0.0, error)
