"""The breaker: when it stops a campaign, and what a stopped campaign does."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.breaker import HOUR, BatchBreakers, Breaker, hour_of
from campaigns.candidates import Definitions, decide_all
from campaigns.decide import Outcome
from campaigns.guardrails import Reason
from tests.builders import AS_OF, campaign, candidate, facts, offers
from tests.unit.test_candidates import Scorer, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.decide import Decision

NOW = hour_of(AS_OF)
BREAKER = {"contacts": 2, "hours": 24}
WATCHED = campaign(breaker=BREAKER)


def decide(
    *candidates: Any, stops: Mapping[str, str] | None = None, counts: Mapping[int, int] | None = None
) -> tuple[Sequence[Decision], BatchBreakers]:
    """Decide candidates of `WATCHED` and others, with what the ledger has counted of it."""
    breakers = BatchBreakers(stops or {}, {WATCHED.key: counts or {}})
    known = table(*{each.customer_id for each in candidates})
    return decide_all(candidates, known, {}, offers(), Scorer(), breakers=breakers), breakers


def customers(count: int, **changes: Any) -> list[Any]:
    return [
        candidate(**{"campaign": WATCHED, "customer_id": f"c{n}", "event_id": f"e{n}", **changes}) for n in range(count)
    ]


def test_the_contact_that_exceeds_what_is_allowed_is_withheld_and_stops_the_campaign() -> None:
    decisions, breakers = decide(*customers(4))
    assert [each.reason for each in decisions] == ["entered_segment"] * 2 + ["stopped"] * 2
    (stop,) = breakers.tripped
    assert (stop.campaign, stop.actor) == ("win-back", "breaker")
    assert stop.reason.startswith(
        "the breaker allows 2 contact(s) in 24 hour(s), and so many were made from 2011-05-31 13"
    )
    assert decisions[3].detail == f"the campaign is stopped: {stop.reason}"


def test_as_many_as_are_allowed_stop_nothing() -> None:
    decisions, breakers = decide(*customers(2))
    assert ({each.outcome for each in decisions}, breakers.tripped) == ({Outcome.FIRED}, [])


def test_what_earlier_batches_and_other_workers_have_counted_counts() -> None:
    decisions, _ = decide(*customers(2), counts={NOW - 23: 1})
    assert [each.reason for each in decisions] == ["entered_segment", "stopped"]


@pytest.mark.parametrize("hour", [NOW - 24, NOW + 24])
def test_hours_outside_of_the_window_do_not_count(hour: int) -> None:
    assert decide(*customers(2), counts={hour: 2})[1].tripped == []


def test_a_late_event_counts_in_the_windows_of_its_own_time() -> None:
    """It would be the third contact within the hours that follow it."""
    decisions, _ = decide(*customers(1), counts={NOW + 1: 1, NOW + 23: 1})
    assert decisions[0].reason == "stopped"


def test_both_arms_count_and_are_stopped_alike() -> None:
    allowed = {"contacts": 20, "hours": 24}
    arms = (campaign(breaker=allowed, holdout_percent=percent) for percent in (0, 50))
    plain, split = (decide(*customers(30, campaign=each))[0] for each in arms)
    assert Counter(each.outcome for each in split)[Outcome.CONTROL] > 0
    assert [each.reason is Reason.STOPPED for each in split] == [each.reason is Reason.STOPPED for each in plain]


def test_a_stopped_campaign_stays_stopped_whatever_is_counted() -> None:
    """Also one without a breaker, which a person has stopped."""
    decisions, breakers = decide(candidate(), stops={"win-back": "wrong prices"})
    assert (decisions[0].reason, decisions[0].detail) == ("stopped", "the campaign is stopped: wrong prices")
    assert (decisions[0].net_value, breakers.tripped) == (0.75, [])


def test_the_next_campaign_makes_the_contact_of_one_that_is_stopped() -> None:
    other = candidate(campaign=campaign(key="other"))
    decisions, _ = decide(candidate(campaign=campaign(priority=5)), other, stops={"win-back": "x"})
    assert [each.reason for each in decisions] == ["stopped", "entered_segment"]


def test_a_campaign_that_would_lose_makes_no_contact_and_none_that_stops_it() -> None:
    winner = candidate(campaign=campaign(key="winner", priority=1))
    decisions, breakers = decide(candidate(campaign=WATCHED), winner, counts={NOW: 2})
    assert ([each.reason for each in decisions], breakers.tripped) == (["outranked", "entered_segment"], [])


def test_contacts_that_other_rules_withhold_do_not_count() -> None:
    assert decide(*customers(5, withheld=Reason.FIRST_EVALUATION))[1].tripped == []


def test_a_breaker_makes_no_new_version_of_a_campaign() -> None:
    """Raising it must not divide the customers whose effect is measured."""
    assert WATCHED.version == campaign().version


def test_definitions_know_the_longest_breaker() -> None:
    made = [campaign(), WATCHED, campaign(key="b", breaker={"contacts": 1, "hours": 3})]
    assert Definitions(made, offers(), {}, {"at-risk": "1"}).longest_breaker == 24
    assert Definitions([campaign()], offers(), {}, {"at-risk": "1"}).longest_breaker == 0


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 5), st.integers(1, 12))
def test_no_window_has_more_contacts_than_are_allowed(hours: list[int], contacts: int, length: int) -> None:
    """In whatever order their events come, and no contact is refused for which every window had room."""
    breaker = Breaker(contacts=contacts, hours=length)
    counts: Counter[int] = Counter()

    def fullest(of: Counter[int]) -> int:
        return max(sum(of[hour] for hour in range(first, first + length)) for first in range(-length, 41))

    for hour in hours:
        with_it = counts + Counter([hour])
        first = breaker.find_full(counts, hour)
        assert (first is None) == (fullest(with_it) <= contacts)
        if first is None:
            counts = with_it
        else:
            assert first <= hour < first + length


def test_hours_are_clock_hours_of_event_time() -> None:
    begin = AS_OF.replace(minute=0)
    assert hour_of(begin) == hour_of(begin + HOUR - timedelta(seconds=1)) == hour_of(begin + HOUR) - 1


def test_facts_of_a_stopped_contact_are_recorded() -> None:
    decisions, _ = decide(candidate(), stops={"win-back": "x"})
    assert decisions[0].facts == facts(offer_basis="mock")
