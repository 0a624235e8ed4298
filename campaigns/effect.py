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
    from collections.abc import Sequence

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

    def where(self, kept: NDArray[np.bool_]) -> Arm:
        """Return the sums with 0 in place of those that are not kept."""
        sums = (self.customers, self.converted, self.revenue, self.revenue_squared)
        return Arm(*(np.where(kept, each, 0) for each in sums))

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
    control group without conversions has a variance, and the interval does not begin too narrow.

    Args:
        treated: shape [versions, ...].
        control: of the same shape.
        alpha: the probability that the interval ever misses.
    """
    arms = _keep_compared(treated, control)
    means = [_divide(each.converted, each.customers) for each in arms]
    found = _compare(arms, means, [_smoothed_variance(each) for each in arms], alpha)
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
    arms = _keep_compared(treated, control)
    common = _variance(arms[0] + arms[1])
    means = [_divide(each.revenue, each.customers) for each in arms]
    return _compare(arms, means, [np.maximum(_variance(each), common) for each in arms], alpha)


def has_enough(treated: Arm, control: Arm) -> NDArray[np.bool_]:
    """Return at which looks an interval is given, shape [...]: before, the central limit theorem does not hold yet."""
    arms = _keep_compared(treated, control)
    both = arms[0] + arms[1]
    smaller = np.minimum(arms[0].customers, arms[1].customers)
    expected = (smaller * _divide(both.converted, both.customers)).sum(axis=0)
    fewest = np.minimum(*(each.customers.sum(axis=0) for each in arms))
    enough: NDArray[np.bool_] = (fewest >= FIRST_CUSTOMERS) & (expected >= FIRST_CONVERTED)
    return enough


def _keep_compared(treated: Arm, control: Arm) -> tuple[Arm, Arm]:
    """Return the arms without the customers of versions that have none in the other arm."""
    both = (treated.customers > 0) & (control.customers > 0)
    return treated.where(both), control.where(both)


def _compare(arms: tuple[Arm, Arm], means: Sequence[Floats], variances: Sequence[Floats], alpha: float) -> Comparison:
    """Average the versions, each weighted with its customers, and put the interval around the difference.

    Args:
        arms: treated and control, without customers that cannot be compared.
        means: of each arm, shape [versions, ...].
        variances: of one customer of each arm, shape [versions, ...].
        alpha: the probability that the interval ever misses.
    """
    customers = arms[0].customers + arms[1].customers
    total = customers.sum(axis=0)
    weights = _divide(customers, total)
    treated, control = (np.where(total > 0, (weights * mean).sum(axis=0), np.nan) for mean in means)
    errors = [_divide(variance, arm.customers) for variance, arm in zip(variances, arms, strict=True)]
    standard_error = np.sqrt((weights**2 * (errors[0] + errors[1])).sum(axis=0))
    margin = radius(standard_error, np.maximum(total, 1), alpha=alpha)
    margin = np.where(has_enough(*arms) & np.isfinite(margin), margin, np.nan)
    difference = treated - control
    return Comparison(treated, control, difference, difference - margin, difference + margin)


def _smoothed_variance(arm: Arm) -> Floats:
    rate = (arm.converted + 1) / (arm.customers + 2)
    variance: Floats = rate * (1 - rate)
    return variance


def _variance(arm: Arm) -> Floats:
    mean = _divide(arm.revenue, arm.customers)
    # A sum of squares may exceed what a float holds: then there is no variance, and no interval.
    with np.errstate(over="ignore", invalid="ignore"):
        variance: Floats = np.maximum(_divide(arm.revenue_squared, arm.customers) - mean**2, 0)
    return variance


def _divide(dividend: Floats, divisor: Floats) -> Floats:
    """Return the quotient, 0 where the divisor is 0."""
    result = np.zeros(np.broadcast_shapes(dividend.shape, divisor.shape))
    return np.divide(dividend, divisor, out=result, where=divisor > 0)
