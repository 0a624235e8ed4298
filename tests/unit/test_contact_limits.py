"""Limits on contacts: how many in which window, from when again, and which channel is left."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.candidates import decide_all
from campaigns.channels import shipped_channels
from campaigns.contact_limits import ContactLimit, PastContact, load_limits
from campaigns.decide import ContactHistory
from campaigns.definition import load_campaigns
from campaigns.errors import CampaignDefinitionError
from campaigns.guardrails import Reason, refuse_beyond_limits
from segments.errors import DefinitionError
from tests.builders import AS_OF, campaign, candidate, decide, facts, offers, scores
from tests.unit.test_candidates import Scorer, table

if TYPE_CHECKING:
    from pathlib import Path

WEEKLY = ContactLimit(key="weekly", contacts=2, days=7)
SMS = ContactLimit(key="sms", contacts=1, days=1, channel="sms")
OF_ONE = ContactLimit(key="one", contacts=1, days=3, campaign="win-back")


def days(count: float) -> timedelta:
    """Days of 24 hours."""
    return timedelta(days=count)


def past(*ago: float, campaign: str = "other", channel: str = "email") -> ContactHistory:
    """A history of contacts so many days before `AS_OF`."""
    return ContactHistory(contacts=tuple(PastContact(campaign, channel, AS_OF - days(each)) for each in ago))


@pytest.mark.parametrize(
    ("ago", "again_in"),
    [
        ((), None),
        ((1,), None),
        ((7, 8), None),
        ((1, 7), None),
        ((1, 6.5), 0.5),
        ((1, 2), 5),
        ((1, 2, 3), 5),
        ((0, 0), 7),
        ((-1, -2), 8),
        ((3, -3), 4),
        ((4, -3), None),
        ((2, -2), 5),
    ],
)
def test_a_window_with_as_many_contacts_as_allowed_is_full_until_one_of_them_leaves_it(
    ago: tuple[float, ...], again_in: float | None
) -> None:
    """Two in seven days, also of contacts after the event: it may come late."""
    expected = None if again_in is None else AS_OF + days(again_in)
    assert WEEKLY.find_end(past(*ago).contacts, AS_OF) == expected


@given(
    st.lists(st.integers(0, 60), max_size=25),
    st.integers(1, 4),
    st.integers(1, 10),
)
def test_contacts_that_a_limit_admits_never_break_it_and_no_other_is_refused(
    events: list[int], contacts: int, length: int
) -> None:
    """In any order of events. The oracle counts the contacts of every window."""
    limit = ContactLimit(key="any", contacts=contacts, days=length)

    def most(made: list[int]) -> int:
        return max((sum(begin <= each < begin + length for each in made) for begin in made), default=0)

    made: list[int] = []
    for day in events:
        known = [PastContact("any", "email", AS_OF + days(each)) for each in made]
        until = limit.find_end(known, AS_OF + days(day))
        assert (until is None) == (most([*made, day]) <= contacts)
        if until is None:
            made.append(day)
        else:
            free = next(later for later in range(day, 200) if most([*made, later]) <= contacts)
            assert until == AS_OF + days(free)


def test_a_customer_contacted_as_often_as_allowed_is_refused_until_the_window_ends() -> None:
    refusal = refuse_beyond_limits(candidate(campaign=campaign(limits=[WEEKLY])), past(1, 2), facts())
    assert refusal
    assert (refusal.reason, refusal.until) == (Reason.CONTACT_LIMIT, AS_OF + days(5))
    assert refusal.detail == "limit weekly: 2 contact(s) in 7 day(s); again from 2011-06-06 12:30"


@pytest.mark.parametrize(("of", "refused"), [("win-back", True), ("other", False)])
def test_a_limit_of_one_campaign_counts_its_contacts_alone(of: str, *, refused: bool) -> None:
    found = refuse_beyond_limits(candidate(campaign=campaign(limits=[OF_ONE])), past(1, campaign=of), facts())
    assert (found is not None) == refused


def test_a_limit_of_another_campaign_does_not_apply() -> None:
    assert campaign(key="second", limits=[OF_ONE, WEEKLY]).limits == (WEEKLY,)


def test_a_campaign_that_ignores_limits_has_none_and_its_contacts_count_for_others() -> None:
    daily = ContactLimit(key="daily", contacts=1, days=1)
    service, other = campaign(key="b", limits=[daily], ignore_limits=True), campaign(key="a", limits=[daily])
    chosen = [candidate(campaign=each, event_id=str(n)) for n, each in enumerate([service, other])]
    decisions = decide_all(
        [*chosen, candidate(campaign=service, occasion="2", event_id="2")], table("ann"), {}, offers(), Scorer()
    )
    assert [each.reason for each in decisions] == [
        Reason.ENTERED_SEGMENT,
        Reason.CONTACT_LIMIT,
        Reason.ENTERED_SEGMENT,
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_campaign_that_does_not_compete_is_limited_by_the_contact_of_its_event(order: tuple[int, int]) -> None:
    """Whichever comes first among the candidates."""
    daily = [ContactLimit(key="daily", contacts=1, days=1)]
    both = [campaign(key="a", limits=daily, competes=False), campaign(key="b", limits=daily)]
    decisions = decide_all([candidate(campaign=both[n]) for n in order], table("ann"), {}, offers(), Scorer())
    reasons = {each.candidate.campaign.key: each.reason for each in decisions}
    assert reasons == {"a": Reason.CONTACT_LIMIT, "b": Reason.ENTERED_SEGMENT}


def test_a_channel_at_its_limit_leaves_the_contact_to_the_next_one_with_consent() -> None:
    made = campaign(limits=[SMS])
    history = past(0.5, channel="sms")
    known = facts(preferred_channel="sms")
    assert decide(candidate(campaign=made), known, ContactHistory(), offers(), scores(3)).channel == "sms"
    assert decide(candidate(campaign=made), known, history, offers(), scores(3)).channel == "email"
    alone = decide(candidate(campaign=made), {**known, "email_consent": False}, history, offers(), scores(3))
    assert (alone.reason, alone.detail) == (
        Reason.CONTACT_LIMIT,
        "limit sms: 1 contact(s) by sms in 1 day(s); again from 2011-06-02 00:30",
    )


def test_a_contact_of_the_batch_counts_for_the_next_event_of_its_customer() -> None:
    limited = [campaign(key=key, limits=[ContactLimit(key="daily", contacts=1, days=1)]) for key in ("a", "b")]
    chosen = [candidate(campaign=each, event_id=each.key) for each in limited]
    decisions = decide_all(chosen, table("ann"), {}, offers(), Scorer())
    assert [each.reason for each in decisions] == [Reason.ENTERED_SEGMENT, Reason.CONTACT_LIMIT]


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ([{"key": "a", "contacts": 0, "days": 7}], "$[0].contacts: Input should be greater than or equal to 1"),
        ([{"key": "a", "contacts": 1, "days": 7, "week": 1}], "$[0].week: Extra inputs are not permitted"),
        ([{"key": "a", "contacts": 1, "days": 7}] * 2, "$[1].key 'a' is used twice; choose another"),
        (
            [{"key": "a", "contacts": 1, "days": 7, "channel": "pigeon"}],
            "$[0].channel: unknown channel 'pigeon'; known channels: email, push, sms",
        ),
        ({"key": "a"}, "$: Input should be a valid array"),
    ],
)
def test_wrong_limits_are_refused_with_file_and_reason(tmp_path: Path, limits: Any, why: str) -> None:
    file = tmp_path / "limits.json"
    file.write_text(json.dumps(limits))
    with pytest.raises((CampaignDefinitionError, DefinitionError)) as refused:
        load_limits(tmp_path, shipped_channels())
    assert str(refused.value).startswith(f"{file}: {why}")


def test_a_limit_of_a_campaign_that_is_not_defined_is_refused(tmp_path: Path) -> None:
    (tmp_path / "offers.json").write_text("[]")
    (tmp_path / "limits.json").write_text(json.dumps([{"key": "a", "contacts": 1, "days": 7, "campaign": "winback"}]))
    with pytest.raises(CampaignDefinitionError, match="unknown campaign 'winback'; known campaigns: none"):
        load_campaigns(tmp_path, segments=[])


def test_a_folder_without_limits_has_none(tmp_path: Path) -> None:
    assert load_limits(tmp_path, {}) == ()


def test_limits_are_part_of_the_version_of_the_campaigns_that_they_concern() -> None:
    assert campaign(limits=[SMS]).version != campaign().version
    assert campaign(channels=("email",), limits=[SMS]).version == campaign(channels=("email",)).version


def test_a_late_event_is_counted_at_its_own_time() -> None:
    daily = ContactLimit(key="daily", contacts=1, days=1)
    contacts = [PastContact("a", "email", datetime.fromisoformat("2011-06-01T12:30:00+00:00"))]
    assert daily.find_end(contacts, AS_OF - days(2)) is None
    assert daily.find_end(contacts, AS_OF - days(0.5)) == AS_OF + days(1)
