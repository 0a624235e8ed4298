"""The breaker: stops a campaign that would contact more customers than it may in some hours. Pure.

It counts exposures, fired and control, by clock hour of event time (UTC): no `hours` hours in a row have more than
`contacts`, whichever they are. The contact that would exceed them is withheld, and the campaign stays stopped until an
operator resumes it. Both arms are treated alike, and a stopped campaign does not compete with others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.decide import Candidate

HOUR = timedelta(hours=1)
ACTOR = "breaker"
"""Who stopped a campaign that no person stopped."""


class Breaker(BaseModel):
    """At most `contacts` contacts of a campaign in any `hours` clock hours in a row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contacts: int = Field(ge=1, le=1_000_000_000, description="Contacts and control exposures that are allowed.")
    hours: int = Field(ge=1, le=744, description="Length of the window, in clock hours.")

    def find_full(self, counts: Mapping[int, int], hour: int) -> int | None:
        """Return the first hour of a window with this hour that has no room for one more contact, None if all have.

        Args:
            counts: contacts by hour since 1970, at least those of the hours within `hours` of this one.
            hour: of the contact.
        """
        near = {each: count for each, count in counts.items() if abs(each - hour) < self.hours}
        if sum(near.values()) < self.contacts:
            return None
        # The fullest window ends with an hour that has contacts, or with the one that gets one.
        ends = {hour, *(each for each in near if each > hour)}
        for end in sorted(ends):
            if sum(count for each, count in near.items() if end - self.hours < each <= end) >= self.contacts:
                return end - self.hours + 1
        return None


@dataclass(frozen=True, slots=True)
class CampaignStop:
    """A campaign that is to be stopped.

    Attributes:
        campaign: its key.
        reason: why, as a sentence.
        actor: who stops it.
    """

    campaign: str
    reason: str
    actor: str = ACTOR


class BatchBreakers:
    """The breakers during the decisions of one batch.

    Args:
        stops: why each stopped campaign is, by campaign.
        counts: contacts of the campaigns with a breaker by hour, by campaign.

    Attributes:
        tripped: the campaigns that the batch stops.
    """

    def __init__(self, stops: Mapping[str, str], counts: Mapping[str, Mapping[int, int]]) -> None:
        self._stops = dict(stops)
        self._counts = {campaign: Counter(by_hour) for campaign, by_hour in counts.items()}
        self.tripped: list[CampaignStop] = []

    def refuse(self, candidate: Candidate) -> str | None:
        """Return why the campaign may not contact one more customer; the first refusal stops it."""
        key, breaker = candidate.campaign.key, candidate.campaign.breaker
        if key not in self._stops and breaker is not None:
            first = breaker.find_full(self._counts.get(key, {}), hour_of(candidate.as_of))
            if first is not None:
                self._stops[key] = _describe(breaker, first)
                self.tripped.append(CampaignStop(key, self._stops[key]))
        reason = self._stops.get(key)
        return reason and f"the campaign is stopped: {reason}"

    def count(self, candidate: Candidate) -> None:
        """Count a contact, or the control exposure in its place."""
        if candidate.campaign.breaker is not None:
            self._counts.setdefault(candidate.campaign.key, Counter())[hour_of(candidate.as_of)] += 1


def watch_batch(
    stops: Mapping[str, str], counts: Mapping[str, Mapping[int, int]], longest: int
) -> BatchBreakers | None:
    """Return the breakers of a batch, None where nothing is stopped and nothing can be.

    Args:
        stops: why each stopped campaign is, by campaign.
        counts: as of BatchBreakers.
        longest: the longest window of a breaker, in hours; 0 without breakers.
    """
    return BatchBreakers(stops, counts) if stops or longest else None


def hour_of(at: datetime) -> int:
    """Return the clock hours since 1970, UTC."""
    return int(at.timestamp() // 3600)


def _describe(breaker: Breaker, first: int) -> str:
    begin = datetime.fromtimestamp(first * 3600, UTC)
    end = begin + breaker.hours * HOUR
    return (
        f"the breaker allows {breaker.contacts:,} contact(s) in {breaker.hours} hour(s), and so many were made from "
        f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    )
