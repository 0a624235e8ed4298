"""Consent, cooldown and holdout."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns.guardrails import choose_channel, cooling_until, is_in_holdout
from tests.builders import AS_OF, campaign

BOTH = {"email_consent": True, "sms_consent": True}


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
    assert choose_channel(campaign(channels=("email", "sms")), facts, revoked) == channel


def test_a_campaign_cools_for_its_days_after_the_last_contact() -> None:
    assert cooling_until(campaign(cooldown_days=30), AS_OF) == AS_OF + timedelta(days=30)


def test_a_campaign_that_never_contacted_the_customer_does_not_cool() -> None:
    assert cooling_until(campaign(cooldown_days=30), None) is None


@pytest.mark.parametrize(("percent", "share"), [(0, 0), (10, 1000), (50, 5000)])
def test_the_holdout_is_about_its_share_of_customers(percent: float, share: int) -> None:
    """Of 10,000, within four standard deviations of a fair draw."""
    held = campaign(holdout_percent=percent)
    assert sum(is_in_holdout(held, f"customer-{number}") for number in range(10_000)) == pytest.approx(share, abs=200)


def test_a_larger_holdout_keeps_whoever_was_in_the_smaller() -> None:
    small, large = campaign(holdout_percent=10), campaign(holdout_percent=20)
    names = [f"customer-{number}" for number in range(1000)]
    assert {n for n in names if is_in_holdout(small, n)} < {n for n in names if is_in_holdout(large, n)}


def test_two_campaigns_hold_out_different_customers() -> None:
    """Otherwise the same people would be left alone by all."""
    one, other = campaign(holdout_percent=50), campaign(key="other", holdout_percent=50)
    names = [f"customer-{number}" for number in range(1000)]
    agree = sum(is_in_holdout(one, name) == is_in_holdout(other, name) for name in names)
    assert 400 < agree < 600
