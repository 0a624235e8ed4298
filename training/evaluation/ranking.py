"""Rows in the order of a score: what AUC, precision, rank correlation, Gini and Qini are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows from the highest score down, equal scores together.

    Made once for a score and used for many resamples, each a weight per row.

    Attributes:
        order: shape [rows], positions of the rows from the highest score down.
        ends: shape [distinct scores], where in that order each run of equal scores ends.
    """

    order: NDArray[np.intp]
    ends: NDArray[np.intp]

    @classmethod
    def of(cls, scores: NDArray[Any]) -> Ranking:
        """Rank scores of shape [rows], none of which is NaN."""
        order = np.argsort(-scores, kind="stable")
        return cls(order, np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)))

    def cumulate(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the sums of values of shape [rows] over the rows at or above each distinct score, from 0 on."""
        sums = np.cumsum(values[self.order], dtype=np.float64)[self.ends]
        return np.concatenate([[0.0], sums])

    def ranks(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mid-rank of each row, 1 the highest score, when row i is there weights[i] times."""
        sums = self.cumulate(weights)
        middle = (sums[:-1] + sums[1:] + 1) / 2
        ranks = np.empty(len(weights))
        ranks[self.order] = np.repeat(middle, np.diff(self.ends, prepend=-1))
        return ranks


def spearman(one: Ranking, other: Ranking, weights: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of the mid-ranks of two scores of the same rows; NaN where one is constant."""
    ranks = (each.ranks(weights) for each in (one, other))
    first, second = (each - np.average(each, weights=weights) for each in ranks)
    spread = float(np.sqrt((weights @ first**2) * (weights @ second**2)))
    return float(weights @ (first * second)) / spread if spread else float("nan")


def area(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the area under a line through points, by trapezoids."""
    return float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2)
