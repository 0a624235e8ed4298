"""Known facts: what the warehouse, the models and the signals supply, and the check of definitions against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from campaigns.consent import count_consent, find_consent_problems
from campaigns.feedback import ALWAYS_VIP
from campaigns.reasons import describe_missing_reasons
from campaigns.unknown_facts import refuse_unknown_facts
from features.errors import WarehouseError
from features.insights import INSIGHT_FACTS
from features.signals import as_columns
from features.table import find_kind
from features.times import EVENT_TIME, STALE
from models.scores import score_customers
from models.sources import unavailable_facts
from segments.null_safety import find_null_holds

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from campaigns.candidates import Definitions
    from campaigns.definition import Campaign, DefinitionSet
    from features.ports import WarehouseConnection
    from features.table import FeatureTable
    from models.registry import Scorers
    from segments.definition import Segment

log = structlog.get_logger()

SAMPLED_ROWS = 1_000


def known_facts(columns: FeatureTable, scorers: Scorers, *, marks_stale: bool) -> Collection[str]:
    """Return the name of every fact that the warehouse's view, the models, the signals and feedback supply.

    Insights are known, and null, before their job has run. A fact of the models is known even where the view lacks a
    column behind it: the segments that read it are frozen.

    Args:
        columns: the view's columns; it needs no rows.
        scorers: the models.
        marks_stale: whether customers have the fact `stale`, as with DWH_UPDATED_AT_COLUMN.
    """
    marks = (STALE,) if marks_stale else ()
    scores, signals = score_customers(columns, scorers).columns, as_columns({}, (), {})
    return {*scores, *signals, *INSIGHT_FACTS, ALWAYS_VIP, EVENT_TIME, *marks}


def report_missing_columns(columns: FeatureTable, scorers: Scorers) -> None:
    """Log each fact of the models for which the view lacks a column."""
    for fact, missing in unavailable_facts(columns.columns, (), scorers).items():
        log.warning("columns_missing", fact=fact, columns=sorted(missing))


def check_facts(definitions: DefinitionSet, known: Collection[str], view: str) -> None:
    """Refuse definitions that read unknown facts.

    Raises:
        CampaignDefinitionError: a rule or a message reads a fact that no source supplies.
    """
    refuse_unknown_facts(definitions.segments, definitions.campaigns, known, view, definitions.offers.values())


def report_missing_reasons(definitions: Definitions, scorers: Scorers) -> None:
    """Log the reasons that campaigns ask for and that models cannot give."""
    for note in describe_missing_reasons(definitions, scorers):
        log.warning("reasons_missing", note=note)


def report_null_rules(segments: Sequence[Segment]) -> None:
    """Log each rule that holds for a customer of whom nothing is known; `holdfast segments check` counts them."""
    for segment in segments:
        for note in find_null_holds(segment):
            log.warning("rule_holds_without_facts", note=note)


async def report_consent_values(
    campaigns: Sequence[Campaign], columns: FeatureTable, warehouse: WarehouseConnection, rows: int = SAMPLED_ROWS
) -> None:
    """Log the values of some customers that are neither consent nor its denial.

    The warehouse is asked only where a consent column is not boolean. A worker starts without the answer, too.
    """
    channels = {key: each for campaign in campaigns for key, each in campaign.channels_by_key.items()}.values()
    odd = {name for name, column in columns.columns.items() if find_kind(column) != "boolean"}
    doubtful = [each for each in channels if each.consent_values and each.consent_column in odd]
    if not doubtful:
        return
    try:
        sample = await warehouse.sample(rows)
    except WarehouseError as error:
        log.warning("consent_not_sampled", reason=error)
        return
    for each in count_consent(doubtful, sample):
        if each.unreadable:
            # Not the values: the column may be the wrong one, and hold anything.
            log.warning(
                "consent_values_unreadable",
                column=each.column,
                values=len(each.unreadable),
                customers=each.customers,
                next="holdfast warehouse check",
            )


def report_consent(campaigns: Sequence[Campaign], columns: FeatureTable) -> list[str]:
    """Log each channel on which a campaign can contact no customer, and return the campaigns that have no other.

    Args:
        campaigns: the campaigns.
        columns: the view's columns; it needs no rows.
    """
    kinds = {name: find_kind(column) for name, column in columns.columns.items()}
    silent = []
    for campaign in campaigns:
        problems = find_consent_problems(campaign, kinds)
        if problems:
            log.warning("consent_unreadable", campaign=campaign.key, channels=problems)
        if len(problems) == len(set(campaign.channels)):
            silent.append(f"campaign {campaign.key}: contacts no customer: {'; '.join(sorted(set(problems.values())))}")
    return silent
