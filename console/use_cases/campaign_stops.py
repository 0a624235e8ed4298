"""Campaigns that are stopped, by their breaker or by a person, and resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.breaker import CampaignStop
from console.use_cases.ledger import ask_ledger
from console.use_cases.performance import find_campaign
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.postgres_ledger import PostgresLedger
    from campaigns.records import StopRecord
    from streams.settings import Settings


def find_stops(settings: Settings) -> Mapping[str, StopRecord]:
    """Return the campaigns that are stopped now, by key.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    return {each.campaign: each for each in ask_ledger(settings, lambda ledger: ledger.stops())}


def stop_campaign(settings: Settings, key: str, *, reason: str, actor: str) -> StopRecord | None:
    """Stop a campaign; return the stop that there was already, None if there was none.

    Raises:
        CampaignDefinitionError: there is no such campaign.
        LedgerUnavailableError: the ledger cannot be reached.
    """
    find_campaign(read_definitions(settings).campaigns, key)

    async def stop(ledger: PostgresLedger) -> StopRecord | None:
        if await ledger.stop_campaign(CampaignStop(key, reason, actor)):
            return None
        return next((each for each in await ledger.stops() if each.campaign == key), None)

    return ask_ledger(settings, stop)


def resume_campaign(settings: Settings, key: str, *, reason: str, actor: str) -> bool:
    """Let a stopped campaign contact customers again, and return whether it was stopped.

    A campaign that is no longer defined can be resumed, too.

    Raises:
        CampaignDefinitionError: there is no such campaign, and none of that name is stopped.
        LedgerUnavailableError: the ledger cannot be reached.
    """
    resumed = ask_ledger(settings, lambda ledger: ledger.resume_campaign(key, actor=actor, reason=reason))
    if not resumed:
        find_campaign(read_definitions(settings).campaigns, key)
    return resumed
