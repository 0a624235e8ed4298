"""Notifications of staff about a customer: no consent, no competition, no contact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.candidates import decide_all
from campaigns.channels import Channel, shipped_channels
from campaigns.consent import count_consent, find_consent_problems
from campaigns.contact_limits import load_limits
from campaigns.decide import Outcome
from campaigns.definition import Campaign
from campaigns.errors import CampaignDefinitionError
from campaigns.guardrails import Reason
from features.table import FeatureTable
from tests.builders import campaign, candidate, facts, offers
from tests.unit.test_candidates import Scorer

if TYPE_CHECKING:
    from pathlib import Path

    from campaigns.contact_limits import ContactLimit

SALES = Channel.model_validate({"key": "sales", "message_format": "text", "recipient": "staff"})
CALLS = Channel.model_validate(
    {"key": "calls", "message_format": "text", "recipient": "staff", "consent_column": "may_be_called"}
)
CHANNELS = {**shipped_channels(), "sales": SALES, "calls": CALLS}


def staff_campaign(*channels: str, limits: tuple[ContactLimit, ...] = (), **changes: Any) -> Campaign:
    """A campaign that notifies staff."""
    words = {**campaign(key="alert").model_dump(), "channels": channels, **changes}
    return Campaign.model_validate(words, context={"channels": CHANNELS, "limits": limits})


def table(**changes: Any) -> FeatureTable:
    row = facts(**changes)
    return FeatureTable.from_rows(("ann",), list(row), [list(row.values())])


def weekly(folder: Path) -> tuple[ContactLimit, ...]:
    (folder / "limits.json").write_text(json.dumps([{"key": "weekly", "contacts": 1, "days": 7}]))
    return load_limits(folder, CHANNELS)


def test_staff_are_notified_and_the_customer_is_contacted_at_one_event() -> None:
    chosen = [candidate(campaign=staff_campaign("sales")), candidate()]
    decisions = decide_all(chosen, table(), {}, offers(), Scorer())
    assert [(each.outcome, each.channel) for each in decisions] == [(Outcome.FIRED, "sales"), (Outcome.FIRED, "email")]


def test_a_notification_needs_no_consent_unless_its_channel_names_a_column() -> None:
    silent = table(email_consent=False, sms_consent=False)
    notified, called = (candidate(campaign=staff_campaign(each), occasion=each) for each in ("sales", "calls"))
    decisions = decide_all([notified, called], silent, {}, offers(), Scorer())
    assert [each.reason for each in decisions] == [Reason.ENTERED_SEGMENT, Reason.NO_CONSENTED_CHANNEL]
    assert staff_campaign("sales").consent_facts == frozenset()
    assert find_consent_problems(staff_campaign("sales"), {}) == {}
    assert [each.column for each in count_consent([SALES, CALLS], table(sales_consent=1.0, may_be_called=True))] == [
        "may_be_called"
    ]


def test_a_notification_counts_for_no_limit_and_is_kept_back_by_none(tmp_path: Path) -> None:
    limits = weekly(tmp_path)
    chosen = [
        candidate(campaign=staff_campaign("sales", limits=limits), event_id="1"),
        candidate(campaign=campaign(limits=limits), event_id="2"),
        candidate(campaign=staff_campaign("sales", limits=limits), occasion="2", event_id="3"),
        candidate(campaign=campaign(limits=limits), occasion="2", event_id="4"),
    ]
    decisions = decide_all(chosen, table(), {}, offers(), Scorer())
    assert [each.outcome for each in decisions] == [Outcome.FIRED] * 3 + [Outcome.WITHHELD]
    assert decisions[3].reason is Reason.CONTACT_LIMIT


def test_one_campaign_cannot_reach_customers_and_staff() -> None:
    with pytest.raises(ValueError, match="email is for customer, sales is for staff; write two campaigns"):
        staff_campaign("email", "sales")


def test_a_limit_on_a_channel_for_staff_is_refused(tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_text(json.dumps([{"key": "a", "contacts": 1, "days": 7, "channel": "sales"}]))
    with pytest.raises(CampaignDefinitionError, match="'sales' is for staff; a limit counts contacts of the customer"):
        load_limits(tmp_path, CHANNELS)


@pytest.mark.parametrize("channel", [SALES, CALLS])
def test_a_channel_for_staff_is_described_as_it_is_defined(channel: Channel) -> None:
    assert Channel.model_validate(channel.describe()) == channel
    assert Channel.model_validate(channel.describe()).needs_consent == channel.needs_consent
