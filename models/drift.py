"""Drift by the population stability index, over the bins of a version's training snapshot. Pure.

    PSI = sum over bins of (now - then) * ln(now / then),

with the share of customers in a bin now and then (Siddiqi 2006, Credit Risk Scorecards; the symmetric divergence
of Kullback and Leibler 1951). Without any drift it is about (bins - 1) * (1 / rows then + 1 / rows now), its 95 %
quantile that factor times chi-squared's (Yurdakul and Naranjo 2020): with 11 bins and a large snapshot, .06 at 300
rows. So fewer rows are not checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

BINS = 10
SMALLEST_SHARE = 1e-4
"""Stands for an empty bin, whose logarithm would be infinite."""
LARGEST_PSI = 0.2
"""Drift above it is reported."""
ENOUGH_ROWS = 300
"""Drift of fewer rows is not reported."""


def name_scores(outputs: int) -> tuple[str, ...]:
    """Return the names of a model's scores: score, or offer_1 and so on where there are several."""
    return ("score",) if outputs == 1 else tuple(f"offer_{number}" for number in range(1, outputs + 1))


def describe_column(values: NDArray[np.float32]) -> dict[str, list[float]]:
    """Return edges and shares of one column, shape [rows], null is NaN."""
    known = np.unique(values[np.isfinite(values)])
    edges = np.empty(0)
    if len(known):
        # No edge at the largest value: the last bin would be empty, and any newcomer in it an alarm.
        top = known[-2] if len(known) > 1 else known[-1]
        steps = np.arange(1, BINS) / BINS
        quantiles = np.quantile(values[np.isfinite(values)], steps, method="inverted_cdf")
        edges = np.unique(np.minimum(quantiles, top))
    # float32 as it is, so that edges and values compare alike when read again.
    as_read = [float(edge) for edge in edges]
    return {"edges": as_read, "shares": [round(float(share), 6) for share in share_out(values, as_read)]}


def share_out(values: NDArray[np.float32], edges: Sequence[float]) -> NDArray[np.float64]:
    """Return the share of values in each bin, missing ones last, shape [edges + 2]; a value on an edge is below it."""
    places = np.searchsorted(np.asarray(edges, dtype=np.float32), values, side="left")
    places[np.isnan(values)] = len(edges) + 1
    shares: NDArray[np.float64] = np.bincount(places, minlength=len(edges) + 2) / max(len(values), 1)
    return shares


def measure_shift(then: Mapping[str, Sequence[float]], values: NDArray[np.float32]) -> float:
    """Return the PSI of values, shape [rows], against a column of the snapshot."""
    before = np.asarray(then["shares"], dtype=np.float64)
    return float(stability_index(before, share_out(values, then["edges"])))


def stability_index(then: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the PSI of shares of bins, shape [..., bins]; a bin that is empty both times adds nothing."""
    before, after = np.maximum(then, SMALLEST_SHARE), np.maximum(now, SMALLEST_SHARE)
    index: NDArray[np.float64] = ((after - before) * np.log(after / before)).sum(axis=-1)
    return index
