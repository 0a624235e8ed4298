"""What the net does to its inputs first: constants learned here, applied inside the graph.

Numbers: median imputation with a missing flag, clamping to the range seen, log1p where a feature is skewed,
then piecewise-linear encoding in 16 quantile bins (Gorishniy et al. 2022, "On Embeddings for Numerical
Features in Tabular Deep Learning"), where value t becomes clip((t - left) / width, 0, 1) for each bin, and
next to it the z-score clipped at 4. Categories come as codes: |t - code| < .5 for each code seen, so an
unknown one, as any code below 0, is zero everywhere. Clamping makes a customer older than any seen in training
count as the oldest seen; without it a tenure that only grows would be extrapolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BINS = 16
SKEW_FOR_LOG = 1.5
Z_AT_MOST = 4.0


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Constants of the encoding of f features into p pieces, z z-scores, c categories and m missing flags.

    Attributes:
        median, low, high: shape [f], the value for null and the range clamped to; 0 for categories.
        logged: shape [f], true where log1p is applied, after clamping.
        source: shape [p], the feature of each piece.
        left, width: shape [p], where each piece begins and how wide it is, after log1p.
        scored: shape [z], the numeric features that vary.
        mean, spread: shape [z], of the values after log1p.
        category: shape [c], the feature of each code.
        code: shape [c].
        flagged: shape [m], the features that were null in some row.
    """

    median: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    logged: NDArray[np.bool_]
    source: NDArray[np.int32]
    left: NDArray[np.float32]
    width: NDArray[np.float32]
    scored: NDArray[np.int32]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    category: NDArray[np.int32]
    code: NDArray[np.float32]
    flagged: NDArray[np.int32]

    @property
    def origin(self) -> NDArray[np.int32]:
        """The feature of each encoded column, in the order in which the graph puts them."""
        return np.concatenate([self.source, self.scored, self.category, self.flagged])

    def describe(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the constants of each feature as plain values, for the manifest."""
        return [self._describe(position, name) for position, name in enumerate(names)]

    def _describe(self, position: int, name: str) -> dict[str, Any]:
        flag = {"feature": name, "missing_flag": position in self.flagged}
        if position in self.category:
            return flag | {"categories": self.code[self.category == position].tolist()}
        return flag | {
            "median": float(self.median[position]),
            "clamp": [float(self.low[position]), float(self.high[position])],
            "log1p": bool(self.logged[position]),
            "bins": int((self.source == position).sum()),
        }


def learn_preprocessing(inputs: NDArray[np.float32], categories: Sequence[int] = ()) -> Preprocessing:
    """Learn the constants.

    Args:
        inputs: shape [rows, features], null is NaN; what is infinite counts as null here. A feature that is
            constant or always null gets no columns but, if it has nulls, its flag.
        categories: positions of the features that hold codes.
    """
    cells = np.where(np.isfinite(inputs), inputs, np.nan).astype(np.float64)
    coded = np.isin(np.arange(cells.shape[1]), categories)
    numeric = np.where(coded | np.isnan(cells).all(axis=0), 0.0, cells)
    median, low, high = (op(numeric, axis=0) for op in (np.nanmedian, np.nanmin, np.nanmax))
    logged = (low >= 0) & (_skew(numeric) > SKEW_FOR_LOG)
    scaled = np.where(logged, np.log1p(np.maximum(numeric, 0)), numeric)
    edges = [np.unique(np.nanquantile(column, np.linspace(0, 1, BINS + 1))).astype(np.float32) for column in scaled.T]
    codes = [np.unique(column[column >= 0]) if coded[i] else column[:0] for i, column in enumerate(cells.T)]
    scored = np.flatnonzero([len(points) > 1 for points in edges])
    return Preprocessing(
        median=median.astype(np.float32),
        low=low.astype(np.float32),
        high=high.astype(np.float32),
        logged=logged,
        source=_repeat([len(points) - 1 for points in edges]),
        left=np.concatenate([points[:-1] for points in edges]),
        width=np.concatenate([np.diff(points) for points in edges]),
        scored=scored.astype(np.int32),
        mean=np.nanmean(scaled, axis=0)[scored].astype(np.float32),
        spread=np.nanstd(scaled, axis=0)[scored].astype(np.float32),
        category=_repeat([len(seen) for seen in codes]),
        code=np.concatenate(codes).astype(np.float32),
        flagged=np.flatnonzero(np.isnan(cells).any(axis=0)).astype(np.int32),
    )


def _repeat(counts: Sequence[int]) -> NDArray[np.int32]:
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _skew(inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = inputs - np.nanmean(inputs, axis=0)
    spread = np.sqrt(np.nanmean(centred**2, axis=0))
    third = np.nanmean(centred**3, axis=0)
    skew: NDArray[np.float64] = np.divide(third, spread**3, out=np.zeros_like(third), where=spread > 0)
    return skew
