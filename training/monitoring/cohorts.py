"""Quality of a model on matured outcomes, cohort by cohort. Pure.

With numpy alone: `holdfast models monitor` runs where the extra `training` is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation.probability_metrics import (
    BINS,
    brier_score,
    expected_calibration_error,
    probability_bins,
    roc_auc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HALF_NORMAL = np.sqrt(2 / np.pi)
"""Mean of the absolute value of a standard normal variable."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Customers of one period or one group.

    Attributes:
        name: the month, or the group's value.
        rows: observed outcomes.
        predicted: mean score.
        observed: mean outcome: the rate, or the mean spend.
        calibration_error: for probabilities the expected calibration error, for money |predicted / observed - 1|; None
            where it is not defined.
        error_by_chance: what that error is on average for a model that is right, on so many rows.
        auc: None for money, or where there is one outcome only.
        brier: None for money.
        false_positive_rate: of those with outcome 0, the share at or above the operating threshold.
        false_negative_rate: of those with outcome 1, the share below it.
    """

    name: str
    rows: int
    predicted: float
    observed: float
    calibration_error: float | None = None
    error_by_chance: float = 0.0
    auc: float | None = None
    brier: float | None = None
    false_positive_rate: float | None = None
    false_negative_rate: float | None = None


def measure_cohorts(
    names: Sequence[str],
    outcome: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    threshold: float | None,
    money: bool = False,
) -> list[Cohort]:
    """Return the cohorts in the order of their names.

    Args:
        names: of shape [rows], the cohort of each row.
        outcome: shape [rows, outputs]: 1, 0, or -1 where not observed; or money.
        scores: shape [rows, outputs].
        threshold: from which a score counts as positive; None gives no error rates.
        money: outcomes are amounts.
    """
    labels = np.asarray(names, dtype=object)
    cohorts = []
    for name in sorted(set(names)):
        rows = labels == name
        observed = outcome[rows] >= 0
        if not observed.any():
            continue
        actual, score = (cells[rows][observed].astype(np.float64) for cells in (outcome, scores))
        cohorts.append(
            _measure_money(name, actual, score) if money else _measure_probabilities(name, actual, score, threshold)
        )
    return cohorts


def _measure_money(name: str, actual: NDArray[np.float64], score: NDArray[np.float64]) -> Cohort:
    predicted, observed = float(score.mean()), float(actual.mean())
    if not observed:
        return Cohort(name, len(actual), predicted, observed)
    noise = HALF_NORMAL * float((actual - score).std()) / np.sqrt(len(actual)) / observed
    return Cohort(name, len(actual), predicted, observed, abs(predicted / observed - 1), float(noise))


def _measure_probabilities(
    name: str, actual: NDArray[np.float64], score: NDArray[np.float64], threshold: float | None
) -> Cohort:
    yes = actual == 1
    both = bool(yes.any() and not yes.all())
    flagged = score >= threshold if threshold is not None else None
    return Cohort(
        name,
        len(actual),
        float(score.mean()),
        float(actual.mean()),
        expected_calibration_error(score, actual),
        calibration_error_by_chance(score),
        roc_auc(score, yes) if both else None,
        brier_score(score, actual),
        _mean(flagged[~yes]) if flagged is not None else None,
        _mean(~flagged[yes]) if flagged is not None else None,
    )


def _mean(cells: NDArray[np.bool_]) -> float | None:
    return float(cells.mean()) if len(cells) else None


def calibration_error_by_chance(score: NDArray[np.float64]) -> float:
    """Return the mean expected calibration error of a model whose every score is the true rate.

    The difference of predicted and observed rate in a bin is then about normal with the variance of its outcomes.
    """
    variance = np.bincount(probability_bins(score), weights=score * (1 - score), minlength=BINS)
    return float((HALF_NORMAL * np.sqrt(np.maximum(variance, 0.0))).sum() / len(score))
