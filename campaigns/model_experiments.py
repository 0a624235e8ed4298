"""What an experiment on a model has shown: the challenger's customers against the champion's. Pure.

By intention to treat: a customer counts once, in the arm assigned, from the first time that the experiment reached
them. What counts are the conversions, revenue and cost of all contacts from then on; customers without any count with
0. The statistics are those of a campaign's effect, with the challenger as the treatment: they hold at every look
(campaigns/effect.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from campaigns.confidence_sequence import ALPHA
from campaigns.effect import compare_conversion, compare_revenue
from campaigns.exposures import accumulate
from campaigns.sample_ratio import check_ratio

if TYPE_CHECKING:
    from collections.abc import Collection

    from campaigns.effect import Arm, Comparison
    from campaigns.exposures import ExposureDay
    from campaigns.sample_ratio import SampleRatio

MEASURES = 2
"""The conversion rate and the net revenue: the error is divided between them, so that both hold at once."""


@dataclass(frozen=True, slots=True)
class ArmResult:
    """The customers of one arm.

    Attributes:
        customers: whom the experiment reached.
        converted: those with a conversion.
        revenue: the sum of the values of their conversions.
        cost: of their contacts, and of the offers of those who converted.
    """

    customers: int = 0
    converted: int = 0
    revenue: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A mean per customer in both arms, and challenger - champion with an interval that holds at every look.

    Attributes:
        low: of the interval; None where there are too few customers or conversions for one.
        high: likewise.
    """

    champion: float
    challenger: float
    difference: float
    low: float | None
    high: float | None

    @property
    def is_worse(self) -> bool:
        """Whether the challenger is established to be worse."""
        return self.high is not None and self.high < 0

    @property
    def is_better(self) -> bool:
        """Whether the challenger is established to be better."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What an experiment has shown so far.

    Attributes:
        champion: the customers of the champion's arm.
        challenger: those of the challenger's.
        conversion: share of customers who converted; None while an arm is empty.
        net: revenue less cost per customer, likewise.
        ratio: whether customers were split as planned; None before the first one.
    """

    champion: ArmResult
    challenger: ArmResult
    conversion: Measured | None = None
    net: Measured | None = None
    ratio: SampleRatio | None = None


def evaluate_experiment(days: Collection[ExposureDay], share: float) -> ExperimentResult:
    """Return what an experiment has shown.

    Args:
        days: the customers of both arms by the day on which they were reached; the challenger's are the treated ones.
        share: of the challenger, above 0 and below 1.
    """
    history, net = accumulate(days), accumulate([each.net for each in days])
    if not days:
        return ExperimentResult(ArmResult(), ArmResult())
    results = [_sum_up(*arms) for arms in ((history.control, net.control), (history.treated, net.treated))]
    customers = history.treated.customers[0], history.control.customers[0]
    ratio = check_ratio(customers[0], customers[0] + customers[1], share)
    if not all(each.customers for each in results):
        return ExperimentResult(results[0], results[1], ratio=ratio)
    return ExperimentResult(
        results[0],
        results[1],
        _measure(compare_conversion(history.treated, history.control, ALPHA / MEASURES)),
        _measure(compare_revenue(net.treated, net.control, ALPHA / MEASURES)),
        ratio,
    )


def find_harm(result: ExperimentResult) -> str | None:
    """Return why a challenger is clearly worse, as a sentence; None where it is not established.

    It is where the interval of net revenue lies below 0, or that of the conversion rate, unless net revenue is
    established to be higher: a challenger that contacts fewer customers may earn more with fewer conversions. No split
    that contradicts the plan stops it: what is compared then is not known.
    """
    conversion, net = result.conversion, result.net
    if conversion is None or net is None or (result.ratio is not None and result.ratio.alarm):
        return None
    if net.is_worse:
        return _describe("net revenue per customer", net, 1, "")
    if conversion.is_worse and not net.is_better:
        return _describe("conversion rate", conversion, 100, " %")
    return None


def _describe(what: str, measured: Measured, factor: float, unit: str) -> str:
    champion, challenger, difference, low, high = (
        factor * (each or 0.0)
        for each in (measured.champion, measured.challenger, measured.difference, measured.low, measured.high)
    )
    points = " percentage points" if unit else ""
    return (
        f"the challenger is clearly worse: {what} {challenger:.2f}{unit}, of the champion {champion:.2f}{unit}; "
        f"the difference is {difference:+.2f}{points}, interval {low:+.2f} to {high:+.2f}"
    )


def _sum_up(arm: Arm, net: Arm) -> ArmResult:
    customers, converted, revenue = (float(each[0, -1]) for each in (arm.customers, arm.converted, arm.revenue))
    return ArmResult(int(customers), int(converted), round(revenue, 6), round(revenue - float(net.revenue[0, -1]), 6))


def _measure(comparison: Comparison) -> Measured:
    control, treated, difference, low, high = (
        float(each[-1])
        for each in (comparison.control, comparison.treated, comparison.difference, comparison.low, comparison.high)
    )
    return Measured(control, treated, difference, None if np.isnan(low) else low, None if np.isnan(high) else high)
