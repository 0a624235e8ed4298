"""Consent by channel: the warehouse's columns, revocations, and consent given again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.consent import EVERY_CHANNEL, ConsentTimes, choose_channel, find_revocation, has_consent
from tests.builders import campaign

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
    assert has_consent(campaign().channel("email"), facts, {"email": REVOKED}) is given
    assert has_consent(campaign().channel("email"), {**facts, "email_consent": False}, {"email": REVOKED}) is False
    assert has_consent(campaign().channel("email"), facts, {}) is True
