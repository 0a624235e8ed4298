"""Each guardrail: when it refuses, with which reason, and until when."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from campaigns.contact_limits import PastContact
from campaigns.decide import ContactHistory
from campaigns.guardrails import (
    GUARDRAILS,
    Reason,
    refuse_expired,
    refuse_in_cooldown,
    refuse_known_before,
    refuse_without_consent,
)
from tests.builders import AS_OF, campaign, candidate, facts

NEW = ContactHistory()
COOLING = campaign(cooldown_days=30)


def arrived(**after: float) -> int:
    """A record's timestamp in ms, so long after the event."""
    return round((AS_OF + timedelta(**after)).timestamp() * 1000)


def test_a_candidate_of_whom_nothing_is_against_it_is_refused_by_no_guardrail() -> None:
    assert [guardrail(candidate(), NEW, facts()) for guardrail in GUARDRAILS] == [None] * len(GUARDRAILS)


@pytest.mark.parametrize("reason", [Reason.FIRST_EVALUATION, Reason.NOT_A_MEMBER])
def test_what_the_segment_or_the_launch_rules_out_is_refused(reason: Reason) -> None:
    refusal = refuse_known_before(candidate(withheld=reason), NEW, facts())
    assert refusal
    assert (refusal.reason, refusal.until) == (reason, None)


@pytest.mark.parametrize(("hours", "refused"), [(-1, False), (0, False), (14 * 24 - 0.01, False), (14 * 24, True)])
def test_a_trigger_that_had_expired_when_its_event_arrived_is_refused(hours: float, refused: bool) -> None:
    refusal = refuse_expired(candidate(received_ms=arrived(hours=hours)), NEW, facts())
    assert bool(refusal) is refused


def test_an_expired_trigger_says_when_it_expired_and_when_its_event_arrived() -> None:
    refusal = refuse_expired(candidate(received_ms=arrived(days=20)), NEW, facts())
    assert refusal
    assert refusal.reason is Reason.EXPIRED
    assert refusal.detail == "expired at 2011-06-15 12:30, before its event arrived at 2011-06-21 12:30"


def test_a_record_without_a_timestamp_expires_nothing() -> None:
    assert refuse_expired(candidate(received_ms=-1), NEW, facts()) is None


def test_a_customer_without_consent_is_refused() -> None:
    refusal = refuse_without_consent(candidate(), NEW, facts(email_consent=False, sms_consent=None))
    assert refusal
    assert (refusal.reason, refusal.detail) == (Reason.NO_CONSENTED_CHANNEL, "no consent for any of: email, sms")


def test_a_campaign_in_its_cooldown_is_refused_until_the_cooldown_ends() -> None:
    history = NEW.with_contact(PastContact("win-back", "email", AS_OF - timedelta(days=29)))
    refusal = refuse_in_cooldown(candidate(campaign=COOLING), history, facts())
    assert refusal
    assert (refusal.reason, refusal.until) == (Reason.COOLDOWN, AS_OF + timedelta(days=1))


def test_a_campaign_without_a_cooldown_is_not_refused_by_a_later_contact() -> None:
    """Events may come late."""
    history = NEW.with_contact(PastContact("win-back", "email", AS_OF + timedelta(days=1)))
    assert refuse_in_cooldown(candidate(), history, facts()) is None


def test_a_campaign_that_never_contacted_the_customer_has_no_cooldown() -> None:
    assert refuse_in_cooldown(candidate(campaign=COOLING), NEW, facts()) is None


def test_the_latest_contact_counts_whichever_is_added_last() -> None:
    """Events may come late: an older contact after a newer one."""
    newer, older = AS_OF - timedelta(days=1), AS_OF - timedelta(days=90)
    contacts = [PastContact("a", "email", each) for each in (newer, older)]
    histories = [NEW.with_contact(first).with_contact(second) for first, second in permutations(contacts)]
    assert [each.last_contact("a") for each in histories] == [newer, newer]
