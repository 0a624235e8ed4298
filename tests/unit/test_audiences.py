"""Campaigns on leaving a segment and on events: what is an opportunity, and what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from campaigns.candidates import Definitions, EventOccurrence, TriggerContext, event_candidates, transition_candidates
from campaigns.decide import derive_trigger_id
from campaigns.guardrails import Reason
from campaigns.ports import LedgerState
from features.signals import MessageReading
from features.table import FeatureTable
from segments.engine import Activation, Episode, MembershipState, classify
from streams.customers import messages_by_customer, unseen
from streams.event_audiences import awaited_updates, find_occurrences
from streams.formats.events import EventsByKind
from tests.builders import AS_OF, campaign, offers, segment, transition
from tests.records import body, events, message

if TYPE_CHECKING:
    from campaigns.decide import Candidate
    from segments.definition import Segment

LEAVING = campaign(key="goodbye", launch="on_leave")
ENTERING = campaign(key="welcome")
ANSWER = campaign(key="answer", launch="on_event", event="conversation.message")
THANKS = campaign(key="thanks", launch="on_event", event="customer.updated")
DEFINITIONS = Definitions([ENTERING, LEAVING, ANSWER, THANKS], offers(), {}, {"at-risk": "1"})
CONTEXTS = {"ann": TriggerContext("e1", AS_OF, 1, 1)}
NOTHING = LedgerState({}, {}, {}, ())
INSIDE = replace(NOTHING, memberships={"ann": MembershipState({"at-risk": Episode(2, is_member=True)})})
OUTSIDE = replace(NOTHING, memberships={"ann": MembershipState({"at-risk": Episode(2, is_member=False)})})


def test_who_leaves_is_a_candidate_of_what_waits_for_leaving() -> None:
    (left,) = transition_candidates([transition(entered=False, episode=2)], CONTEXTS, DEFINITIONS)
    (entered,) = transition_candidates([transition(episode=2)], CONTEXTS, DEFINITIONS)
    assert (left.campaign.key, left.occasion, left.withheld) == ("goodbye", "left 2", None)
    assert (entered.campaign.key, entered.occasion) == ("welcome", "2")


def test_the_end_of_an_episode_has_another_trigger_than_its_begin() -> None:
    """Also when a campaign is edited from one to the other."""
    edited = campaign(key="welcome", launch="on_leave")
    definitions = replace(DEFINITIONS, campaigns=[edited])
    (left,) = transition_candidates([transition(entered=False, episode=2)], CONTEXTS, definitions)
    assert left.trigger_id != derive_trigger_id("ann", ENTERING, "2")


def test_an_exit_that_follows_from_an_edited_rule_is_suppressed() -> None:
    """The rule changed and not the customer: the first evaluation under it contacts no customer, as with entries."""
    old, new = segment(), segment(rule={">": [{"var": "x"}, 0]})
    held = MembershipState({"at-risk": Episode(1, is_member=True)}, {"at-risk": old.version})
    assert leave(new, held).withheld is Reason.FIRST_EVALUATION


def test_who_was_a_member_from_the_first_evaluation_on_leaves_like_any_other() -> None:
    """The entry was suppressed; the exit is a change of the customer."""
    rule = segment(rule={">": [{"var": "x"}, 0]})
    held = MembershipState({"at-risk": Episode(1, is_member=True, suppressed=True)}, {"at-risk": rule.version})
    assert leave(rule, held).withheld is None


def test_nobody_leaves_a_frozen_segment() -> None:
    rule = segment(rule={">": [{"var": "gone"}, 0]})
    held = MembershipState({"at-risk": Episode(1, is_member=True)}, {"at-risk": rule.version})
    assert leaving(rule, held) == []


def leaving(rule: Segment, held: MembershipState) -> list[Candidate]:
    """The candidates of ann, whose fact `x` is 0, under a rule."""
    activation = {"at-risk": Activation(rule.version, AS_OF)}
    facts = FeatureTable(("ann",), {"x": np.array([0.0])})
    found = classify([rule], facts, {"ann": held}, activations=activation, joined_at={})
    return transition_candidates(found.changes, CONTEXTS, DEFINITIONS)


def leave(rule: Segment, held: MembershipState) -> Candidate:
    (left,) = leaving(rule, held)
    assert left.campaign is LEAVING
    return left


def occurrences(*contents: dict[str, Any], state: LedgerState = INSIDE, entered: bool = False) -> list[EventOccurrence]:
    """What campaigns wait for among events, of which the ledger knows what `state` says."""
    happened = events(*contents)
    said = [each for each in happened if each.kind == "conversation"]
    fresh = unseen(messages_by_customer(said, lambda texts: [MessageReading(0.0)] * len(texts)), state.seen_messages)
    awaited = awaited_updates(EventsByKind(updated=[e for e in happened if e.kind == "customer"]), DEFINITIONS)
    updates = [event for key, event in awaited.items() if key not in state.seen_messages]
    moved = [transition()] if entered else []
    return find_occurrences(said, fresh, updates, DEFINITIONS, state, moved)


def test_each_event_of_a_batch_is_a_candidate_at_its_own_time() -> None:
    """Though the customer is evaluated once, at the latest."""
    later = "2011-06-02T00:00:00Z"
    found = occurrences(message(id="m1"), message(id="m2", occurred_at=later), body(id="u1"))
    made = event_candidates(found, DEFINITIONS)
    assert [(each.campaign.key, each.occasion, each.as_of.day) for each in made] == [
        ("thanks", "event u1", 1),
        ("answer", "event m1", 1),
        ("answer", "event m2", 2),
    ]
    assert len({each.trigger_id for each in made}) == 3


def test_an_event_counts_once() -> None:
    """In one batch, or when it was processed before; an update and a message may have the same id."""
    assert len(occurrences(message(), message(), body(), body())) == 2
    seen = replace(INSIDE, seen_messages={("ann", "e1")})
    assert [each.campaign.key for each in occurrences(message(), body(), state=seen)] == ["thanks"]
    seen = replace(INSIDE, seen_messages={("ann", "customer.updated e1")})
    assert [each.campaign.key for each in occurrences(message(), body(), state=seen)] == ["answer"]


@pytest.mark.parametrize(
    ("state", "entered", "count"),
    [(NOTHING, False, 0), (NOTHING, True, 1), (INSIDE, False, 1), (OUTSIDE, False, 0), (OUTSIDE, True, 1)],
)
def test_only_events_of_members_are_candidates(state: LedgerState, entered: bool, count: int) -> None:
    """As of the batch; others leave no decision, or every message of every customer would."""
    assert len(occurrences(message(), state=state, entered=entered)) == count


def test_a_member_by_a_suppressed_entry_is_one() -> None:
    """What fires is the event, and not the entry."""
    said = events(message())
    fresh = messages_by_customer(said, lambda texts: [MessageReading(0.0)] * len(texts))
    moved = [transition(suppressed=True)]
    (found,) = find_occurrences(said, fresh, (), DEFINITIONS, NOTHING, moved)
    assert found.campaign is ANSWER


def test_a_message_of_an_agent_is_none_by_the_customer() -> None:
    assert occurrences(message(role="agent")) == []


def test_updates_are_remembered_only_where_a_campaign_waits_for_them() -> None:
    updated = EventsByKind(updated=events(body(id="u1"), body(id="u1")))
    assert list(awaited_updates(updated, DEFINITIONS)) == [("ann", "customer.updated u1")]
    assert awaited_updates(updated, replace(DEFINITIONS, campaigns=[ENTERING, ANSWER])) == {}


def test_the_version_changes_with_the_audience() -> None:
    """Though only there: a campaign without an event keeps the version it had."""
    assert len({each.version for each in (ENTERING, campaign(key="welcome", launch="on_leave"), ANSWER, THANKS)}) == 4
