"""The estimate of a backtest finds the truth in simulated logs, and refuses where there is nothing to learn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from console.use_cases.backtest_estimates import Action, Opportunity, Unsupported, estimate, find_obstacle

FIRST, SECOND = Action("email", 1), Action("email", 2)
HELD_OUT = 0.2
RATES = {None: 0.10, FIRST: 0.20, SECOND: 0.30}
RUNS = 150


def simulate(random: np.random.Generator, customers: int, planned: Action | None) -> list[Opportunity]:
    """A log of a campaign that makes the first offer with probability .7 and the second with .3, a fifth held out.

    Customers who are more likely to convert in any case are not contacted differently, but convert more.
    """
    opportunities = []
    for number in range(customers):
        first = random.random() < 0.7
        recorded, propensity = (FIRST, 0.7) if first else (SECOND, 0.3)
        is_held_out = bool(random.random() < HELD_OUT)
        rate = RATES[None if is_held_out else recorded]
        converted = bool(random.random() < rate)
        opportunities.append(
            Opportunity(
                "win-back", f"c{number}", planned, 1.0, recorded, propensity, is_held_out, converted, 10.0 * converted
            )
        )
    return opportunities


@pytest.mark.parametrize("planned", [None, FIRST, SECOND], ids=["no contact", "first offer", "second offer"])
def test_the_interval_holds_the_truth_as_often_as_it_says(planned: Action | None) -> None:
    """In 150 simulated logs, for the conversion rate and the revenue; the estimates are right on average."""
    random = np.random.default_rng(20261127)
    found = [estimate(simulate(random, 700, planned)) for _ in range(RUNS)]
    truth = RATES[planned]
    rates = [each.conversion for each in found if each.conversion]
    assert len(rates) == RUNS
    covered = sum(each.low <= truth <= each.high for each in rates) / RUNS
    assert 0.91 <= covered <= 0.99
    for estimated in (np.mean([each.dr for each in rates]), np.mean([each.snips for each in rates])):
        assert estimated == pytest.approx(truth, abs=0.01)
    earned = [each.earned for each in found if each.earned]
    assert 0.91 <= sum(each.low <= 10 * truth <= each.high for each in earned) / RUNS <= 0.99


def test_the_difference_to_the_log_has_an_interval_of_its_own() -> None:
    random = np.random.default_rng(7)
    logged = HELD_OUT * 0.10 + (1 - HELD_OUT) * (0.7 * 0.20 + 0.3 * 0.30)
    found = [estimate(simulate(random, 700, SECOND)).conversion for _ in range(RUNS)]
    covered = sum(each.difference_low <= 0.30 - logged <= each.difference_high for each in found if each)
    assert 0.91 <= covered / RUNS <= 0.99


def test_the_effective_sample_size_is_that_of_kish() -> None:
    """With equal weights it is the number of opportunities on which the log did the same."""
    one = Opportunity("win-back", "", FIRST, recorded=FIRST)
    same = [replace(one, customer_id=f"c{number}", converted=number % 2 == 0) for number in range(400)]
    assert estimate(same).effective == pytest.approx(400)
    held_out = [replace(each, is_held_out=number % 4 == 0) for number, each in enumerate(same)]
    assert estimate(held_out).effective == pytest.approx(300)


def opportunity(planned: Action | None, recorded: Action | None, **changes: object) -> Opportunity:
    return replace(Opportunity("win-back", "ann", planned, recorded=recorded), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("each", "held_out", "reason"),
    [
        (opportunity(FIRST, FIRST), 0.1, None),
        (opportunity(FIRST, FIRST), 0.0, None),
        (opportunity(FIRST, FIRST), 1.0, Unsupported.NEVER_CONTACTED),
        (opportunity(FIRST, None), 0.1, Unsupported.NEVER_CONTACTED),
        (opportunity(SECOND, FIRST), 0.1, Unsupported.NEVER_OFFERED),
        (opportunity(SECOND, FIRST, propensity=0.9), 0.1, None),
        (opportunity(Action("sms", 1), FIRST, propensity=0.9), 0.1, Unsupported.NEVER_OFFERED),
        (opportunity(None, FIRST), 0.1, None),
        (opportunity(None, FIRST), 0.0, Unsupported.NO_CONTROL),
        (opportunity(FIRST, FIRST, planned_propensity=0.5), 0.1, Unsupported.DRAWN),
    ],
)
def test_an_opportunity_without_support_is_refused_with_the_reason(
    each: Opportunity, held_out: float, reason: Unsupported | None
) -> None:
    assert find_obstacle(each, held_out, {FIRST, SECOND}) == reason


def test_a_log_without_support_gives_no_estimate() -> None:
    """And the page says for which share."""
    found = estimate([opportunity(SECOND, FIRST), opportunity(FIRST, None)])
    assert (found.supported, found.unsupported_share, found.conversion, found.is_enough) == (0, 1.0, None, False)
    assert found.unsupported == {Unsupported.NEVER_OFFERED: 1, Unsupported.NEVER_CONTACTED: 1}


def test_opportunities_on_which_neither_contacts_do_not_count() -> None:
    assert estimate([opportunity(None, None)]).opportunities == 0
    assert estimate([]).unsupported_share == 0


def test_few_conversions_are_not_enough() -> None:
    random = np.random.default_rng(1)
    assert not estimate(simulate(random, 60, FIRST)).is_enough
    assert estimate(simulate(random, 2000, FIRST)).is_enough


def test_a_campaign_is_compared_with_its_own_log_alone() -> None:
    """An offer of another campaign is no support."""
    other = replace(opportunity(SECOND, SECOND), campaign="other")
    found = estimate([other, opportunity(SECOND, FIRST, propensity=0.5)])
    assert found.unsupported == {Unsupported.NEVER_OFFERED: 1}


def test_the_same_log_in_another_order_gives_the_same_estimate() -> None:
    log = simulate(np.random.default_rng(3), 500, FIRST)
    one, two = estimate(log), estimate(log[::-1])
    assert one.conversion is not None
    assert two.conversion is not None
    assert one.conversion.dr == pytest.approx(two.conversion.dr)
    assert one.conversion.low == pytest.approx(two.conversion.low)
