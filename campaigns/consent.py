"""Consent by channel: the warehouse's columns, and the changes that events report since. Pure.

The present state is a function of the set of changes: of a channel's changes the one with the latest event time counts,
and of equal times the revocation. So order, duplication and batching of the changes make no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from features.table import plain
from features.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from campaigns.channels import Channel
    from campaigns.definition import Campaign
    from features.table import FeatureTable, Kind

EVERY_CHANNEL = "*"
# The outcomes that change consent: whether each gives it.
CONSENT_OUTCOMES: Mapping[str, bool] = {"unsubscribed": False, "complained": False, "resubscribed": True}


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """A customer revokes consent, or gives it again.

    Attributes:
        customer_id: the customer.
        event_id: the event that reported it; one event makes one change.
        channel: a channel's name, or `EVERY_CHANNEL`.
        granted: whether consent is given; False revokes it.
        changed_at: event time.
        source: the outcome that reported it, a key of `CONSENT_OUTCOMES`.
        trigger_id: the contact that it answers, None when the ledger has no such contact.
    """

    customer_id: str
    event_id: str
    channel: str
    granted: bool
    changed_at: datetime
    source: str
    trigger_id: str | None = None


class ConsentTimes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When consent for a channel was last given and last revoked by an event."""

    granted_at: datetime | None = None
    revoked_at: datetime | None = None


Consent = Mapping[str, ConsentTimes]
"""The changes of one customer, by channel or `EVERY_CHANNEL`."""


def add_change(consent: Consent, change: ConsentChange) -> Consent:
    """Return a customer's consent with one more change."""
    known = consent.get(change.channel, ConsentTimes())
    if change.granted:
        times = ConsentTimes(_later(known.granted_at, change.changed_at), known.revoked_at)
    else:
        times = ConsentTimes(known.granted_at, _later(known.revoked_at, change.changed_at))
    return {**consent, change.channel: times}


def find_revocation(consent: Consent, channel: str) -> datetime | None:
    """Return the event time of the revocation in force for a channel, or None."""
    granted_at = revoked_at = None
    for name in (channel, EVERY_CHANNEL):
        times = consent.get(name, ConsentTimes())
        granted_at, revoked_at = _later(granted_at, times.granted_at), _later(revoked_at, times.revoked_at)
    given_again = granted_at is not None and revoked_at is not None and granted_at > revoked_at
    return None if given_again else revoked_at


def has_consent(channel: Channel, facts: Mapping[str, Any], consent: Consent) -> bool:
    """Return whether a customer may be contacted on a channel; about one, where it is for staff.

    The channel's consent column must be true, or hold a value that the channel lists as given; without the column there
    is no consent. A revocation counts until consent is given again: by an event, or by the warehouse with a time in
    `<consent column>_at` after the revocation.
    """
    if not channel.needs_consent:
        return True
    if not channel.read_consent(facts.get(channel.consent_column)):
        return False
    revoked_at = find_revocation(consent, channel.key) if consent else None
    if revoked_at is None:
        return True
    given_at = parse_time(facts.get(channel.consent_time_column))
    return given_at is not None and given_at > revoked_at


def describe_unreadable(campaign: Campaign, facts: Mapping[str, Any]) -> str:
    """Return which consent columns of a campaign have a value that is neither given nor denied; empty if none has."""
    channels = [channel for channel in campaign.channels_by_key.values() if channel.needs_consent]
    columns = {channel.consent_column: channel for channel in channels}
    odd = [name for name, channel in columns.items() if channel.read_consent(facts.get(name)) is None]
    return ", ".join(f"{name} is {facts[name]!r}" for name in odd)


def find_consent_problems(campaign: Campaign, kinds: Mapping[str, Kind]) -> Mapping[str, str]:
    """Return for each channel on which a campaign can contact no customer why, by the columns of the view alone.

    Args:
        campaign: the campaign.
        kinds: the kind of each column.
    """
    problems = {}
    for key, channel in campaign.channels_by_key.items():
        name = channel.consent_column
        if not channel.needs_consent:
            continue
        if name not in kinds:
            problems[key] = f"the view has no column {name}"
        elif kinds[name] != "boolean" and channel.consent_values is None:
            problems[key] = f"column {name} is not boolean, and channels.json does not list its values"
    return problems


@dataclass(frozen=True, slots=True)
class ConsentCount:
    """What some customers' values of a consent column say.

    Attributes:
        column: the column.
        given: the customers who consent.
        denied: the customers who do not, those without a value included.
        unreadable: the customers of each other value: they are not contacted.
        unknown: the customers without a value.
    """

    column: str
    given: int
    denied: int
    unreadable: Mapping[str, int]
    unknown: int = 0

    @property
    def customers(self) -> int:
        """All of them."""
        return self.given + self.denied + sum(self.unreadable.values())


def count_consent(channels: Iterable[Channel], table: FeatureTable) -> list[ConsentCount]:
    """Return what the customers of a table say in each consent column that it has, for every channel and purpose."""
    readers = {
        name: channel
        for channel in channels
        if channel.needs_consent
        for name in (channel.consent_column, *channel.purposes.values())
    }
    counts = []
    for name, channel in readers.items():
        if name in table.columns:
            values = [plain(value) for value in table.columns[name]]
            meanings = [channel.read_consent(value) for value in values]
            odd = Counter(repr(value) for value, given in zip(values, meanings, strict=True) if given is None)
            given, denied = meanings.count(True), meanings.count(False)
            counts.append(ConsentCount(name, given, denied, dict(odd.most_common()), values.count(None)))
    return counts


def find_consented_channels(campaign: Campaign, facts: Mapping[str, Any], consent: Consent) -> list[str]:
    """Return the campaign's channels on which a customer may be contacted, in its order."""
    return [key for key, channel in campaign.channels_by_key.items() if has_consent(channel, facts, consent)]


def choose_channel(
    campaign: Campaign, facts: Mapping[str, Any], consent: Consent, limited: Collection[str] = ()
) -> str | None:
    """Return the customer's preferred channel, or the campaign's first one, among those with consent and no limit."""
    allowed = [key for key in find_consented_channels(campaign, facts, consent) if key not in limited]
    preferred = facts.get("preferred_channel")
    if preferred in allowed:
        return str(preferred)
    return allowed[0] if allowed else None


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    return max((each for each in (first, second) if each is not None), default=None)
