"""Campaigns as people look at them: running or stopped, how many contacts, and who was not contacted and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.definition import Launch
from campaigns.postgres_caps import read_caps
from campaigns.postgres_launches import open_launches
from campaigns.postgres_overview import open_overview
from console.use_cases.campaign_stops import find_stops
from console.use_cases.performance import find_campaign
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.definition import Campaign
    from campaigns.postgres_caps import CapUse
    from campaigns.postgres_overview import CampaignContacts, DecidedCount, DecidedCustomer
    from campaigns.records import LaunchRecord, StopRecord
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class CampaignState:
    """A campaign and where it stands.

    Attributes:
        campaign: its definition.
        stop: why it is stopped; None while it runs.
        contacts: None before the first.
    """

    campaign: Campaign
    stop: StopRecord | None
    contacts: CampaignContacts | None


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What a launch would ask for.

    Attributes:
        members: of the segment now; consent, cooldown and holdout decide on each.
        last: the campaign's unfinished launch, or else its last one; None before the first.
    """

    members: int
    last: LaunchRecord | None


def list_campaign_states(settings: Settings) -> Sequence[CampaignState]:
    """Return every campaign and where it stands, in the order of the definitions.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    return _describe(settings, read_definitions(settings).campaigns)


def read_campaign(settings: Settings, key: str) -> CampaignState:
    """Return a campaign and where it stands.

    Raises:
        DefinitionMissingError: there is no such campaign.
        LedgerUnavailableError: the ledger cannot be read.
    """
    return _describe(settings, [find_campaign(read_definitions(settings).campaigns, key)])[0]


def plan_launch(settings: Settings, campaign: Campaign) -> LaunchPlan | None:
    """Return what a launch would ask for; None where operators do not launch the campaign.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    if campaign.launch is not Launch.BY_OPERATOR:
        return None
    with open_launches(settings.ledger_url) as launches:
        return LaunchPlan(launches.count_members(campaign.segment, after=None), launches.last(campaign.key))


def count_decided(settings: Settings, key: str, *, days: int) -> Sequence[DecidedCount]:
    """Return what a campaign has decided about the events of the last days, the most frequent first.

    Raises:
        DefinitionMissingError: there is no such campaign.
        LedgerUnavailableError: the ledger cannot be read.
    """
    find_campaign(read_definitions(settings).campaigns, key)
    with open_overview(settings.ledger_url) as ledger:
        return ledger.count_decided(key, since=_days_ago(days))


def measure_caps(settings: Settings, key: str) -> Sequence[CapUse]:
    """Return how many customers the cooldown of a campaign, and each limit that binds it, keep from it now.

    Raises:
        DefinitionMissingError: there is no such campaign.
        LedgerUnavailableError: the ledger cannot be read.
    """
    campaign = find_campaign(read_definitions(settings).campaigns, key)
    return read_caps(settings.ledger_url, campaign, datetime.now(UTC))


def list_decided(
    settings: Settings, key: str, outcome: str, reason: str, *, days: int, after: str, limit: int
) -> Sequence[DecidedCustomer]:
    """Return customers with a decision of one outcome and reason in the last days, beyond a customer id, by their ids.

    Raises:
        DefinitionMissingError: there is no such campaign.
        LedgerUnavailableError: the ledger cannot be read.
    """
    find_campaign(read_definitions(settings).campaigns, key)
    with open_overview(settings.ledger_url) as ledger:
        return ledger.list_decided(key, outcome, reason, since=_days_ago(days), after=after, limit=limit)


def _describe(settings: Settings, campaigns: Sequence[Campaign]) -> list[CampaignState]:
    stops: Mapping[str, StopRecord] = find_stops(settings)
    with open_overview(settings.ledger_url) as ledger:
        contacts = ledger.count_contacts()
    return [CampaignState(each, stops.get(each.key), contacts.get(each.key)) for each in campaigns]


def _days_ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
