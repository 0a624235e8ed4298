"""How often an unchanged rate leaves its band, and how often a doubled one does; simulated with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from intelligence.expected_band import expect_rate

RUNS = 250


def share_outside(
    *,
    weeks: int,
    conversations: int,
    rate: float,
    alpha: float,
    seed: int,
    correlation: float = 0.0,
    factor: float = 1.0,
) -> float:
    """Return the share of runs in which the last week leaves the band of the weeks before it.

    Args:
        weeks: before the last one.
        conversations: mean of each week.
        rate: of each week.
        alpha: of the band.
        seed: of the simulation.
        correlation: of two conversations of a week; above 0 the rate of each week is drawn from a beta distribution.
        factor: by which the rate of the last week is multiplied.
    """
    random = np.random.default_rng(seed)
    outside = 0
    for _ in range(RUNS):
        rates = np.full(weeks + 1, rate)
        rates[-1] *= factor
        if correlation:
            size = 1 / correlation - 1
            rates = random.beta(rates * size, (1 - rates) * size)
        totals = random.poisson(conversations, weeks + 1) + 1
        counts = random.binomial(totals, rates)
        band = expect_rate(counts[:-1], totals[:-1], totals[-1], alpha)
        assert band is not None
        outside += not band.low - 1e-12 <= counts[-1] / totals[-1] <= band.high + 1e-12
    return outside / RUNS


def most(alpha: float) -> float:
    """Return the share that a simulation of the stated share exceeds once in 10,000 times."""
    return float(stats.binom.ppf(0.9999, RUNS, alpha)) / RUNS


@pytest.mark.parametrize(
    ("weeks", "conversations", "rate"), [(6, 30, 0.05), (12, 200, 0.05), (26, 2000, 0.1), (8, 200, 0.5)]
)
def test_an_unchanged_rate_leaves_its_band_at_most_as_often_as_stated(
    weeks: int, conversations: int, rate: float
) -> None:
    """Exact bounds are conservative, so the mean is below the stated share."""
    found = share_outside(weeks=weeks, conversations=conversations, rate=rate, alpha=0.05, seed=weeks)
    assert found <= 0.05


def test_a_rate_that_varies_by_week_leaves_its_band_at_most_as_often_as_stated() -> None:
    """Overdispersed: the variance is 11 times that of independent conversations."""
    found = share_outside(weeks=26, conversations=2000, rate=0.1, alpha=0.05, seed=1, correlation=0.005)
    assert found <= most(0.05)


def test_a_doubled_rate_is_found() -> None:
    assert share_outside(weeks=12, conversations=400, rate=0.1, alpha=0.008, seed=2, factor=2) > 0.9


def test_a_halved_rate_is_found() -> None:
    assert share_outside(weeks=26, conversations=2000, rate=0.1, alpha=0.008, seed=3, factor=0.5) > 0.95
