"""A decision made again from its record: what is the same, what differs, and why it cannot be made again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from campaigns.candidates import decide_all
from campaigns.consent import ConsentTimes
from campaigns.contact_limits import ContactLimit, PastContact
from campaigns.decide import ContactHistory, Outcome
from campaigns.feedback import FeedbackKind, Standing
from campaigns.guardrails import GUARDRAILS, Reason, refuse_expired
from campaigns.recomputation import Recomputed, recompute
from campaigns.triggers import decision_message
from console.explanation_views import describe_decision
from console.use_cases.explanations import DecisionExplanation
from features.table import FeatureTable
from tests.builders import AS_OF, campaign, candidate, facts, offers, scores
from tests.decision_records import record_of

if TYPE_CHECKING:
    from campaigns.decide import Decision
    from campaigns.definition import Campaign

VERSIONS = {"at-risk": "f00d"}


def decide(
    made: Campaign, history: ContactHistory | None = None, *, others: tuple[Campaign, ...] = (), **changes: Any
) -> Decision:
    """The decision of a campaign about ann, as the pipeline makes it."""
    rows = facts(**changes.pop("known", {}))
    table = FeatureTable.from_rows(("ann",), list(rows), [list(rows.values())])
    guardrails = changes.pop("guardrails", GUARDRAILS)

    def score(chosen: FeatureTable) -> tuple[Any, Any]:
        return np.tile(scores(3), (len(chosen), 1)), np.full(len(chosen), "model", dtype=object)

    candidates = [
        candidate(campaign=each, versions={"campaign": each.version, "segment": "f00d"}, **changes)
        for each in (made, *others)
    ]
    return decide_all(candidates, table, {"ann": history or ContactHistory()}, offers(), score, guardrails)[0]


def again(decision: Decision, now: Campaign | None = None) -> Recomputed:
    """Make the decision again from its record, under a campaign."""
    made = now or decision.candidate.campaign
    return recompute("ann", record_of(decision), {made.key: made}, offers(), VERSIONS)


LIMITED = campaign(limits=[ContactLimit(key="daily", contacts=1, days=1, channel="email")])
COOLING = campaign(cooldown_days=30)
DECISIONS = {
    "fired": decide(campaign(message="For you: {{ offer.name }}, {{ predicted_ltv }}")),
    "control": decide(campaign(holdout_percent=50)),
    "explored": decide(campaign(exploration_percent=50)),
    "no consent": decide(campaign(), ContactHistory({"*": ConsentTimes(None, AS_OF)})),
    "other channel": decide(campaign(), ContactHistory({"email": ConsentTimes(None, AS_OF)})),
    "cooldown": decide(COOLING, ContactHistory(last_contacts={"win-back": AS_OF, "other": AS_OF})),
    "limited channel": decide(LIMITED, ContactHistory(contacts=(PastContact("other", "email", AS_OF),))),
    "no contact": decide(
        campaign(), ContactHistory(feedback=(Standing("f", FeedbackKind.DO_NOT_CONTACT, AS_OF.replace(year=2100)),))
    ),
    "first evaluation": decide(campaign(), withheld=Reason.FIRST_EVALUATION),
    "expired": decide(campaign(), received_ms=1_400_000_000_000),
    "sent although expired": decide(
        campaign(), received_ms=1_400_000_000_000, guardrails=[each for each in GUARDRAILS if each != refuse_expired]
    ),
    "message failed": decide(campaign(message="{{ surname }}")),
    "outranked": decide(campaign(), others=(campaign(key="a-first"),)),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_made_again_from_its_record_is_the_same(name: str) -> None:
    assert again(DECISIONS[name]) == Recomputed()


def test_the_decisions_of_this_test_have_many_reasons() -> None:
    assert len({each.reason for each in DECISIONS.values()}) == 9


def test_a_record_holds_no_more_than_may_have_mattered() -> None:
    history = ContactHistory(
        {"push": ConsentTimes(None, AS_OF)}, {"win-back": AS_OF}, (PastContact("other", "email", AS_OF),)
    )
    inputs = decide(campaign(), history).inputs
    assert msgspec.to_builtins(inputs) == {"received_ms": 1_306_931_400_000, "scores": {1: 0.25, 3: 0.75}}
    assert msgspec.to_builtins(DECISIONS["no contact"].inputs).keys() == {"received_ms", "feedback"}


def test_what_is_published_of_a_decision_does_not_grow() -> None:
    decision = DECISIONS["fired"]
    assert decision_message(decision) == decision_message(msgspec.structs.replace(decision, inputs=None))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"outcome": "withheld"}, "outcome 'withheld', now 'fired'"),
        ({"channel": "sms"}, "channel 'sms', now 'email'"),
        ({"offer_id": 1}, "offer 1, now 3"),
        ({"message": "another"}, "message 'another', now 'For you: Offer 3, 1250.5'"),
        ({"facts": {**facts(), "email_consent": False}}, "channel 'email', now 'sms'"),
    ],
)
def test_a_record_that_was_altered_is_found(changes: dict[str, Any], difference: str) -> None:
    decision = DECISIONS["fired"]
    made = decision.candidate.campaign
    found = recompute("ann", replace(record_of(decision), **changes), {made.key: made}, offers(), VERSIONS)
    assert difference in found.differences


def test_a_winner_that_would_lose_is_found() -> None:
    record = record_of(DECISIONS["outranked"])
    assert record.inputs is not None
    assert record.inputs.winner is not None
    winner = msgspec.structs.replace(record.inputs.winner, net_value=0.1)
    altered = replace(record, inputs=msgspec.structs.replace(record.inputs, winner=winner))
    found = recompute("ann", altered, {"win-back": campaign()}, offers(), VERSIONS)
    assert "outcome 'withheld', now 'fired'" in found.differences


def test_definitions_that_have_changed_since_are_named() -> None:
    """The decision is made again under those of now."""
    edited = campaign(message="For you, again: {{ offer.name }}, {{ predicted_ltv }}")
    found = again(DECISIONS["fired"], edited)
    then = DECISIONS["fired"].candidate.campaign.version
    assert found.changed == (f"campaign win-back was version {then}, now {edited.version}",)
    assert found.differences == ("message 'For you: Offer 3, 1250.5', now 'For you, again: Offer 3, 1250.5'",)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (replace(record_of(DECISIONS["fired"]), inputs=None), "before the ledger recorded what decisions read"),
        (replace(record_of(DECISIONS["fired"]), campaign="gone"), "campaign gone is not defined now"),
    ],
)
def test_a_decision_that_cannot_be_made_again_says_why(record: Any, problem: str) -> None:
    assert problem in recompute("ann", record, {"win-back": campaign()}, offers(), VERSIONS).problem


def test_an_edited_campaign_whose_offers_were_not_scored_is_not_guessed() -> None:
    assert "were not scored" in again(DECISIONS["fired"], campaign(offers=(1, 3, 5))).problem


def test_a_recomputation_in_words() -> None:
    explained = DecisionExplanation(record_of(DECISIONS["fired"]), None, recomputed=Recomputed())
    assert describe_decision(explained).endswith("\n    recomputed: the same")
    changed = Recomputed(differences=("offer 1, now 3",), changed=("campaign a was version b, now c",))
    assert describe_decision(replace(explained, recomputed=changed)).endswith(
        "recomputed under other definitions (campaign a was version b, now c): differs in offer 1, now 3"
    )
    assert describe_decision(replace(explained, recomputed=Recomputed("why"))).endswith("cannot be recomputed: why")
    assert DECISIONS["fired"].outcome is Outcome.FIRED


def test_a_decision_of_a_newer_version_is_not_made_again() -> None:
    made = campaign()
    record = replace(record_of(decide(made)), reason="moon_was_full")
    problem = recompute("ann", record, {made.key: made}, offers(), VERSIONS).problem
    assert problem == "a newer version of Holdfast made it, whose reason moon_was_full this one does not know"
