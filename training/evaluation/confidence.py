"""Does a model know what it does not know: its error by the confidence that serving will report.

See models/confidence.py. The thresholds are the terciles of the uncertainty on validation rows: later than those that
the net was trained on and earlier than those that it is evaluated on. They are kept only where the error falls from low
confidence to high by more than two standard errors, and medium lies between them within the noise; otherwise serving
says that the confidence is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.confidence import LEVELS, interval_width, levels_of
from training.evaluation.resampling import rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

THIRDS = (1 / 3, 2 / 3)
FEWEST = 30
"""Rows of a third with fewer say nothing."""
CLEAR = 2.0
"""Standard errors."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Predictions of n observed outcomes.

    Attributes:
        uncertainty: shape [n].
        error: shape [n]: of a probability the squared error; of an amount the distance from the middle of its interval,
            on the scale of log1p, because an expected amount with many zeros is far from most outcomes.
        predicted, observed: shape [n].
        covered: shape [n], whether an amount is within its interval; None of probabilities.
    """

    uncertainty: NDArray[np.float64]
    error: NDArray[np.float64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    covered: NDArray[np.bool_] | None = None


def find_errors(scores: NDArray[np.float32], spread: NDArray[np.float32], targets: NDArray[np.float32]) -> Errors:
    """Return the errors of a model's rows: of probabilities where it gives spreads, else of amounts with bounds.

    Args:
        scores: shape [rows, outputs].
        spread: shape [rows, spreads].
        targets: shape [rows, outputs], or [rows, 1] of amounts.
    """
    if spread.shape[1]:
        return probability_errors(scores, spread, targets)
    return amount_errors(scores[:, 0], scores[:, 1:3], targets[:, 0])


def probability_errors(
    scores: NDArray[np.float32], spread: NDArray[np.float32], outcome: NDArray[np.float32]
) -> Errors:
    """Return the errors of probabilities; all shapes [rows, outputs], an outcome of -1 is not observed."""
    seen = outcome >= 0
    predicted, observed = scores[seen].astype(np.float64), outcome[seen].astype(np.float64)
    return Errors(spread[seen].astype(np.float64), (predicted - observed) ** 2, predicted, observed)


def amount_errors(predicted: NDArray[np.float32], bounds: NDArray[np.float32], actual: NDArray[np.float32]) -> Errors:
    """Return the errors of amounts; shapes [rows], [rows, 2] and [rows]."""
    observed = np.maximum(actual.astype(np.float64), 0.0)
    middle = np.log1p(np.maximum(bounds.astype(np.float64), 0.0)).mean(axis=1)
    covered = (bounds[:, 0] <= observed) & (observed <= bounds[:, 1])
    error = np.abs(np.log1p(observed) - middle)
    return Errors(interval_width(bounds), error, predicted.astype(np.float64), observed, covered)


def choose_cuts(errors: Errors) -> tuple[float, float] | None:
    """Return where the confidence is high and medium; None where the error does not fall with it."""
    if len(errors.error) < FEWEST * len(LEVELS):
        return None
    low, high = (float(cut) for cut in np.quantile(errors.uncertainty, THIRDS))
    bands = describe_confidence(errors, (low, high))
    if len(bands) < len(LEVELS):
        return None
    falls = _gap(bands["low"], bands["high"]) > CLEAR
    between = all(_gap(*pair) > -CLEAR for pair in ((bands["low"], bands["medium"]), (bands["medium"], bands["high"])))
    return (low, high) if falls and between else None


def _gap(more: dict[str, Any], less: dict[str, Any]) -> float:
    """Return by how many standard errors one level's error is above another's."""
    noise = float(np.hypot(more["standard_error"], less["standard_error"]))
    gap: float = more["error"] - less["error"]
    return gap / noise if noise else 0.0


def describe_confidence(errors: Errors, cuts: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """Return, by level, rows, error, mean of predictions and outcomes, and the coverage of intervals."""
    levels = levels_of(errors.uncertainty, cuts)
    return {level: _describe(errors, levels == place) for place, level in enumerate(LEVELS) if (levels == place).any()}


def _describe(errors: Errors, rows: NDArray[np.bool_]) -> dict[str, Any]:
    error = errors.error[rows]
    described = {
        "rows": len(error),
        "error": rounded(error.mean()),
        "standard_error": rounded(error.std() / np.sqrt(len(error))),
        "predicted": rounded(errors.predicted[rows].mean()),
        "observed": rounded(errors.observed[rows].mean()),
    }
    return described if errors.covered is None else described | {"coverage": rounded(errors.covered[rows].mean())}
