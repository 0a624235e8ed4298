"""What the warehouse's view has, how each column will be used, and what is missing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.consent import count_consent, find_consent_problems
from campaigns.unknown_facts import find_unknown_facts
from features.errors import WarehouseError
from features.table import find_kind
from features.times import CUSTOMER_SINCE
from features.warehouses import opened
from models.rfm import RFM_SOURCES
from models.sources import unavailable_facts
from models.tasks.registry import TASKS
from streams.definitions import read_definitions
from streams.known_facts import SAMPLED_ROWS, known_facts
from streams.runtime.model_reload import load_models
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from campaigns.channels import Channel
    from campaigns.consent import ConsentCount
    from campaigns.definition import DefinitionSet
    from features.table import FeatureTable, Kind
    from models.registry import Scorers
    from streams.settings import Settings

TYPES = {"number": "number", "boolean": "true or false", "other": "text, time or JSON"}


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column of the view, and what reads it; nothing does where `uses` is empty."""

    name: str
    kind: Kind
    uses: Sequence[str]


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What some rows of the view contain.

    Attributes:
        rows: how many.
        consent: what they say in each consent column.
        unreadable: the values among them that cannot be read and count as null, by column.
        duplicates: the customers of the whole view who have more than one row; None where they were not counted.
        error: why the view was not read, or not as a whole.
    """

    rows: int
    consent: Sequence[ConsentCount]
    unreadable: Mapping[str, int]
    duplicates: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class WarehouseReport:
    """What a check of the warehouse found.

    Attributes:
        view: the table, view or file.
        columns: in the order of the view.
        missing: what the view lacks, and what follows; no error.
        problems: why a worker would not start.
        sample: some of its rows.
        silent: those of `missing` because of which a campaign contacts no customer on a channel.
    """

    view: str
    columns: Sequence[ColumnUse]
    missing: Sequence[str]
    problems: Sequence[str]
    sample: SampleReport
    silent: Sequence[str]


def check_warehouse(settings: Settings) -> WarehouseReport:
    """Return what the view has and lacks for the definitions and models of the settings.

    Raises:
        WarehouseError: the warehouse cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    definitions = read_definitions(settings)
    scorers = load_models(settings, definitions.offers)
    columns, sample = asyncio.run(_read_view(settings, definitions.channels))
    uses = find_uses(settings.customer_id_column, definitions, scorers)
    found = [ColumnUse(name, find_kind(column), uses.get(name, ())) for name, column in columns.columns.items()]
    silent = _missing_consent(definitions, found)
    return WarehouseReport(
        describe_view(settings),
        found,
        [*_missing_times(columns), *_missing_sources(columns, scorers), *silent],
        _find_problems(definitions, columns, scorers, settings),
        sample,
        silent,
    )


def describe_view(settings: Settings) -> str:
    """Return the name of the view, or the file that takes its place."""
    scheme, _, path = settings.warehouse_url.partition(":")
    return path.removeprefix("//") if scheme in {"csv", "parquet"} else settings.features_table


async def _read_view(settings: Settings, channels: Mapping[str, Channel]) -> tuple[FeatureTable, SampleReport]:
    """Return the columns of the view, without rows, and what some of its rows contain."""
    async with opened(find_warehouse(settings)) as warehouse:
        columns = table = await warehouse.fetch([])
        duplicates = error = None
        try:
            table = await warehouse.sample(SAMPLED_ROWS)
            duplicates = await warehouse.count_duplicates()
        except WarehouseError as failure:
            error = str(failure)
        consent = count_consent(channels.values(), table)
        return columns, SampleReport(len(table), consent, dict(warehouse.unreadable_values.counts), duplicates, error)


async def read_columns(settings: Settings) -> FeatureTable:
    """Return the columns of the view, without rows.

    Raises:
        WarehouseError: the warehouse cannot be read.
    """
    async with opened(find_warehouse(settings)) as warehouse:
        return await warehouse.fetch([])


async def read_sample(settings: Settings, rows: int) -> FeatureTable:
    """Return at most so many rows of the view.

    Raises:
        WarehouseError: the warehouse cannot be read.
    """
    async with opened(find_warehouse(settings)) as warehouse:
        return await warehouse.sample(rows)


def find_uses(id_column: str, definitions: DefinitionSet, scorers: Scorers) -> Mapping[str, Sequence[str]]:
    """Return what reads each column, by column."""
    uses: dict[str, list[str]] = defaultdict(list)
    uses[id_column].append("customer id")
    uses[CUSTOMER_SINCE].append("when the customer joined")
    uses["preferred_channel"].append("preferred channel")
    for sources in RFM_SOURCES["rfm_segment"]:
        uses[sources].append("RFM")
    for name, scorer in scorers.by_name.items():
        read: Collection[str] = TASKS[name].rule_columns if scorer.basis == "rules" else scorer.columns
        for column in read:
            uses[column].append(f"{name} {'rule' if scorer.basis == 'rules' else 'model'}")
    for fact, use in _find_uses_by_definitions(definitions):
        uses[fact].append(use)
    return uses


def _find_uses_by_definitions(definitions: DefinitionSet) -> Iterator[tuple[str, str]]:
    """Yield each column that a definition reads, with what reads it."""
    for segment in definitions.segments:
        yield from ((fact, f"segment {segment.key}") for fact in segment.facts)
    for campaign in definitions.campaigns:
        yield from ((fact, f"message of {campaign.key}") for fact in campaign.message_facts)
        yield from ((fact, f"offer policy of {campaign.key}") for fact in campaign.offer_facts)
    for offer in definitions.offers.values():
        yield from (
            (fact, f"rule of offer {offer.key}") for fact in (offer.eligibility.facts if offer.eligibility else ())
        )
    for key, channel in definitions.channels.items():
        if channel.needs_consent:
            yield channel.consent_column, f"consent for {key}"
            yield channel.consent_time_column, f"time of consent for {key}"


def _missing_times(columns: FeatureTable) -> list[str]:
    if CUSTOMER_SINCE in columns.columns:
        return []
    return [f"no {CUSTOMER_SINCE}: a new customer's first evaluation is suppressed, as that of every customer"]


def _missing_sources(columns: FeatureTable, scorers: Scorers) -> list[str]:
    unavailable = unavailable_facts(columns.columns, (), scorers)
    parts = {"RFM": tuple(RFM_SOURCES), **{f"the {name} model": task.facts for name, task in TASKS.items()}}
    of_facts = [
        f"{what} cannot be computed: no {', '.join(missing)}"
        for what, facts in parts.items()
        if (missing := sorted({name for fact in facts for name in unavailable.get(fact, ())}))
    ]
    of_rules = [
        f"the {name} rule takes as null: {', '.join(missing)}"
        for name, scorer in scorers.by_name.items()
        if scorer.basis == "rules" and (missing := sorted(TASKS[name].rule_columns - columns.columns.keys()))
    ]
    return of_facts + of_rules


def _missing_consent(definitions: DefinitionSet, found: Sequence[ColumnUse]) -> list[str]:
    kinds = {column.name: column.kind for column in found}
    sentences = []
    for campaign in definitions.campaigns:
        if problems := find_consent_problems(campaign, kinds):
            reasons = "; ".join(dict.fromkeys(problems.values()))
            sentences.append(f"campaign {campaign.key} contacts no customer by {', '.join(problems)}: {reasons}")
    return sentences


def _find_problems(
    definitions: DefinitionSet, columns: FeatureTable, scorers: Scorers, settings: Settings
) -> list[str]:
    known = known_facts(columns, scorers, marks_stale=settings.updated_at_column is not None)
    offers = definitions.offers.values()
    return find_unknown_facts(definitions.segments, definitions.campaigns, known, describe_view(settings), offers)
