"""Bootstrap over customers: one customer may have several rows, which rise and fall together.

The cluster bootstrap (Field and Welsh 2007, "Bootstrapping clustered data"): customers are drawn with
replacement, each with all rows. The draws depend on the seed alone, so two models measured in one pass are
measured on the same draws and their difference is paired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Statistics = Callable[[NDArray[np.float64]], Mapping[str, float]]

RESAMPLES = 500
ALPHA = 0.05


def draws(customer_ids: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> Iterator[NDArray[np.float64]]:
    """Give the weights of the rows in each resample, shape [rows]: how often their customer was drawn."""
    customers, code = np.unique(np.asarray(customer_ids), return_inverse=True)
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = generator.integers(0, len(customers), len(customers))
        yield np.bincount(drawn, minlength=len(customers)).astype(np.float64)[code]


def bootstrap(
    statistics: Statistics, customer_ids: Sequence[str], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Return the values of each statistic over the resamples, by name, NaN where it is not defined."""
    taken = [statistics(weights) for weights in draws(customer_ids, resamples, seed)]
    return {name: np.array([each[name] for each in taken]) for name in taken[0]}


def interval(values: NDArray[np.float64], alpha: float = ALPHA) -> list[float | None]:
    """Return the percentile interval of resampled values, of 95 % by default; those not defined are left out."""
    known = values[~np.isnan(values)]
    return [rounded(bound) for bound in np.quantile(known, (alpha / 2, 1 - alpha / 2))] if len(known) else []


def difference(name: str, value: float, resampled: NDArray[np.float64]) -> dict[str, Any]:
    """Describe a paired difference for the gates: metric, value, standard error and 95 % interval."""
    known = resampled[~np.isnan(resampled)]
    return {
        "metric": name,
        "value": rounded(value),
        "standard_error": rounded(known.std(ddof=1)) if len(known) > 1 else None,
        "interval_95": interval(resampled),
    }


def rounded(value: float) -> float | None:
    """Return a figure with six decimals, which is more than any of them is worth; None for NaN, as JSON has none."""
    return None if np.isnan(value) else round(float(value), 6)
