"""Known facts: what the warehouse, the models and the signals supply, and the check of definitions against it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from campaigns.unknown_facts import refuse_unknown_facts
from features.signals import as_columns
from models.scores import score_customers
from models.sources import unavailable_facts

if TYPE_CHECKING:
    from collections.abc import Collection

    from campaigns.definition import DefinitionSet
    from features.table import FeatureTable
    from models.registry import Scorers

log = structlog.get_logger()


def known_facts(columns: FeatureTable, scorers: Scorers) -> Collection[str]:
    """Return the name of every fact that the warehouse's view, the models and the signals supply.

    A fact of the models is known even where the view lacks a column behind it: the segments that read it are frozen.

    Args:
        columns: the view's columns; it needs no rows.
        scorers: the models.
    """
    for fact, missing in unavailable_facts(columns.columns, (), scorers).items():
        log.warning("columns_missing", fact=fact, columns=sorted(missing))
    return {*score_customers(columns, scorers).columns, *as_columns({}, (), datetime.now(UTC))}


def check_facts(definitions: DefinitionSet, known: Collection[str], view: str) -> None:
    """Refuse definitions that read unknown facts, and warn of channels without a consent column.

    Raises:
        CampaignDefinitionError: a rule or a message reads a fact that no source supplies.
    """
    refuse_unknown_facts(definitions.segments, definitions.campaigns, known, view)
    for campaign in definitions.campaigns:
        columns = {key: campaign.channel(key).consent_column for key in campaign.channels}
        missing = {key: column for key, column in columns.items() if column not in known}
        if missing:
            log.warning("consent_columns_missing", campaign=campaign.key, channels=missing)
