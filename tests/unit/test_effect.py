"""Treated against held-out customers: the difference, and how often its interval is wrong when looked at daily."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from campaigns.confidence_sequence import ALPHA
from campaigns.effect import Arm, compare_conversion, compare_revenue, has_enough

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from campaigns.effect import Comparison

RUNS, DAYS = 1_000, 90
# As many as stated, and two standard deviations of their number among so many runs.
ALLOWED = RUNS * ALPHA + 2 * np.sqrt(RUNS * ALPHA * (1 - ALPHA))
DAILY_CONVERSION = 0.1
"""Of customers who will convert and have not, those who do on each day."""


def arm(*cells: tuple[float, float, float, float]) -> Arm:
    """One version for each cell: customers, converted, revenue, and the sum of its squares; at one look."""
    return Arm(*np.array(cells, dtype=float).T[:, :, None])


def draw_arm(draw: np.random.Generator, arrived: np.ndarray, rate: float, *, late: bool = False) -> Arm:
    """Sums of customers who convert with this rate, at once or later; each conversion has a log-normal value.

    Args:
        draw: of random numbers.
        arrived: customers of each day of each run, shape [runs, days].
        rate: of conversion.
        late: conversions come days after the exposure, ten on average.
    """
    converted = draw.binomial(arrived, rate)
    if late:
        converted = delay(draw, converted)
    values = draw.lognormal(3, 1, int(converted.sum()))
    cell = np.repeat(np.arange(converted.size), converted.ravel())
    sums = [np.bincount(cell, values**power, converted.size).reshape(converted.shape) for power in (1, 2)]
    return Arm(*(np.cumsum(each, axis=1, dtype=float)[None] for each in (arrived, converted, *sums)))


def delay(draw: np.random.Generator, converting: np.ndarray) -> np.ndarray:
    """Return conversions by the day on which they come, those after the last day left out."""
    waiting = np.zeros(len(converting), dtype=np.int64)
    come = np.zeros_like(converting)
    for day in range(converting.shape[1]):
        waiting += converting[:, day]
        come[:, day] = draw.binomial(waiting, DAILY_CONVERSION)
        waiting -= come[:, day]
    return come


def draw_runs(
    rate: float,
    holdout: float,
    per_day: int,
    *,
    lift: float = 0,
    late: bool = False,
    runs: int = RUNS,
    days: int = DAYS,
) -> tuple[Arm, Arm]:
    """Both arms of many runs, looked at daily: each sum of shape [1, runs, days]."""
    draw = np.random.default_rng([int(rate * 1000), int(holdout * 100), per_day, late])
    held = draw.binomial(per_day, holdout, (runs, days))
    treated = draw_arm(draw, per_day - held, rate * (1 + lift), late=late)
    return treated, draw_arm(draw, held, rate, late=late)


def alarms(compare: Callable[[Arm, Arm], Comparison], arms: tuple[Arm, Arm]) -> int:
    """In how many runs the interval excludes 0 on any day."""
    return int(compare(*arms).excludes_zero.any(axis=-1).sum())


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("rate", "holdout", "per_day"),
    [*product([0.01, 0.1, 0.4], [0.1, 0.5], [20, 200]), (0.01, 0.1, 2_000), (0.01, 0.5, 2_000)],
)
def test_without_an_effect_no_more_runs_than_stated_find_one(
    rate: float, holdout: float, per_day: int, late: bool
) -> None:
    """A thousand A/A runs looked at on each of 90 days; conversions at once or days later."""
    arms = draw_runs(rate, holdout, per_day, late=late)
    assert alarms(compare_conversion, arms) <= ALLOWED
    assert alarms(compare_revenue, arms) <= ALLOWED


def test_without_an_effect_a_year_of_daily_looks_finds_none_either() -> None:
    arms = draw_runs(0.01, 0.1, 500, days=365)
    assert alarms(compare_conversion, arms) <= ALLOWED
    assert alarms(compare_revenue, arms) <= ALLOWED


@pytest.mark.parametrize(
    ("rate", "holdout", "per_day", "lift", "found"),
    [
        (0.1, 0.5, 200, 0.3, 0.99),
        (0.1, 0.1, 200, 0.5, 0.99),
        (0.01, 0.5, 500, 0.5, 0.95),
        (0.01, 0.1, 2_000, 0.5, 0.99),
    ],
)
def test_an_effect_is_found(rate: float, holdout: float, per_day: int, lift: float, found: float) -> None:
    """In at least this share of runs within 90 days."""
    assert alarms(compare_conversion, draw_runs(rate, holdout, per_day, lift=lift)) >= found * RUNS


@pytest.mark.parametrize("lift", [0.5, -0.5])
def test_the_interval_contains_the_true_difference_on_all_days(lift: float) -> None:
    """In at least as many runs as stated, of the smaller and of the larger rate."""
    for holdout in (0.1, 0.5):
        found = compare_conversion(*draw_runs(0.05, holdout, 300, lift=lift))
        missed = ((found.low > 0.05 * lift) | (found.high < 0.05 * lift)).any(axis=-1).sum()
        assert missed <= ALLOWED


def test_a_difference_is_that_of_the_means() -> None:
    treated, control = arm((900, 90, 1_800, 45_000)), arm((100, 5, 50, 600))
    conversion, revenue = compare_conversion(treated, control), compare_revenue(treated, control)
    assert (conversion.treated[0], conversion.control[0]) == pytest.approx((0.1, 0.05))
    assert conversion.difference[0] == pytest.approx(0.05)
    assert revenue.difference[0] == pytest.approx(2 - 0.5)


def test_versions_with_different_holdouts_are_compared_each_within_itself() -> None:
    """Half was held out while a fifth converted, then a tenth while a hundredth did: no effect, and none is seen.

    Thrown together, 2.7 % of the treated and 17 % of the control group have converted.
    """
    treated = arm((1_000, 200, 0, 0), (9_000, 90, 0, 0))
    control = arm((1_000, 200, 0, 0), (1_000, 10, 0, 0))
    found = compare_conversion(treated, control)
    assert found.difference[0] == pytest.approx(0)
    assert found.low[0] < 0 < found.high[0]


def test_without_an_effect_versions_that_change_the_holdout_find_none() -> None:
    """The second version holds out a tenth instead of half, and customers convert less."""
    draw = np.random.default_rng(5)
    arms = []
    early = np.arange(DAYS) < 30
    held = draw.binomial(300, np.where(early, 0.5, 0.1), (RUNS, DAYS))
    for arrived in (300 - held, held):
        parts = [
            draw_arm(draw, np.where(early == first, arrived, 0), rate) for first, rate in ((True, 0.2), (False, 0.02))
        ]
        sums = ("customers", "converted", "revenue", "revenue_squared")
        arms.append(Arm(*(np.concatenate([getattr(part, name) for part in parts]) for name in sums)))
    assert alarms(compare_conversion, (arms[0], arms[1])) <= ALLOWED
    assert alarms(compare_revenue, (arms[0], arms[1])) <= ALLOWED


def test_a_version_without_a_control_group_takes_no_part() -> None:
    alone, held = arm((500, 400, 0, 0), (900, 90, 0, 0)), arm((0, 0, 0, 0), (100, 10, 0, 0))
    both = compare_conversion(alone, held)
    second = compare_conversion(alone.of_version(1), held.of_version(1))
    assert both.difference[0] == second.difference[0] == pytest.approx(0)
    assert both.high[0] == second.high[0]


def test_without_customers_in_both_arms_there_is_no_difference() -> None:
    found = compare_conversion(arm((500, 50, 0, 0)), arm((0, 0, 0, 0)))
    assert np.isnan([found.treated[0], found.difference[0], found.low[0]]).all()
    assert not found.excludes_zero[0]


@pytest.mark.parametrize(
    ("treated", "control", "enough"),
    [
        ((900, 100, 0, 0), (99, 11, 0, 0), False),
        ((900, 100, 0, 0), (100, 11, 0, 0), True),
        ((900, 89, 0, 0), (100, 10, 0, 0), False),
        ((900, 100, 0, 0), (100, 0, 0, 0), True),
    ],
    ids=["99 held out", "100 held out", "fewer than 10 expected", "no conversion in one arm"],
)
def test_an_interval_needs_enough_customers_and_conversions(
    treated: tuple[float, ...], control: tuple[float, ...], enough: bool
) -> None:
    """In the smaller arm, as many conversions as it would have at the common rate."""
    arms = arm(treated), arm(control)  # type: ignore[arg-type]
    assert has_enough(*arms)[0] == enough
    assert np.isnan(compare_conversion(*arms).low[0]) != enough


def draw_variants(rate: float, shares: Sequence[float], holdout: float, per_day: int) -> list[tuple[Arm, Arm]]:
    """Both arms of each variant of a campaign without an effect, of many runs, looked at daily."""
    draw = np.random.default_rng([int(rate * 1000), per_day, len(shares)])
    split = draw.multinomial(per_day, shares, (RUNS, DAYS))
    held = draw.binomial(split, holdout)
    parts = [(split[..., place] - held[..., place], held[..., place]) for place in range(len(shares))]
    return [(draw_arm(draw, treated, rate), draw_arm(draw, control, rate)) for treated, control in parts]


@pytest.mark.parametrize("rate", [0.01, 0.1])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.1, 0.1), (0.2,) * 5])
def test_variants_that_are_the_same_differ_in_no_more_runs_than_stated(rate: float, shares: tuple[float, ...]) -> None:
    """A thousand A/A tests looked at on each of 90 days: of the first variant with each other, and with the holdout."""
    arms = draw_variants(rate, shares, 0.2, 500)
    for compare in (compare_conversion, compare_revenue):
        among = [compare(each, arms[0][0], ALPHA / (len(shares) - 1)) for each, _ in arms[1:]]
        effects = [compare(*each, ALPHA / len(shares)) for each in arms]
        for family in (among, effects):
            assert np.any([each.excludes_zero.any(axis=-1) for each in family], axis=0).sum() <= ALLOWED


def test_an_arm_without_conversions_has_an_interval_all_the_same() -> None:
    """Which ends where a difference of rates ends."""
    found = compare_conversion(arm((900, 900, 0, 0)), arm((100, 0, 0, 0)))
    assert found.difference[0] == found.high[0] == 1
    assert 0 < found.low[0] < 1


def test_revenue_that_is_the_same_for_all_has_no_interval_below_it() -> None:
    """Rounding gives no negative variance."""
    found = compare_revenue(arm((900, 900, 900 * 0.1, 900 * 0.01)), arm((100, 100, 10, 1)))
    assert found.difference[0] == pytest.approx(0)
    assert found.low[0] == pytest.approx(found.high[0], abs=1e-6)


def test_revenue_beyond_what_a_number_holds_has_no_interval() -> None:
    found = compare_revenue(arm((900, 900, 1e300, np.inf)), arm((100, 100, 10, 1)))
    assert np.isnan(found.low[0])
