"""Recency, frequency and monetary value from 1 to 5, and the eleven usual segments.

A score is 1 plus the number of cut points passed, 5 the best: the most recent, most frequent, most spent.
The segment follows from R and from FM, the mean of F and M with halves rounded up, so every (R, F, M) has
exactly one:

| R | FM 1           | FM 2                | FM 3                | FM 4      | FM 5             |
|---|----------------|---------------------|---------------------|-----------|------------------|
| 5 | New Customers  | Potential Loyalists | Potential Loyalists | Champions | Champions        |
| 4 | Promising      | Potential Loyalists | Potential Loyalists | Loyal     | Champions        |
| 3 | About To Sleep | About To Sleep      | Need Attention      | Loyal     | Loyal            |
| 2 | Hibernating    | Hibernating         | At Risk             | At Risk   | Cannot Lose Them |
| 1 | Lost           | Lost                | At Risk             | At Risk   | Cannot Lose Them |
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter, ValidationError

from models.errors import RfmDefinitionError
from models.inputs import numbers
from models.regular_file import read_regular_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable

Cuts = tuple[float, float, float, float]
FILE_BYTES = 2**20

RISK_THRESHOLDS = (0.4, 0.7, 0.85)

_N, _P, _PL, _C, _L = "New Customers", "Promising", "Potential Loyalists", "Champions", "Loyal"
_AS, _NA, _H, _AR, _CL, _X = (
    "About To Sleep",
    "Need Attention",
    "Hibernating",
    "At Risk",
    "Cannot Lose Them",
    "Lost",
)
_BY_R_FM = np.array(
    [
        [_X, _X, _AR, _AR, _CL],
        [_H, _H, _AR, _AR, _CL],
        [_AS, _AS, _NA, _L, _L],
        [_P, _PL, _PL, _L, _C],
        [_N, _PL, _PL, _C, _C],
    ],
    dtype=object,
)
SEGMENTS: tuple[str, ...] = (_C, _L, _PL, _N, _P, _NA, _AS, _AR, _CL, _H, _X)


@dataclass(frozen=True, slots=True)
class RfmCuts:
    """Where one score ends and the next begins, ascending; a value equal to a cut point has not passed it.

    Attributes:
        recency: days since the last order.
        frequency: number of orders.
        monetary: revenue to date.
        value: two cut points of predicted lifetime value: low, medium, high.
        risk: three cut points of the probability of churn: low, medium, high, critical. The settings name them, not
            the file.
    """

    recency: Cuts = (30, 60, 120, 240)
    frequency: Cuts = (1, 2, 4, 8)
    monetary: Cuts = (100, 300, 700, 1500)
    value: tuple[float, float] = (500, 2000)
    risk: tuple[float, float, float] = RISK_THRESHOLDS


_FILE = TypeAdapter(RfmCuts)


_SOURCES = ("days_since_last_transaction", "transaction_count", "total_revenue")
RFM_SOURCES: Mapping[str, tuple[str, ...]] = {
    "rfm_recency": ("days_since_last_transaction",),
    "rfm_frequency": ("transaction_count",),
    "rfm_monetary": ("total_revenue",),
    "rfm_segment": _SOURCES,
}
"""The columns of the view that each fact is computed from."""


def rfm_columns(table: FeatureTable, cuts: RfmCuts) -> dict[str, Column]:
    """Return rfm_recency, rfm_frequency and rfm_monetary from 1 to 5, and rfm_segment.

    A customer without orders has 1 for what is null; one of whom all three columns are null has no score, since nothing
    is known of their orders. A fact is null for all customers if the table lacks a column that it is computed from.

    Raises:
        ModelInputError: a column is not numeric.
    """
    recency = 5 - _passed(table, "days_since_last_transaction", cuts.recency, null=np.inf)
    frequency = 1 + _passed(table, "transaction_count", cuts.frequency, null=-np.inf)
    monetary = 1 + _passed(table, "total_revenue", cuts.monetary, null=-np.inf)
    mean = (frequency + monetary + 1) // 2
    columns: dict[str, Column] = {
        "rfm_recency": recency.astype(np.float64),
        "rfm_frequency": frequency.astype(np.float64),
        "rfm_monetary": monetary.astype(np.float64),
        "rfm_segment": _BY_R_FM[recency - 1, mean - 1],
    }
    present = [np.isnan(numbers(name, table.columns[name])) for name in _SOURCES if name in table.columns]
    unknown = np.logical_and.reduce(present) if present else np.ones(len(table), dtype=np.bool_)
    for name, sources in RFM_SOURCES.items():
        null = None if name == "rfm_segment" else np.nan
        if not table.columns.keys() >= set(sources):
            columns[name] = np.full(len(table), null)
        elif unknown.any():
            columns[name][unknown] = null
    return columns


def _passed(table: FeatureTable, name: str, cuts: Cuts, null: float) -> NDArray[np.intp]:
    if name not in table.columns:
        return np.zeros(len(table), dtype=np.intp)
    cells = numbers(name, table.columns[name])
    return np.searchsorted(np.asarray(cuts, dtype=np.float64), np.where(np.isnan(cells), null, cells), side="left")


def quintiles(table: FeatureTable, value: Column) -> RfmCuts:
    """Return the cut points that split a table's customers into fifths.

    Args:
        table: needs the three columns of `rfm_columns`; nulls are left out.
        value: predicted lifetime value of each customer, cut at the median and the 80th percentile; the default cuts
            stay where none is known.
    """
    recency, frequency, monetary = (_fifths(numbers(name, table.columns[name])) for name in _SOURCES)
    if np.isnan(value).all():
        return RfmCuts(recency, frequency, monetary)
    low, high = (round(float(cut), 2) for cut in np.nanquantile(value, (0.5, 0.8)))
    return RfmCuts(recency, frequency, monetary, (low, high))


def _fifths(cells: NDArray[np.float64]) -> Cuts:
    one, two, three, four = (round(float(cut), 2) for cut in np.nanquantile(cells, (0.2, 0.4, 0.6, 0.8)))
    return one, two, three, four


def load_cuts(path: Path) -> RfmCuts:
    """Read cut points from a JSON file; the defaults where there is none.

    Raises:
        RfmDefinitionError: the file is there and cannot be used.
    """
    if not path.exists():
        return RfmCuts()
    try:
        cuts = _FILE.validate_json(read_regular_file(path, FILE_BYTES, follow=True))
    except (OSError, ValidationError) as error:
        raise RfmDefinitionError(f"{path}: RFM cut points cannot be read: {error}") from error
    for name, points in asdict(cuts).items():
        if any(low > high for low, high in pairwise(points)):
            raise RfmDefinitionError(f"{path}: $.{name} is {list(points)}; put its numbers in ascending order")
    return cuts
