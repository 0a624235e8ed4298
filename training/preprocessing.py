"""What the net does to its inputs first: constants learned here, applied inside the graph.

Median imputation with a missing flag, clamping to the range seen, log1p where a feature is skewed, and
piecewise-linear encoding in 16 quantile bins (Gorishniy et al. 2022, "On Embeddings for Numerical Features
in Tabular Deep Learning"): value t becomes clip((t - left) / width, 0, 1) for each bin. Clamping makes a
customer older than any seen in training count as the oldest seen; without it a tenure that only grows would
be extrapolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 16
SKEW_FOR_LOG = 1.5


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Constants of the encoding of f features into p pieces.

    Attributes:
        median, low, high: shape [f], the value for null and the range clamped to.
        logged: shape [f], true where log1p is applied, after clamping.
        flagged: positions of the features that were null in some row, each with a missing flag.
        source: shape [p], the feature of each piece.
        left, width: shape [p], where each piece begins and how wide it is, after log1p.
    """

    median: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    logged: NDArray[np.bool_]
    flagged: NDArray[np.int32]
    source: NDArray[np.int32]
    left: NDArray[np.float32]
    width: NDArray[np.float32]

    def describe(self, names: list[str]) -> list[dict[str, Any]]:
        """Return the constants of each feature as plain values, for the manifest."""
        return [
            {
                "feature": name,
                "median": float(self.median[i]),
                "clamp": [float(self.low[i]), float(self.high[i])],
                "log1p": bool(self.logged[i]),
                "missing_flag": i in self.flagged,
                "bins": int((self.source == i).sum()),
            }
            for i, name in enumerate(names)
        ]


def learn_preprocessing(inputs: NDArray[np.float32]) -> Preprocessing:
    """Learn the constants from inputs of shape [rows, features], no column of which is constant."""
    missing = np.isnan(inputs)
    median, low, high = (op(inputs, axis=0) for op in (np.nanmedian, np.nanmin, np.nanmax))
    logged = (low >= 0) & (_skew(inputs) > SKEW_FOR_LOG)
    scaled = np.where(logged, np.log1p(np.maximum(inputs, 0)), inputs)
    edges = [np.unique(np.nanquantile(column, np.linspace(0, 1, BINS + 1))) for column in scaled.T]
    source = [np.full(len(points) - 1, i) for i, points in enumerate(edges)]
    return Preprocessing(
        median=median,
        low=low,
        high=high,
        logged=logged,
        flagged=np.flatnonzero(missing.any(axis=0)).astype(np.int32),
        source=np.concatenate(source).astype(np.int32),
        left=np.concatenate([points[:-1] for points in edges]).astype(np.float32),
        width=np.concatenate([np.diff(points) for points in edges]).astype(np.float32),
    )


def _skew(inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    centred = inputs.astype(np.float64) - np.nanmean(inputs, axis=0, dtype=np.float64)
    spread = np.sqrt(np.nanmean(centred**2, axis=0))
    skew: NDArray[np.float64] = np.nanmean(centred**3, axis=0) / spread**3
    return skew
