"""Random offers: how often, which, and with which propensity."""

from __future__ import annotations

from collections import Counter

import pytest

from campaigns.decide import ContactHistory
from tests.builders import campaign, candidate, decide, facts, offers, scores

EXPLORING = campaign(offers=(1, 3, 5, 7), exploration_percent=20)


def make_offers(count: int) -> list[tuple[int, float | None]]:
    """The offer made to each of so many customers, and its propensity; the best is offer 3."""
    customers = [candidate(campaign=EXPLORING, customer_id=f"customer-{number}") for number in range(count)]
    decisions = [decide(each, facts(), ContactHistory(), offers(), scores(3)) for each in customers]
    return [(each.offer.offer.id, each.propensity) for each in decisions if each.offer is not None]


def test_every_offer_is_made_as_often_as_its_propensity_says() -> None:
    """Of 4,000: the best with .85, each other one with .05; within four standard deviations."""
    made = Counter(make_offers(4_000))
    assert set(made) == {(1, 0.05), (3, 0.85), (5, 0.05), (7, 0.05)}
    for (_, propensity), count in made.items():
        expected = 4_000 * (propensity or 0)
        assert count == pytest.approx(expected, abs=4 * (expected * (1 - (propensity or 0))) ** 0.5)


def test_a_decision_made_again_makes_the_same_offer() -> None:
    assert make_offers(50) == make_offers(50)


def test_without_exploration_the_best_offer_is_certain() -> None:
    decided = decide(candidate(), facts(), ContactHistory(), offers(), scores(3))
    assert decided.propensity == 1


def test_the_draw_does_not_change_the_net_value() -> None:
    """Or a random offer would decide which campaign wins."""
    customers = [candidate(campaign=EXPLORING, customer_id=f"customer-{number}") for number in range(50)]
    decisions = [decide(each, facts(), ContactHistory(), offers(), scores(3)) for each in customers]
    assert {each.net_value for each in decisions} == {0.75}
    assert {each.offer.score for each in decisions if each.offer} == {0.25, 0.75}


def test_both_arms_draw_alike() -> None:
    """Or the control group would not show what the treated one was offered."""
    held = EXPLORING.model_copy(update={"holdout_percent": 100})
    for number in range(30):
        one, other = (candidate(campaign=each, customer_id=f"customer-{number}") for each in (EXPLORING, held))
        made = [decide(each, facts(), ContactHistory(), offers(), scores(3)) for each in (one, other)]
        assert made[0].offer == made[1].offer
