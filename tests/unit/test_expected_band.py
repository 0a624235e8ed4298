"""The band in which the next week's rate of a concern is expected."""

from __future__ import annotations

import numpy as np
import pytest

from intelligence.expected_band import LEAST_WEEKS, expect_rate

WEEKS = 12


def test_few_weeks_give_no_band() -> None:
    few = LEAST_WEEKS - 1
    assert expect_rate([5] * few, [100] * few, 100, 0.01) is None


def test_weeks_without_conversations_count_as_unknown() -> None:
    assert expect_rate([5] * 5 + [0] * 20, [100] * 5 + [0] * 20, 100, 0.01) is None


def test_a_constant_rate_is_expected_again() -> None:
    band = expect_rate([10] * WEEKS, [100] * WEEKS, 100, 0.01)
    assert band is not None
    assert band.expected == pytest.approx(0.1)
    assert 0 < band.low < 0.1 < band.high < 0.25


def test_more_conversations_give_a_narrower_band() -> None:
    few = expect_rate([10] * WEEKS, [100] * WEEKS, 100, 0.01)
    many = expect_rate([1000] * WEEKS, [10_000] * WEEKS, 10_000, 0.01)
    assert few is not None
    assert many is not None
    assert many.high - many.low < (few.high - few.low) / 4


def test_a_rate_that_varies_has_a_wider_band() -> None:
    calm = expect_rate([100] * WEEKS, [1000] * WEEKS, 1000, 0.01)
    restless = expect_rate([60, 140] * (WEEKS // 2), [1000] * WEEKS, 1000, 0.01)
    assert calm is not None
    assert restless is not None
    assert restless.high > calm.high + 0.03


def test_a_trend_goes_on() -> None:
    counts = [round(50 * 1.05**week) for week in range(20)]
    band = expect_rate(counts, [1000] * 20, 1000, 0.01)
    assert band is not None
    assert band.expected == pytest.approx(0.05 * 1.05**20, rel=0.03)


def test_a_concern_that_nobody_named_may_be_named_by_chance() -> None:
    band = expect_rate([0] * WEEKS, [100] * WEEKS, 100, 0.01)
    assert band is not None
    assert (band.expected, band.low) == (0.0, 0.0)
    # As often as 1 of 13 weeks has all of n conversations that name it: 1/13, 1/169, 1/2197.
    assert band.high == pytest.approx(0.02)


def test_a_concern_that_everybody_names_stays_within_all_conversations() -> None:
    band = expect_rate([100] * WEEKS, [100] * WEEKS, 100, 0.01)
    assert band is not None
    assert band.high == 1.0


def test_the_bounds_are_those_of_the_exact_conditional_test() -> None:
    """At the bound the probability is within the error, one further it is not."""
    from scipy import stats  # noqa: PLC0415 - the reference

    alpha, counts, total = 0.02, [3, 2, 4, 3, 2, 4, 3, 3], 50
    band = expect_rate(counts, [50] * 8, total, alpha)
    assert band is not None
    # Nearly no dispersion, so its allowance is 1.
    highest = round(band.high * total)
    share = total / (total + 400)

    def as_many(count: int) -> float:
        return float(stats.binom.sf(count - 1, sum(counts) + count, share))

    assert as_many(highest + 1) <= alpha / 2 < as_many(highest)


def test_odd_numbers_give_finite_bands() -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        totals = rng.integers(0, 60, 15)
        counts = rng.binomial(totals, rng.random() ** 3)
        band = expect_rate(counts.tolist(), totals.tolist(), 1 + int(rng.integers(0, 60)), 0.01)
        if band is not None:
            assert 0 <= band.low <= band.high <= 1
