"""The decision about one candidate: each reason, and what comes before what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns.channels import Channel
from campaigns.consent import ConsentTimes
from campaigns.contact_limits import ContactLimit, PastContact
from campaigns.decide import ContactHistory, Outcome
from campaigns.definition import Campaign
from campaigns.feedback import FeedbackKind, Standing
from campaigns.guardrails import Reason
from tests.builders import AS_OF, campaign, candidate, decide, decision, facts, offers, scores

YESTERDAY = ContactHistory(last_contacts={"win-back": AS_OF - timedelta(days=1)})
COOLING = campaign(cooldown_days=30)
LATE_MS = round((AS_OF + timedelta(days=14)).timestamp() * 1000)
HELD = campaign(holdout_percent=50)
NOBODY = {"email_consent": False, "sms_consent": False}
SPEECHLESS = campaign(message="Dear {{ surname }}")
LETTER = Channel(key="letter", message_format="text", consent_column="email_consent", cost=0.8)
COSTLY = Campaign.model_validate(
    {**campaign().model_dump(), "channels": ("letter",)}, context={"channels": {"letter": LETTER}}
)

BLOCKED = ContactHistory(feedback=(Standing("f1", FeedbackKind.DO_NOT_CONTACT, AS_OF + timedelta(days=1)),))

CASES: dict[Reason, tuple[Outcome, dict[str, Any], dict[str, Any], ContactHistory, str]] = {
    Reason.ENTERED_SEGMENT: (Outcome.FIRED, {}, {}, ContactHistory(), "entered_segment: at-risk"),
    Reason.LAUNCHED: (
        Outcome.FIRED,
        {"campaign": campaign(launch="by_operator"), "occasion": "launch x"},
        {},
        ContactHistory(),
        "launched: at-risk",
    ),
    Reason.LEFT_SEGMENT: (
        Outcome.FIRED,
        {"campaign": campaign(launch="on_leave"), "occasion": "left 1"},
        {},
        ContactHistory(),
        "left_segment: at-risk",
    ),
    Reason.EVENT_OCCURRED: (
        Outcome.FIRED,
        {"campaign": campaign(launch="on_event", event="conversation.message"), "occasion": "event m1"},
        {},
        ContactHistory(),
        "event_occurred: conversation.message of a member of at-risk",
    ),
    Reason.HOLDOUT: (Outcome.CONTROL, {"campaign": HELD}, {}, ContactHistory(), "in the 50 % control group"),
    Reason.FIRST_EVALUATION: (
        Outcome.WITHHELD,
        {"withheld": Reason.FIRST_EVALUATION},
        {},
        ContactHistory(),
        "nothing fires",
    ),
    Reason.NOT_A_MEMBER: (
        Outcome.WITHHELD,
        {"withheld": Reason.NOT_A_MEMBER},
        {},
        ContactHistory(),
        "no longer a member",
    ),
    Reason.EXPIRED: (Outcome.WITHHELD, {"received_ms": LATE_MS}, {}, ContactHistory(), "expired at 2011-06-15"),
    Reason.DO_NOT_CONTACT: (Outcome.WITHHELD, {}, {}, BLOCKED, "staff asked for no contact until 2011-06-02"),
    Reason.NO_CONSENTED_CHANNEL: (Outcome.WITHHELD, {}, NOBODY, ContactHistory(), "no consent for any of: email, sms"),
    Reason.UNREADABLE_CONSENT: (
        Outcome.WITHHELD,
        {},
        {**NOBODY, "sms_consent": "maybe"},
        ContactHistory(),
        "sms_consent is 'maybe'",
    ),
    Reason.COOLDOWN: (Outcome.WITHHELD, {"campaign": COOLING}, {}, YESTERDAY, "again from 2011-06-30"),
    Reason.CONTACT_LIMIT: (
        Outcome.WITHHELD,
        {"campaign": campaign(limits=[ContactLimit(key="daily", contacts=1, days=1)])},
        {},
        ContactHistory(contacts=(PastContact("other", "email", AS_OF),)),
        "limit daily: 1 contact(s) in 1 day(s)",
    ),
    Reason.MESSAGE_FAILED: (Outcome.WITHHELD, {"campaign": SPEECHLESS}, {}, ContactHistory(), "'surname' is undefined"),
    Reason.NEGATIVE_VALUE: (
        Outcome.WITHHELD,
        {"campaign": COSTLY},
        {},
        ContactHistory(),
        "cost 0.8 of a contact by letter",
    ),
}


# None depends on one candidate alone, or on what this one is decided by: test_arbitration.py, test_breaker.py,
# test_offer_conditions.py and test_uplift_decisions.py have them.
OF_BATCHES = {Reason.OUTRANKED, Reason.NO_ELIGIBLE_OFFER, Reason.STOPPED, Reason.NEGATIVE_UPLIFT}


@pytest.mark.parametrize("reason", [each for each in Reason if each not in OF_BATCHES])
def test_every_reason_is_given_with_its_outcome_and_in_words(reason: Reason) -> None:
    outcome, changes, known, history, words = CASES[reason]
    decided = decide(candidate(**changes), facts(**known), history, offers(), scores(3))
    assert (decided.outcome, decided.reason) == (outcome, reason)
    assert words in decided.detail


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (Reason.FIRST_EVALUATION, Reason.EXPIRED),
        (Reason.EXPIRED, Reason.NO_CONSENTED_CHANNEL),
        (Reason.NO_CONSENTED_CHANNEL, Reason.COOLDOWN),
        (Reason.COOLDOWN, Reason.MESSAGE_FAILED),
    ],
)
def test_a_candidate_with_two_reasons_is_withheld_for_the_earlier(earlier: Reason, later: Reason) -> None:
    """The campaign cools and cannot be written; the rest is as in both cases."""
    both = {"campaign": campaign(cooldown_days=30, message="Dear {{ surname }}")}
    known: dict[str, Any] = {}
    history = ContactHistory()
    for reason in (later, earlier):
        _, changes, more, contacted, _ = CASES[reason]
        both = {**changes, **both}
        known |= more
        history = contacted if contacted.last_contacts else history
    assert decide(candidate(**both), facts(**known), history, offers(), scores(3)).reason is earlier


@pytest.mark.parametrize(
    "reason", [Reason.EXPIRED, Reason.COOLDOWN, Reason.NO_CONSENTED_CHANNEL, Reason.MESSAGE_FAILED]
)
def test_whoever_could_not_be_contacted_is_not_in_the_control_group(reason: Reason) -> None:
    """The control group must differ from the treated one by the contact alone."""
    _, changes, known, history, _ = CASES[reason]
    held = changes.get("campaign", campaign()).model_copy(update={"holdout_percent": 50.0})
    decided = decide(candidate(**{**changes, "campaign": held}), facts(**known), history, offers(), scores(3))
    assert (decided.outcome, decided.reason) == (Outcome.WITHHELD, reason)


def test_a_control_decision_carries_what_would_have_been_sent() -> None:
    fired, held = decision(), decision(campaign=HELD)
    assert (held.channel, held.offer, held.message) == (fired.channel, fired.offer, fired.message)
    assert held.message == "For you: Offer 3"


@pytest.mark.parametrize(("days", "outcome"), [(29.99, Outcome.WITHHELD), (30, Outcome.FIRED), (31, Outcome.FIRED)])
def test_a_cooldown_ends_on_its_very_moment(days: float, outcome: Outcome) -> None:
    last = ContactHistory(last_contacts={"win-back": AS_OF - timedelta(days=days)})
    assert decision(last, campaign=COOLING).outcome is outcome


def test_contacts_by_other_campaigns_do_not_count() -> None:
    assert decision(ContactHistory(last_contacts={"other": AS_OF}), campaign=COOLING).outcome is Outcome.FIRED


def test_revoked_consent_counts_more_than_the_warehouse() -> None:
    revoked = ConsentTimes(None, AS_OF)
    assert decision(ContactHistory({"email": revoked})).channel == "sms"
    assert decision(ContactHistory({"email": revoked, "sms": revoked})).reason is Reason.NO_CONSENTED_CHANNEL


def test_without_guardrails_a_customer_without_consent_is_still_not_contacted() -> None:
    with pytest.raises(ValueError, match="without consent"):
        decide(candidate(), facts(**NOBODY), ContactHistory(), offers(), scores(3), guardrails=())


def test_a_withheld_decision_keeps_the_facts_it_rests_on() -> None:
    decided = decision(withheld=Reason.NOT_A_MEMBER)
    assert decided.facts == facts()
    assert (decided.channel, decided.offer, decided.message) == (None, None, None)
