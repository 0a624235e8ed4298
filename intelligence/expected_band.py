"""The band in which the next week's rate of a concern is expected.

The number of conversations that name a concern in a week is taken as a count with the mean `rate * conversations`. The
rate is constant or, where the previous weeks show a trend, log-linear in time, fitted as a quasi-Poisson regression
with the logarithm of the conversations as offset: Farrington, Andrews, Beale and Catchpole (1996), "A statistical
algorithm for the early detection of outbreaks of infectious disease", and Noufaily et al. (2013), who replaced its
normal approximation by quantiles of a negative binomial.

The band has the quantiles of the predictive distribution, a negative binomial: a Poisson count whose rate is itself
uncertain, as a gamma distribution whose size is the number of conversations that named the concern. With one more in
its size (above) and as it is (below), the bounds are those of the exact conditional test of two Poisson rates
(Przyborowski and Wilenski 1940): they miss at most as often as stated, however small the counts are.

Where weeks vary more than a Poisson count does, all counts are divided by the dispersion first (Rao and Scott 1999). A
dispersion of few weeks is itself uncertain: it is multiplied by the squared ratio of the quantiles of Student's t and
the normal distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST_WEEKS = 6
"""Fewer previous weeks with conversations give no band."""
LEAST_WEEKS_FOR_TREND = 10
TREND_ALPHA = 0.01
"""A trend is followed where it is significant at this level."""
STEPS = 30


class Band(NamedTuple):
    """What is expected of one week: rates from 0 to 1."""

    expected: float
    low: float
    high: float


class _Fit(NamedTuple):
    """A fitted rate of the next week, and the variance of its logarithm for a dispersion of 1."""

    rate: float
    log_variance: float
    dispersion: float
    freedom: int


def expect_rate(counts: Sequence[float], totals: Sequence[float], total: float, alpha: float) -> Band | None:
    """Return the band of the next week, None where too few of the previous weeks have conversations.

    Args:
        counts: conversations that name the concern, of each previous week in order.
        totals: all conversations of the same weeks; weeks with none count as unknown.
        total: all conversations of the next week, above 0.
        alpha: the probability that an unchanged rate leaves the band.
    """
    y, n = np.asarray(counts, dtype=float), np.asarray(totals, dtype=float)
    known = n > 0
    if known.sum() < LEAST_WEEKS or total <= 0:
        return None
    weeks_ahead = np.arange(-len(y), 0, dtype=float)
    fit = _fit(y[known], n[known], weeks_ahead[known])
    spread = _widen(fit, alpha)
    mean = fit.rate * total / spread
    if fit.rate == 0:
        # No conversation so far: as with one in place of none, less nothing.
        return Band(0.0, 0.0, _quantile(1.0, total / n.sum(), 1 - alpha / 2) / total)
    size = 1.0 / (fit.log_variance * spread)
    low = _quantile(size, mean, alpha / 2)
    high = _quantile(size + 1.0, mean * (size + 1.0) / size, 1 - alpha / 2)
    return Band(fit.rate, min(low * spread / total, 1.0), min(high * spread / total, 1.0))


def _quantile(size: float, mean: float, probability: float) -> float:
    """Return a quantile of the negative binomial with this size and mean."""
    return float(stats.nbinom.ppf(probability, size, size / (size + mean)))


def _widen(fit: _Fit, alpha: float) -> float:
    """Return the dispersion to allow for, at least 1."""
    doubt = stats.t.ppf(1 - alpha / 2, fit.freedom) / stats.norm.ppf(1 - alpha / 2)
    return max(1.0, fit.dispersion * float(doubt) ** 2)


def _fit(y: Floats, n: Floats, weeks: Floats) -> _Fit:
    constant = _fit_constant(y, n)
    if len(y) < LEAST_WEEKS_FOR_TREND or constant.rate == 0:
        return constant
    trend = _fit_trend(y, n, weeks)
    return constant if trend is None else trend


def _fit_constant(y: Floats, n: Floats) -> _Fit:
    rate = float(y.sum() / n.sum())
    if rate == 0:
        return _Fit(0.0, np.inf, 1.0, len(y) - 1)
    return _Fit(rate, 1.0 / float(y.sum()), _dispersion(y, rate * n, 1), len(y) - 1)


def _fit_trend(y: Floats, n: Floats, weeks: Floats) -> _Fit | None:
    """Fit log rate = a + b week by Newton's method; None where the trend is not significant or the fit fails."""
    design = np.stack([np.ones_like(weeks), weeks], axis=1)
    parameters = np.array([np.log(y.sum() / n.sum()), 0.0])
    for _ in range(STEPS):
        mean = n * np.exp(np.clip(design @ parameters, -50.0, 50.0))
        information = design.T @ (design * mean[:, None])
        if np.linalg.cond(information) > 1e12:  # noqa: PLR2004 - near the precision of the floats
            return None
        step = np.linalg.solve(information, design.T @ (y - mean))
        parameters = parameters + np.clip(step, -5.0, 5.0)
        if np.abs(step).max() < 1e-9:  # noqa: PLR2004 - converged
            break
    covariance = np.linalg.inv(information)
    freedom = len(y) - 2
    dispersion = _dispersion(y, mean, 2)
    deviation = float(np.sqrt(covariance[1, 1] * max(dispersion, 1.0)))
    if abs(parameters[1]) < stats.t.ppf(1 - TREND_ALPHA / 2, freedom) * deviation:
        return None
    # The next week is week 0 of the design, so its rate is the intercept.
    return _Fit(min(float(np.exp(parameters[0])), 1.0), float(covariance[0, 0]), dispersion, freedom)


def _dispersion(y: Floats, mean: Floats, parameters: int) -> float:
    """Return Pearson's estimate."""
    return float(((y - mean) ** 2 / np.maximum(mean, 1e-12)).sum() / (len(y) - parameters))
