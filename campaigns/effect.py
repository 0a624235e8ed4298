"""The effect of a campaign: its customers against those it held out, by intention to treat. Pure.

A customer counts once, in the arm of the first exposure to the campaign, whatever happens later: whether a second
contact follows depends on the effect of the first. Customers are compared within the version of the campaign that
exposed them first, because another version may hold out another share; the differences of the versions are averaged,
each weighted with its customers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from campaigns.confidence_sequence import ALPHA, radius

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIRST_CUSTOMERS = 100
"""Customers that each arm needs before an interval is given."""
FIRST_CONVERTED = 10
"""Converted customers that the smaller arm must be expected to have by then, if both arms convert alike."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Sums over the customers of one arm, by version and look.

    Attributes:
        customers: first exposed by the version until the look, shape [versions, ...].
        converted: those with a conversion, of the same shape.
        revenue: the sum over customers of the value of their conversions.
        revenue_squared: the sum of its squares.
    """

    customers: Floats
    converted: Floats
    revenue: Floats
    revenue_squared: Floats

    def __add__(self, other: Self) -> Arm:
        return Arm(
            self.customers + other.customers,
            self.converted + other.converted,
            self.revenue + other.revenue,
            self.revenue_squared + other.revenue_squared,
        )

    def of_version(self, place: int) -> Arm:
        """Return the sums of one version, shape [1, ...]."""
        one = slice(place, place + 1)
        return Arm(self.customers[one], self.converted[one], self.revenue[one], self.revenue_squared[one])


@dataclass(frozen=True, slots=True)
class Comparison:
    """A mean per customer in both arms, and the difference with its interval, at each look; NaN where there is none.

    Attributes:
        treated: the mean, averaged over versions, shape [...].
        control: the same of the control group.
        difference: treated - control.
        low: of the confidence sequence of the difference.
        high: likewise.
    """

    treated: Floats
    control: Floats
    difference: Floats
    low: Floats
    high: Floats

    @property
    def excludes_zero(self) -> NDArray[np.bool_]:
        """Where an effect is established."""
        return (self.low > 0) | (self.high < 0)


def compare_conversion(treated: Arm, control: Arm, alpha: float = ALPHA) -> Comparison:
    """Compare the conversion rates of the arms.

    The variance of a rate is taken with one converted and one other customer added (Agresti and Caffo, 2000): a small
    control group without conversions has a variance, and the interval misses less often than it states from the first.

    Args:
        treated: shape [versions, ...].
        control: of the same shape.
        alpha: the probability that the interval ever misses.
    """
    variances = [_smoothed_variance(each) for each in (treated, control)]
    means = [_divide(each.converted, each.customers) for each in (treated, control)]
    found = _compare(treated, control, means, variances, alpha)
    return replace(found, low=np.maximum(found.low, -1), high=np.minimum(found.high, 1))


def compare_revenue(treated: Arm, control: Arm, alpha: float = ALPHA) -> Comparison:
    """Compare the revenue per customer of the arms.

    The variance of each arm is its own or that of both together, whichever is greater. Revenue is skewed: without the
    large orders that a small control group has by chance not had yet, its own variance is too small just when its mean
    is too low, and an A/A comparison finds a difference in more than one of ten runs.

    Args:
        treated: shape [versions, ...].
        control: of the same shape.
        alpha: the probability that the interval ever misses.
    """
    common = _variance(treated + control)
    variances = [np.maximum(_variance(each), common) for each in (treated, control)]
    means = [_divide(each.revenue, each.customers) for each in (treated, control)]
    return _compare(treated, control, means, variances, alpha)


def has_enough(treated: Arm, control: Arm) -> NDArray[np.bool_]:
    """Return at which looks an interval is given, shape [...]: before, the central limit theorem does not hold yet."""
    smaller = np.minimum(treated.customers, control.customers)
    both = treated + control
    expected = (smaller * _divide(both.converted, both.customers, otherwise=0)).sum(axis=0)
    smallest = np.minimum(_compared(treated, control, treated), _compared(treated, control, control))
    enough: NDArray[np.bool_] = (smallest >= FIRST_CUSTOMERS) & (expected >= FIRST_CONVERTED)
    return enough


def _compare(treated: Arm, control: Arm, means: list[Floats], variances: list[Floats], alpha: float) -> Comparison:
    """Average the versions that have customers in both arms, and put the interval around the difference."""
    both = _both(treated, control)
    customers = np.where(both, treated.customers + control.customers, 0).sum(axis=0)
    weights = _divide(np.where(both, treated.customers + control.customers, 0), customers)
    averages = [np.where(both, weights * mean, 0).sum(axis=0) for mean in means]
    arms = (treated, control)
    errors = [_divide(each, arm.customers) for each, arm in zip(variances, arms, strict=True)]
    variance = np.where(both, weights**2 * (errors[0] + errors[1]), 0).sum(axis=0)
    known = customers > 0
    first, second = (np.where(known, each, np.nan) for each in averages)
    margin = radius(np.sqrt(variance), np.maximum(customers, 1), alpha=alpha)
    margin = np.where(has_enough(treated, control) & np.isfinite(margin), margin, np.nan)
    difference = first - second
    return Comparison(first, second, difference, difference - margin, difference + margin)


def _both(treated: Arm, control: Arm) -> NDArray[np.bool_]:
    both: NDArray[np.bool_] = (treated.customers > 0) & (control.customers > 0)
    return both


def _compared(treated: Arm, control: Arm, arm: Arm) -> Floats:
    """Return the customers of an arm in versions that have both arms."""
    customers: Floats = np.where(_both(treated, control), arm.customers, 0).sum(axis=0)
    return customers


def _smoothed_variance(arm: Arm) -> Floats:
    rate = (arm.converted + 1) / (arm.customers + 2)
    variance: Floats = rate * (1 - rate)
    return variance


def _variance(arm: Arm) -> Floats:
    mean = _divide(arm.revenue, arm.customers, otherwise=0)
    # A sum of squares may exceed what a float holds: then there is no variance, and no interval.
    with np.errstate(over="ignore", invalid="ignore"):
        variance: Floats = np.maximum(_divide(arm.revenue_squared, arm.customers, otherwise=0) - mean**2, 0)
    return variance


def _divide(dividend: Floats, divisor: Floats, otherwise: float = np.nan) -> Floats:
    """Return the quotient, `otherwise` where the divisor is 0."""
    result = np.full(np.broadcast_shapes(dividend.shape, divisor.shape), otherwise, dtype=np.float64)
    return np.divide(dividend, divisor, out=result, where=divisor > 0)
