"""Consent by channel: the warehouse's columns, revocations, and consent given again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.channels import Channel, ConsentValues, shipped_channels
from campaigns.consent import EVERY_CHANNEL, ConsentTimes, choose_channel, find_revocation, has_consent
from campaigns.decide import ContactHistory
from campaigns.definition import Campaign
from campaigns.guardrails import Reason, refuse_without_consent
from tests.builders import campaign, candidate

if TYPE_CHECKING:
    from campaigns.consent import Consent

BOTH = {"email_consent": True, "sms_consent": True}
REVOKED_AT = datetime(2011, 6, 1, 12, tzinfo=UTC)
BEFORE, AFTER = REVOKED_AT - timedelta(hours=1), REVOKED_AT + timedelta(hours=1)
REVOKED = ConsentTimes(None, REVOKED_AT)


@pytest.mark.parametrize(
    ("facts", "revoked", "channel"),
    [
        (BOTH, (), "email"),
        ({**BOTH, "preferred_channel": "sms"}, (), "sms"),
        ({**BOTH, "preferred_channel": "push"}, (), "email"),
        ({**BOTH, "preferred_channel": None}, (), "email"),
        ({**BOTH, "preferred_channel": "sms"}, ("sms",), "email"),
        (BOTH, ("email",), "sms"),
        (BOTH, ("email", "sms"), None),
        (BOTH, (EVERY_CHANNEL,), None),
        ({"email_consent": False, "sms_consent": True}, (), "sms"),
        ({"email_consent": None, "sms_consent": None}, (), None),
        ({"push_consent": True}, (), None),
        ({}, (), None),
        ({"email_consent": "yes", "sms_consent": 1}, (), None),
    ],
)
def test_the_channel_is_the_preferred_or_first_one_with_consent(
    facts: dict[str, Any], revoked: tuple[str, ...], channel: str | None
) -> None:
    """Consent is the truth value true, and nothing that resembles it."""
    consent = dict.fromkeys(revoked, REVOKED)
    assert choose_channel(campaign(channels=("email", "sms")), facts, consent) == channel


VALUES = ConsentValues(given=("Y", 1, "opt-in"), denied=("N", 0, ""))


@pytest.mark.parametrize(
    ("value", "given"),
    [
        *[(value, True) for value in ("Y", " Y ", 1, 1.0, True, "opt-in")],
        *[(value, False) for value in ("N", "", "  ", 0.0, False, None)],
        *[(value, None) for value in ("y", "yes", "true", 2, -1.0, ["Y"])],
    ],
)
def test_a_channel_may_say_what_the_values_of_its_column_mean(value: Any, given: bool | None) -> None:
    """A value that is not listed is neither consent nor its absence."""
    listed = Channel(key="email", message_format="html", consent_values=VALUES)
    assert listed.read_consent(value) is given
    assert has_consent(listed, {"email_consent": value}, {}) is (given is True)


@pytest.mark.parametrize(("value", "given"), [(True, True), (False, False), (None, False), (1, None), ("true", None)])
def test_without_a_list_only_truth_values_are_read(value: Any, given: bool | None) -> None:
    assert shipped_channels()["email"].read_consent(value) is given


def test_a_customer_whose_consent_cannot_be_read_is_not_contacted() -> None:
    """The reason is its own, and names the column and the value."""
    facts = {"email_consent": "maybe", "sms_consent": False}
    refusal = refuse_without_consent(candidate(), ContactHistory(), facts)
    assert refusal is not None
    assert refusal.reason is Reason.UNREADABLE_CONSENT
    assert "email_consent is 'maybe'; list the value in the channel's consent_values" in refusal.detail


def test_a_campaign_reads_the_consent_column_of_its_purpose() -> None:
    purposes = {"service": "may_serve"}
    channels = {"email": Channel(key="email", message_format="html", purposes=purposes)}
    content = campaign(channels=("email",)).model_dump() | {"purpose": "service"}
    of_purpose = Campaign.model_validate(content, context={"channels": channels})
    facts = {"email_consent": False, "may_serve": True}
    assert choose_channel(of_purpose, facts, {}) == "email"
    assert "may_serve" in of_purpose.consent_facts
    with pytest.raises(ValueError, match=r"channel 'email' has no purpose 'adverts'; it has: service"):
        Campaign.model_validate({**content, "purpose": "adverts"}, context={"channels": channels})


@pytest.mark.parametrize(
    ("consent", "revoked"),
    [
        ({}, False),
        ({"email": REVOKED}, True),
        ({"sms": REVOKED}, False),
        ({EVERY_CHANNEL: REVOKED}, True),
        ({"email": ConsentTimes(AFTER, REVOKED_AT)}, False),
        ({"email": ConsentTimes(BEFORE, REVOKED_AT)}, True),
        ({"email": ConsentTimes(REVOKED_AT, REVOKED_AT)}, True),
        ({"email": ConsentTimes(AFTER, None)}, False),
        ({"email": REVOKED, EVERY_CHANNEL: ConsentTimes(AFTER, None)}, False),
        ({"email": REVOKED, EVERY_CHANNEL: ConsentTimes(BEFORE, None)}, True),
        ({EVERY_CHANNEL: REVOKED, "email": ConsentTimes(AFTER, None)}, False),
        ({EVERY_CHANNEL: REVOKED, "sms": ConsentTimes(AFTER, None)}, True),
    ],
)
def test_the_latest_change_counts_and_of_equal_times_the_revocation(consent: Consent, revoked: bool) -> None:
    """A change of every channel counts for each."""
    assert find_revocation(consent, "email") == (REVOKED_AT if revoked else None)


@pytest.mark.parametrize(
    ("consent_at", "given"),
    [
        ("2011-06-01T12:00:01+00:00", True),
        ("2011-06-01T12:00:00+00:00", False),
        ("2011-06-01T11:59:59+00:00", False),
        ("2011-06-01T14:00:00+02:00", False),
        ("2011-06-01T12:00:01", True),
        ("2011-06-01T11:59:59", False),
        ("2011-06-02", True),
        ("2011-06-01", False),
        ("yesterday", False),
        (None, False),
        (1_306_929_600.0, False),
    ],
)
def test_the_warehouse_gives_consent_again_with_a_time_after_the_revocation(consent_at: object, given: bool) -> None:
    """A time without a zone is UTC; what cannot be read as a time gives no consent."""
    facts = {**BOTH, "email_consent_at": consent_at}
    assert has_consent(campaign().channels_by_key["email"], facts, {"email": REVOKED}) is given
    assert (
        has_consent(campaign().channels_by_key["email"], {**facts, "email_consent": False}, {"email": REVOKED}) is False
    )
    assert has_consent(campaign().channels_by_key["email"], facts, {}) is True
