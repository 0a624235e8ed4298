"""Numbers for the report's plots: intervals, deciles and curves. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.classification import Classifier
from training.evaluation.resampling import bootstrap, interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[Any]
    Measure = Callable[[Numbers], float]

NORMAL_95 = 1.959964
TENTHS = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % bootstrap interval, and how far the model is above it.

    Attributes:
        value: on the rows as they are.
        low: lower bound.
        high: upper bound.
        behind: the model's figure less this one, on the same resamples.
        behind_low: lower bound of that.
        behind_high: upper bound of that.
    """

    value: float
    low: float
    high: float
    behind: float = 0.0
    behind_low: float = 0.0
    behind_high: float = 0.0


@dataclass(frozen=True, slots=True)
class Bins:
    """Rows in order of score, cut into bins of equal count; each array has shape [bins].

    Attributes:
        count: rows in it.
        predicted: mean score.
        actual: mean outcome.
        low: lower bound of the 95 % interval of `actual`.
        high: upper bound.
    """

    count: Numbers
    predicted: Numbers
    actual: Numbers
    low: Numbers
    high: Numbers

    def rows(self) -> list[tuple[Any, ...]]:
        """Return count, predicted, actual, low and high of each bin."""
        return list(zip(self.count, self.predicted, self.actual, self.low, self.high, strict=True))


def compare(measures: Mapping[str, Measure], customers: Sequence[str]) -> dict[str, Estimate]:
    """Return each scorer's figure with intervals; the first is the model.

    All see the same resamples of customers, those of the manifest's metrics, so that differences are paired.

    Args:
        measures: by scorer, from weights of rows to its figure.
        customers: the customer of each row.
    """
    drawn = bootstrap(lambda weights: {name: measure(weights) for name, measure in measures.items()}, customers)
    values = {name: measure(np.ones(len(customers))) for name, measure in measures.items()}
    model = next(iter(measures))
    return {
        name: Estimate(
            values[name], *_bounds(drawn[name]), values[model] - values[name], *_bounds(drawn[model] - drawn[name])
        )
        for name in measures
    }


def bin_by_score(scores: Numbers, outcome: Numbers, bins: int = TENTHS, *, binary: bool = True) -> Bins:
    """Cut rows into bins of equal count, lowest scores first; fewer bins where there are fewer rows.

    The interval of a rate is Wilson's (1927), of a mean spend the normal one.
    """
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    count = np.array([len(part) for part in parts])
    actual = np.array([outcome[part].mean(dtype=np.float64) for part in parts])
    deviation = np.array([outcome[part].std(dtype=np.float64) for part in parts])
    low, high = _wilson(actual, count) if binary else _normal(actual, deviation, count)
    predicted = np.array([scores[part].mean(dtype=np.float64) for part in parts])
    return Bins(count, predicted, actual, low, high)


def gain(scores: Numbers, outcome: Numbers) -> tuple[Numbers, Numbers]:
    """Return the share of rows taken, best scores first, and the share of all outcome they hold; from 0 to 1."""
    order = np.argsort(-scores, kind="stable")
    held = np.concatenate([[0.0], outcome[order].cumsum(dtype=np.float64)])
    return np.linspace(0, 1, len(held)), held / held[-1] if held[-1] else held


def roc(scores: Numbers, outcome: Numbers) -> tuple[Numbers, Numbers]:
    """Return false and true positive rates at each distinct score, from (0, 0); needs both outcomes."""
    positive, negative = Classifier.of(scores, outcome).found(np.ones(len(scores)))
    return negative / negative[-1], positive / positive[-1]


def precision_recall(scores: Numbers, outcome: Numbers) -> tuple[Numbers, Numbers]:
    """Return recall and precision at each distinct score, highest first; needs one positive outcome."""
    positive, negative = Classifier.of(scores, outcome).found(np.ones(len(scores)))
    return positive[1:] / positive[-1], positive[1:] / (positive + negative)[1:]


def thin(curve: tuple[Numbers, Numbers], points: int = 200) -> tuple[Numbers, Numbers]:
    """Return a curve with at most that many points, first and last among them: the eye sees no more."""
    chosen = np.unique(np.linspace(0, len(curve[0]) - 1, points).round().astype(int))
    return curve[0][chosen], curve[1][chosen]


def _bounds(values: Numbers) -> tuple[float, float]:
    low, high = interval(values) or (None, None)
    return float("nan") if low is None else low, float("nan") if high is None else high


def _wilson(rate: Numbers, count: Numbers) -> tuple[Numbers, Numbers]:
    square = NORMAL_95**2
    middle = (rate + square / (2 * count)) / (1 + square / count)
    half = NORMAL_95 * np.sqrt(rate * (1 - rate) / count + square / (4 * count**2)) / (1 + square / count)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def _normal(mean: Numbers, deviation: Numbers, count: Numbers) -> tuple[Numbers, Numbers]:
    half = NORMAL_95 * deviation / np.sqrt(count)
    return mean - half, mean + half
