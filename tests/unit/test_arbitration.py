"""At most one contact per customer and event: which one, and the reason of the others."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from campaigns.candidates import decide_all
from campaigns.decide import Outcome
from campaigns.definition import Offer
from campaigns.guardrails import Reason
from features.table import FeatureTable
from tests.builders import campaign, candidate, facts, scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.decide import Candidate, Decision

MARGINS = {1: (40.0, 10.0), 3: (20.0, 0.0), 5: (10.0, 0.0)}
OFFERS = {
    n: Offer(id=n, key=f"offer-{n}", name="An offer", value=value, cost=cost) for n, (value, cost) in MARGINS.items()
}


def for_campaign(
    key: str, offer: int, customer_id: str = "ann", event_id: str = "event-1", **changes: Any
) -> Candidate:
    """A candidate of a campaign with one offer: 1 is expected to bring 7.5, 3 to bring 15, 5 to bring 2.5."""
    made = campaign(key=key, offers=(offer,), **changes)
    return candidate(campaign=made, customer_id=customer_id, event_id=event_id)


def decide_each(candidates: Sequence[Candidate]) -> dict[str, Decision]:
    """Decide candidates together; return the decisions by campaign."""
    customers = tuple(dict.fromkeys(each.customer_id for each in candidates))
    rows = [facts()] * len(customers)
    table = FeatureTable.from_rows(customers, list(rows[0]), [list(row.values()) for row in rows])

    def score(chosen: FeatureTable) -> tuple[Any, Any]:
        return np.tile(scores(3), (len(chosen), 1)), np.full(len(chosen), "model", dtype=object)

    return {each.candidate.campaign.key: each for each in decide_all(candidates, table, {}, OFFERS, score)}


def test_of_several_campaigns_the_one_with_the_highest_expected_net_value_makes_the_contact() -> None:
    decided = decide_each([for_campaign("a", 1), for_campaign("b", 3), for_campaign("c", 5)])
    assert {key: each.net_value for key, each in decided.items()} == {"a": 7.5, "b": 15.0, "c": 2.5}
    assert [decided[key].reason for key in "abc"] == [Reason.OUTRANKED, Reason.ENTERED_SEGMENT, Reason.OUTRANKED]
    assert decided["a"].detail == "b has an expected net value of 15, this one 7.5"
    assert decided["a"].message is None


def test_priority_comes_before_value() -> None:
    decided = decide_each([for_campaign("a", 3), for_campaign("b", 5, priority=1)])
    assert decided["b"].outcome is Outcome.FIRED
    assert decided["a"].detail == "b has priority 1, this campaign 0"


def test_equal_campaigns_are_ranked_by_key_whatever_their_order() -> None:
    for order in permutations("cab"):
        decided = decide_each([for_campaign(key, 3) for key in order])
        assert [key for key in "abc" if decided[key].outcome is Outcome.FIRED] == ["a"]
        assert decided["c"].detail == "a has the same expected net value, 15, and comes first by key"


def test_a_campaign_that_cannot_contact_the_customer_does_not_compete() -> None:
    decided = decide_each([for_campaign("a", 3, message="Dear {{ surname }}"), for_campaign("b", 5)])
    assert [decided[key].reason for key in "ab"] == [Reason.MESSAGE_FAILED, Reason.ENTERED_SEGMENT]


def test_a_held_out_customer_gets_nothing_from_the_campaigns_that_lost() -> None:
    """Or the control group of one campaign would be the treated group of the next."""
    customers = [f"customer-{number}" for number in range(40)]
    outcomes = set()
    for each in customers:
        decided = decide_each([for_campaign("a", 3, each, holdout_percent=50), for_campaign("b", 5, each)])
        assert decided["b"].reason is Reason.OUTRANKED
        outcomes.add(decided["a"].outcome)
    assert outcomes == {Outcome.FIRED, Outcome.CONTROL}


def test_a_campaign_that_does_not_compete_makes_its_contact_as_well() -> None:
    decided = decide_each([for_campaign("a", 3), for_campaign("b", 5, competes=False), for_campaign("c", 5)])
    assert [decided[key].reason for key in "abc"] == [
        Reason.ENTERED_SEGMENT,
        Reason.ENTERED_SEGMENT,
        Reason.OUTRANKED,
    ]


@pytest.mark.parametrize("changes", [{"customer_id": "bob"}, {"event_id": "event-2"}], ids=["customer", "event"])
def test_candidates_of_different_customers_or_events_do_not_compete(changes: dict[str, str]) -> None:
    decided = decide_each([for_campaign("a", 3), for_campaign("b", 5, **changes)])
    assert {each.outcome for each in decided.values()} == {Outcome.FIRED}


def test_the_offer_is_the_one_with_the_highest_expected_value() -> None:
    """Offer 1 is accepted with probability .25 and leaves 30, offer 5 with .25 and leaves 10."""
    made = candidate(campaign=campaign(offers=(5, 1)))
    (decided,) = decide_each([made]).values()
    assert decided.offer is not None
    assert (decided.offer.offer.id, decided.offer.score, decided.net_value) == (1, 0.25, 7.5)
