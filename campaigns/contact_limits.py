"""Limits on how often a customer is contacted, over rolling windows of event time. Pure.

A limit of k contacts in d days holds when no window of d days has more than k contacts, wherever it begins. It counts
exposures of both arms, so a held-out customer reaches it exactly when a contacted one would. An event that arrives late
is counted at its own time, against the contacts before and after it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from campaigns.channels import SHIPPED, STAFF, shipped_channels
from campaigns.errors import CampaignDefinitionError
from segments.definition_files import describe_place, find_file, read_content, validate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from campaigns.channels import Channel

LIMITS_FILE = "limits"
"""The name of the file, without its suffix."""


class PastContact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A contact, or the control exposure in its place: campaign, channel, event time, and the id of its offer."""

    campaign: str
    channel: str
    at: datetime
    offer: int = 0


class ContactLimit(BaseModel):
    """At most `contacts` contacts of a customer in any `days` days."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9-]{1,64}$", description="Its name in decisions.")
    contacts: int = Field(ge=1, le=1000, description="How many contacts a window may have.")
    days: int = Field(ge=1, le=365, description="Length of the window, in days of 24 hours.")
    campaign: str | None = Field(
        default=None, description="Only contacts of this campaign count; of all when left out."
    )
    channel: str | None = Field(default=None, description="Only contacts by this channel count; by all when left out.")

    _not_counted: frozenset[str] = PrivateAttr(default=frozenset())

    def model_post_init(self, context: Any, /) -> None:
        """Keep the channels for staff: what they carry is no contact of the customer."""
        self._not_counted = frozenset((context or {}).get("staff_channels", ()))

    @property
    def staff_channels(self) -> frozenset[str]:
        """The channels whose contacts do not count: they are for staff."""
        return self._not_counted

    def counts(self, contact: PastContact) -> bool:
        """Return whether a contact counts."""
        if contact.channel in self._not_counted:
            return False
        return self.campaign in (None, contact.campaign) and self.channel in (None, contact.channel)

    def find_end(self, contacts: Iterable[PastContact], at: datetime) -> datetime | None:
        """Return the time from which one more contact keeps the limit again, None if one at `at` does.

        Args:
            contacts: at least those within `days` of `at`; those that the limit does not count are left out here.
            at: event time of the contact in question.
        """
        window = timedelta(days=self.days)
        times = sorted(each.at for each in contacts if self.counts(each))
        if not self._is_reached(times, at, window):
            return None
        return next(end for each in times if (end := each + window) > at and not self._is_reached(times, end, window))

    def _is_reached(self, times: Sequence[datetime], at: datetime, window: timedelta) -> bool:
        """Return whether a window that has room for `at` is full: it begins with a contact, or with `at`."""
        near = [each for each in times if abs(each - at) < window]
        begins = {at, *(each for each in near if each <= at)}
        return any(sum(begin <= each < begin + window for each in near) >= self.contacts for begin in begins)

    def __str__(self) -> str:
        """Return the limit in words."""
        by = f" by {self.channel}" if self.channel else ""
        of = f" of {self.campaign}" if self.campaign else ""
        return f"limit {self.key}: {self.contacts} contact(s){of}{by} in {self.days} day(s)"


def load_limits(folder: Path, channels: Mapping[str, Channel]) -> tuple[ContactLimit, ...]:
    """Return the limits of a definitions folder, none where it has no file of them.

    Args:
        folder: the folder.
        channels: the channels that exist, by key.

    Raises:
        DefinitionError: the file cannot be used.
        CampaignDefinitionError: two limits have one key, or one names an unknown channel.
    """
    file = find_file(folder, LIMITS_FILE)
    return () if file is None else build_limits(read_content(file), channels, where=file)


def build_limits(content: Any, channels: Mapping[str, Channel], *, where: object) -> tuple[ContactLimit, ...]:
    """Return the limits of a file's content.

    Args:
        content: the content.
        channels: the channels that exist, by key.
        where: what to call it in an error: its file.

    Raises:
        DefinitionError: the content cannot be used.
        CampaignDefinitionError: two limits have one key, or one names an unknown channel.
    """
    staff = {"staff_channels": [each.key for each in channels.values() if each.recipient == STAFF]}
    limits: tuple[ContactLimit, ...] = validate(content, tuple[ContactLimit, ...], where=where, context=staff)
    keys = [each.key for each in limits]
    for place, each in enumerate(limits):
        if each.key in keys[:place]:
            raise CampaignDefinitionError(f"{_locate(where, place, 'key')} {each.key!r} is used twice; choose another")
        if each.channel is not None and each.channel not in channels:
            known = ", ".join(sorted(channels))
            raise CampaignDefinitionError(
                f"{_locate(where, place, 'channel')}: unknown channel {each.channel!r}; known channels: {known}"
            )
        if each.channel in staff["staff_channels"]:
            raise CampaignDefinitionError(
                f"{_locate(where, place, 'channel')}: {each.channel!r} is for staff; a limit counts contacts of "
                "the customer"
            )
    return limits


def shipped_limits() -> tuple[ContactLimit, ...]:
    """Return the limits that come with Holdfast."""
    return load_limits(SHIPPED, shipped_channels())


def refuse_unknown_campaigns(limits: Sequence[ContactLimit], campaigns: Collection[str], *, where: object) -> None:
    """Refuse a limit of a campaign that is not defined.

    Args:
        limits: the limits.
        campaigns: the keys of the campaigns.
        where: what to call the limits in an error: their file.

    Raises:
        CampaignDefinitionError: there is one.
    """
    for place, each in enumerate(limits):
        if each.campaign is not None and each.campaign not in campaigns:
            known = ", ".join(sorted(campaigns)) or "none"
            raise CampaignDefinitionError(
                f"{_locate(where, place, 'campaign')}: unknown campaign {each.campaign!r}; known campaigns: {known}"
            )


def _locate(where: object, place: int, field: str) -> str:
    return f"{where}: {describe_place(where, f'$[{place}].{field}')}"
