from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from campaigns.candidates import Definitions
from campaigns.decide import Outcome, derive_trigger_id
from campaigns.ports import LedgerState
from campaigns.triggers import outgoing
from features.signals import MessageReading
from segments.engine import Episode, MembershipState
from streams.campaign_launches import launch_decisions, launch_requests, reject_unknown_campaigns
from streams.customers import messages_by_customer, unseen
from streams.formats.events import RejectReason
from tests.builders import campaign, control, decision, offers, transition
from tests.records import arrive, body, decode, events, message

VIP = campaign(key="vip", launch="by_operator")
DEFINITIONS = Definitions([VIP, campaign()], offers(), {}, {"at-risk": "1"})
NOTHING = LedgerState({}, {}, {}, ())
MEMBER = replace(NOTHING, memberships={"ann": MembershipState({"at-risk": Episode(2, is_member=True)})})
LEFT = replace(NOTHING, memberships={"ann": MembershipState({"at-risk": Episode(2, is_member=False)})})


def launch_event(**changes: str) -> dict[str, object]:
    return body(**{"type": "evaluation.requested", "campaign": "vip", "launch": "spring", **changes})


def test_a_decision_is_published_with_its_trigger() -> None:
    """A withheld one without; a control one on its own topic."""
    fired, held_out = decision(), control()
    withheld = structs.replace(fired, outcome=Outcome.WITHHELD)
    destinations = [[each.destination for each in outgoing([one])] for one in (fired, held_out, withheld)]
    assert destinations == [["campaign_triggers", "decisions"], ["control", "decisions"], ["decisions"]]
    assert outgoing([]) == []


def test_messages_that_were_folded_are_left_out() -> None:
    """A customer of whom nothing is left, too; the same id of another customer is another message."""
    said = events(message(id="1"), message(id="2"), *(message(id="1", customer_id=other) for other in ("bob", "cy")))
    state = replace(NOTHING, seen_messages={("ann", "1"), ("cy", "1")})
    fresh = unseen(messages_by_customer(said, lambda texts: [MessageReading(0.0)] * len(texts)), state.seen_messages)
    assert {customer: [each.id for each in some] for customer, some in fresh.items()} == {"ann": ["2"], "bob": ["1"]}


@pytest.mark.parametrize("key", ["x", "win-back"])
def test_a_launch_of_a_campaign_that_operators_do_not_launch_is_refused(key: str) -> None:
    """Unknown or on entering; events without a campaign, and of campaigns for operators, stay in order."""
    records = [arrive(each) for each in (launch_event(campaign=key), body(id="u"), launch_event(id="l"))]
    decoded = reject_unknown_campaigns(decode(*records), DEFINITIONS)
    assert [event.wire.id for event in decoded.events] == ["u", "l"]
    (reject,) = decoded.rejects
    assert (reject.record, reject.reason) == (records[0], RejectReason.INVALID_EVENT)
    assert reject.detail == f"campaign {key!r} is not one that operators launch; those are: vip"


@pytest.mark.parametrize(
    ("state", "transitions", "is_member"),
    [
        (NOTHING, [], False),
        (MEMBER, [], True),
        (LEFT, [], False),
        (NOTHING, [transition()], True),
        (LEFT, [transition(episode=3)], True),
        (MEMBER, [transition(entered=False)], False),
        (MEMBER, [transition("bob", entered=False)], True),
    ],
)
def test_a_launch_knows_who_is_a_member_by_now(state: LedgerState, transitions: list[object], is_member: bool) -> None:
    """What the same batch changed counts."""
    (request,) = launch_requests(events(launch_event()), DEFINITIONS, state, transitions)  # type: ignore[arg-type]
    assert (request.customer_id, request.campaign, request.occasion) == ("ann", VIP, "launch spring")
    assert request.is_due is is_member


def test_a_request_without_a_campaign_is_no_launch() -> None:
    """It has the customer evaluated, and that is all."""
    assert launch_requests(events(body(type="evaluation.requested")), DEFINITIONS, MEMBER, []) == []


def test_a_launch_without_an_id_is_known_by_its_event() -> None:
    """So that a redelivery is the same launch."""
    (request,) = launch_requests(events(launch_event(launch="", id="e9")), DEFINITIONS, MEMBER, [])
    assert request.occasion == "launch e9"


@pytest.mark.parametrize(
    ("launch", "occasion", "state", "is_due"),
    [
        ("on_enter", "2", MEMBER, True),
        ("on_enter", "2", LEFT, False),
        ("on_leave", "left 2", LEFT, True),
        ("on_leave", "left 2", MEMBER, False),
    ],
)
def test_what_a_replay_found_missing_is_requested_under_its_own_occasion(
    launch: str, occasion: str, state: LedgerState, *, is_due: bool
) -> None:
    """Of a campaign of any kind; who has come back has missed nothing by not being contacted for leaving."""
    missed = campaign(key="missed", launch=launch)
    definitions = Definitions([missed], offers(), {}, {"at-risk": "1"})
    decoded = reject_unknown_campaigns(
        decode(arrive(launch_event(campaign="missed", launch="", occasion=occasion))), definitions
    )
    (request,) = launch_requests(decoded.events.requested, definitions, state, [])
    assert (request.occasion, request.is_due) == (occasion, is_due)
    assert launch_decisions(decoded.events.requested, definitions) == [
        ("ann", derive_trigger_id("ann", missed, occasion))
    ]
