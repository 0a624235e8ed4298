"""What an experiment on a model has shown, and when its challenger is clearly worse."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from campaigns.exposures import CONTROL, TREATED, ExposureDay
from campaigns.model_experiments import ExperimentResult, Measured, evaluate_experiment, find_harm
from tests.builders import AS_OF

DAY = AS_OF.date()


def arm(name: str, customers: int, converted: int, value: float = 10.0, cost: float = 0.0) -> ExposureDay:
    """Return the customers of one arm of a day; each conversion brings `value`, each customer costs `cost`."""
    revenue, square = Decimal(converted * value), Decimal(converted * value**2)
    spent = Decimal(cost)
    in_squares = customers * spent**2 - 2 * spent * revenue
    return ExposureDay("try", name, DAY, customers, converted, revenue, square, None, customers * spent, in_squares)


def judge(challenger: ExposureDay, champion: ExposureDay, share: float = 0.5) -> str | None:
    return find_harm(evaluate_experiment([champion, challenger], share))


def test_arms_are_summed_and_compared() -> None:
    result = evaluate_experiment([arm(CONTROL, 800, 160), arm(TREATED, 200, 20, cost=0.5)], 0.2)
    assert (result.champion.customers, result.champion.converted, result.champion.revenue) == (800, 160, 1600)
    assert (result.challenger.cost, result.ratio and result.ratio.alarm) == (100, False)
    assert result.conversion is not None
    assert result.net is not None
    assert (result.conversion.champion, result.conversion.challenger) == (0.2, 0.1)
    assert result.net.difference == pytest.approx(20 * 10 / 200 - 0.5 - 2)


def test_a_clearly_worse_challenger_is_found() -> None:
    said = judge(arm(TREATED, 5000, 250), arm(CONTROL, 5000, 500))
    assert said is not None
    assert said.startswith("the challenger is clearly worse: net revenue per customer 0.50, of the champion 1.00; ")


@pytest.mark.parametrize(
    ("challenger", "champion"),
    [
        (arm(TREATED, 5000, 490), arm(CONTROL, 5000, 500)),  # by chance
        (arm(TREATED, 90, 0), arm(CONTROL, 90, 50)),  # too few customers
        (arm(TREATED, 5000, 1000), arm(CONTROL, 5000, 500)),  # better
    ],
)
def test_what_is_not_established_stops_nothing(challenger: ExposureDay, champion: ExposureDay) -> None:
    assert judge(challenger, champion) is None


def test_fewer_conversions_stop_it_unless_more_is_earned() -> None:
    """A challenger that does without costly contacts may earn more; values may be missing altogether."""
    costly, cheap = arm(CONTROL, 5000, 500, 1.0, cost=2.0), arm(TREATED, 5000, 250, 1.0)
    assert judge(cheap, costly) is None
    worthless = judge(arm(TREATED, 5000, 250, 0.0), arm(CONTROL, 5000, 500, 0.0))
    assert worthless is not None
    assert "conversion rate 5.00 %, of the champion 10.00 %; the difference is -5.00 percentage points" in worthless


def test_a_split_against_the_plan_stops_nothing() -> None:
    result = evaluate_experiment([arm(CONTROL, 9000, 900), arm(TREATED, 5000, 50)], 0.2)
    assert result.ratio is not None
    assert result.ratio.alarm
    assert find_harm(result) is None


def test_nothing_is_compared_before_both_arms_have_customers() -> None:
    assert evaluate_experiment([], 0.2).conversion is None
    assert evaluate_experiment([arm(CONTROL, 5, 1)], 0.2).conversion is None
    assert find_harm(ExperimentResult(*2 * (evaluate_experiment([], 0.2).champion,))) is None


def test_a_measure_without_an_interval_is_neither() -> None:
    unknown = Measured(1, 0, -1, None, None)
    assert (unknown.is_worse, unknown.is_better) == (False, False)
    assert replace(unknown, low=-2.0, high=-0.5).is_worse


def test_equal_versions_are_seldom_stopped_however_often_one_looks() -> None:
    """Of 60 experiments without a difference, each looked at after every day for 15 days."""
    random = np.random.default_rng(7)
    stopped = 0
    for _ in range(60):
        days: list[ExposureDay] = []
        for number in range(15):
            at = DAY + timedelta(days=number)
            found = random.binomial(200, 0.1, size=2)
            both = zip((CONTROL, TREATED), found.tolist(), strict=True)
            days += [replace(arm(name, 200, converted), day=at) for name, converted in both]
            if find_harm(evaluate_experiment(days, 0.5)):
                stopped += 1
                break
    assert stopped <= 4
