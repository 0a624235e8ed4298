"""Outcomes of a batch: what each changes, and which become dead letters."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from campaigns.contact_state import Contact, ContactState
from campaigns.ports import LedgerState
from streams import outcomes
from streams.formats.events import RejectReason
from streams.outcomes import fold_consent, outcome_keys, trigger_keys
from tests.builders import AS_OF
from tests.records import TRIGGER_ID, events, outcome

NOTHING = LedgerState({}, {}, {}, ())
KEY = ("ann", TRIGGER_ID)
fold_outcomes = partial(outcomes.fold_outcomes, channels={"email", "sms", "push"})
KNOWN = replace(NOTHING, contacts={KEY: Contact("email", ContactState())})


def opt_out(**changes: Any) -> dict[str, Any]:
    return outcome("unsubscribed", **changes)


def test_outcomes_of_a_contact_give_its_new_state() -> None:
    folded = fold_outcomes(events(outcome(id="1"), outcome("converted", id="2", value=25)), KNOWN)
    state = folded.contact_states[KEY]
    assert (state.status, state.value, state.conversions) == ("converted", Decimal(25), 1)
    assert (folded.rejects, folded.consent_changes) == ([], [])


def test_an_outcome_is_folded_once_in_a_batch_and_across_batches() -> None:
    reported = events(*[outcome("converted", id="1", value=25)] * 2)
    folded = fold_outcomes(reported, KNOWN)
    assert folded.contact_states[KEY].conversions == 1
    again = fold_outcomes(reported, replace(KNOWN, seen_messages=set(folded.outcome_ids)))
    assert (again.contact_states, again.outcome_ids, again.rejects) == ({}, [], [])


def test_a_message_with_the_id_of_an_outcome_is_not_that_outcome() -> None:
    state = replace(KNOWN, seen_messages={("ann", "1"), ("bob", outcome_keys(events(outcome(id="1")))[0][1])})
    assert fold_outcomes(events(outcome(id="1")), state).contact_states


@pytest.mark.parametrize("written", [TRIGGER_ID, TRIGGER_ID.upper()])
def test_a_trigger_id_is_found_however_it_is_written(written: str) -> None:
    reported = events(outcome(trigger_id=written))
    assert trigger_keys(reported) == [KEY]
    assert KEY in fold_outcomes(reported, KNOWN).contact_states


@pytest.mark.parametrize("content", [outcome(), outcome("converted", value=1.0), outcome(customer_id="bob")])
def test_an_outcome_without_a_contact_becomes_a_dead_letter(content: dict[str, Any]) -> None:
    """Of an unknown trigger, or of another customer's."""
    state = KNOWN if content["customer_id"] == "bob" else NOTHING
    reported = events(content)
    folded = fold_outcomes(reported, state)
    (reject,) = folded.rejects
    assert (reject.record, reject.stage, reject.reason) == (reported[0].record, "fold", RejectReason.UNKNOWN_TRIGGER)
    assert TRIGGER_ID in reject.detail
    assert folded.contact_states == {}


@pytest.mark.parametrize("content", [outcome(), outcome("resubscribed", channel="letter")])
def test_a_rejected_outcome_stays_rejected_when_its_record_is_delivered_again(content: dict[str, Any]) -> None:
    """Though its contact, or its channel, is there by then."""
    reported = events(content)
    first = fold_outcomes(reported, NOTHING)
    later = replace(KNOWN, seen_messages=set(first.outcome_ids))
    again = fold_outcomes(reported, later, channels={"email", "letter"})
    assert [each.reason for each in again.rejects] == [each.reason for each in first.rejects]
    assert (len(again.rejects), again.contact_states, again.consent_changes, again.outcome_ids) == (1, {}, [], [])


def test_a_rejected_outcome_that_is_requeued_is_folded() -> None:
    """It has another offset, and its contact is there by then."""
    first = fold_outcomes(events(outcome()), NOTHING)
    requeued = events(outcome(id="before"), outcome())[1:]
    folded = fold_outcomes(requeued, replace(KNOWN, seen_messages=set(first.outcome_ids)))
    assert folded.contact_states[KEY].status == "delivered"


@pytest.mark.parametrize(
    ("content", "state", "channel", "trigger_id"),
    [
        (opt_out(), KNOWN, "email", TRIGGER_ID),
        (outcome("complained"), KNOWN, "email", TRIGGER_ID),
        (opt_out(channel="sms"), KNOWN, "sms", TRIGGER_ID),
        (opt_out(), NOTHING, "*", None),
        (opt_out(channel="sms"), NOTHING, "sms", None),
        (opt_out(channel="SMS "), NOTHING, "sms", None),
        (opt_out(channel="e-mail"), NOTHING, "*", None),
        (opt_out(customer_id="bob"), KNOWN, "*", None),
        (opt_out(trigger_id=None), NOTHING, "*", None),
        (opt_out(trigger_id="message 17"), NOTHING, "*", None),
    ],
)
def test_an_opt_out_revokes_consent_whatever_its_trigger_is(
    content: dict[str, Any], state: LedgerState, channel: str, trigger_id: str | None
) -> None:
    """For the channel it names, or that of its contact, or every channel."""
    folded = fold_outcomes(events(content), state)
    (change,) = folded.consent_changes
    assert (change.channel, change.granted, change.trigger_id) == (channel, False, trigger_id)
    assert (change.customer_id, change.event_id, change.changed_at) == (
        content["customer_id"],
        "e1",
        AS_OF,
    )
    assert folded.rejects == []


@pytest.mark.parametrize(("named", "channel"), [("email", "email"), (None, "*")])
def test_consent_is_given_again_by_an_event(named: str | None, channel: str) -> None:
    (change,) = fold_outcomes(events(outcome("resubscribed", channel=named, trigger_id=None)), NOTHING).consent_changes
    assert (change.channel, change.granted, change.source) == (channel, True, "resubscribed")


def test_consent_for_a_channel_that_does_not_exist_is_not_given() -> None:
    folded = fold_outcomes(events(outcome("resubscribed", channel="e-mail")), NOTHING)
    (reject,) = folded.rejects
    assert (reject.reason, folded.consent_changes) == (RejectReason.INVALID_EVENT, [])
    assert "'e-mail'" in reject.detail


def test_changes_of_consent_are_added_to_those_of_the_ledger() -> None:
    changes = fold_outcomes(events(opt_out(id="1"), opt_out(id="2", customer_id="bob")), KNOWN).consent_changes
    histories = fold_consent({}, changes)
    assert {each: list(history.consent) for each, history in histories.items()} == {"ann": ["email"], "bob": ["*"]}
