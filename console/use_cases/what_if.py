"""What would be decided about a customer if some facts were others: the worker's own steps, without side effects.

The event is an update of the customer. It is decided twice, by today's row and by the changed one, so that what the
change causes is separated from what the next update would do in any case. The ledger is opened read-only, no cache is
used, and nothing is committed or published.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from console.use_cases.explanations import fetch_customer
from console.use_cases.fact_changes import change_columns, read_changes
from console.use_cases.ledger import open_ledger
from features.store import FeatureStore
from features.table import plain
from features.times import STALE
from features.warehouses import opened
from models.facts import SCORE_FACTS
from models.fallbacks import ModelFallbacks
from segments.engine import Activation
from streams.activation import build_config, select_guardrails
from streams.definitions import read_definitions
from streams.formats.events import Decoded, Event, EventsByKind, WireEvent
from streams.kafka.fetching import FetchedRecord
from streams.known_facts import check_facts, known_facts
from streams.pipeline import Pipeline
from streams.runtime.model_reload import load_models
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from campaigns.decide import Decision
    from campaigns.postgres_ledger import PostgresLedger
    from console.use_cases.fact_changes import FactChange
    from features.table import FeatureTable
    from models.registry import Scorers
    from segments.engine import Transitions
    from streams.decision_config import DecisionConfig
    from streams.settings import Settings

EVENT_ID = "what-if"


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """Whether a customer is a member of a segment.

    Attributes:
        before: as the ledger has it.
        without: after an update with today's row.
        after: after an update with the changed row.
        suppressed: the entry or exit would fire no campaign: the first evaluation under a version of the segment.
        frozen: the columns without which the segment cannot be evaluated.
    """

    segment: str
    before: bool
    without: bool
    after: bool
    suppressed: bool = False
    frozen: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """A computed fact, with today's row and with the changed one; null as None."""

    fact: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would be decided.

    Attributes:
        customer_id: the customer.
        as_of: the time of the event.
        changes: the changed facts.
        memberships: of each segment, in the order of the definitions.
        scores: the facts that models and RFM add, by name.
        decisions: with the changed facts.
        without: with today's facts.
        notes: what limits the answer, in sentences.
    """

    customer_id: str
    as_of: datetime
    changes: Sequence[FactChange]
    memberships: Sequence[MembershipChange]
    scores: Sequence[Score]
    decisions: Sequence[Decision]
    without: Sequence[Decision]
    notes: Sequence[str]

    def is_caused(self, decision: Decision) -> bool:
        """Return whether today's row would not lead to this decision."""
        return _result(decision) not in map(_result, self.without)

    @property
    def prevented(self) -> Sequence[Decision]:
        """The decisions that today's row would lead to, about campaigns that the changed row decides not at all."""
        decided = {each.candidate.trigger_id for each in self.decisions}
        return [each for each in self.without if each.candidate.trigger_id not in decided]


@dataclass(frozen=True, slots=True)
class _Run:
    """The steps' results of one row."""

    facts: FeatureTable
    held: Collection[str]
    transitions: Transitions
    decisions: Sequence[Decision]


def find_what_if(
    settings: Settings,
    customer_id: str,
    *,
    values: Mapping[str, str],
    nulls: Collection[str],
    at: datetime | None = None,
) -> WhatIf:
    """Return what would be decided about a customer at an update with changed facts.

    Args:
        settings: where customers, the ledger, models and definitions are.
        customer_id: the customer.
        values: the changed facts as text, by name.
        nulls: the facts that become null.
        at: the time of the update; None for now.

    Raises:
        FactChangeError: a fact is unknown, or a value is of another type than the fact.
        WarehouseError: the warehouse cannot be read, or has no such customer.
        LedgerUnavailableError: the ledger cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    return asyncio.run(_ask(settings, customer_id, values, nulls, at or datetime.now(UTC)))


async def _ask(
    settings: Settings, customer_id: str, values: Mapping[str, str], nulls: Collection[str], at: datetime
) -> WhatIf:
    definitions = read_definitions(settings)
    scorers, fallbacks = load_models(settings, definitions.offers), ModelFallbacks()
    async with opened(find_warehouse(settings)) as warehouse, open_ledger(settings, read_only=True) as ledger:
        row = await fetch_customer(warehouse, customer_id)
        known = known_facts(row, scorers, marks_stale=settings.updated_at_column is not None)
        check_facts(definitions, known, settings.features_table)
        pinned = definitions.pin(known)
        activations = await ledger.read_activations(pinned.segments, pinned.campaigns)
        unused = [each for each in pinned.segments if each.key not in activations]
        inactive = {each.key: Activation(each.version, at) for each in unused}
        config = build_config(scorers, pinned, {**activations, **inactive}, select_guardrails(settings))
        if settings.updated_at_column is not None:
            row = row.with_columns({STALE: np.zeros(1, dtype=np.bool_)})
        today = await _run(config, ledger, row, at, fallbacks)
        changes = read_changes(today.facts, values, nulls, scorers)
        changed = await _run(config, ledger, row, at, fallbacks, changes)
    scored = sorted(SCORE_FACTS & today.facts.columns.keys())
    return WhatIf(
        customer_id,
        at,
        changes,
        [_compare(each.key, today, changed) for each in pinned.segments],
        [Score(each, _cell(today, each), _cell(changed, each)) for each in scored],
        changed.decisions,
        today.decisions,
        [*_describe_limits(unused, scorers), *fallbacks.describe(scorers.versions)],
    )


async def _run(
    config: DecisionConfig,
    ledger: PostgresLedger,
    row: FeatureTable,
    at: datetime,
    fallbacks: ModelFallbacks,
    changes: Sequence[FactChange] = (),
) -> _Run:
    """Take one row through the worker's steps, except the commit."""
    (customer_id,) = row.customer_ids
    read = {each.fact for each in changes if not each.is_computed}
    changed = change_columns(row, [each for each in changes if each.fact in read])
    pipeline = Pipeline(FeatureStore(_OneRow(changed), _NoCache()), ledger, config, fallbacks=fallbacks)
    refreshed = await pipeline.refresh(Decoded(EventsByKind(updated=[_announce(customer_id, at)]), ()))
    prepared = pipeline.score(refreshed, (), config)
    computed = [each for each in changes if each.is_computed]
    given = {each.fact for each in computed}
    prepared = replace(
        prepared, unavailable={fact: names for fact, names in prepared.unavailable.items() if fact not in given}
    )
    state = await pipeline.load(prepared)
    folded = pipeline.fold(prepared, state)
    folded = replace(folded, facts=change_columns(folded.facts, computed, config.scorers.rfm))
    transitions = pipeline.classify(prepared, state, folded)
    evaluated = pipeline.evaluate(prepared, state, folded, transitions)
    held = state.memberships.get(customer_id)
    inside = {key for key, episode in held.members.items() if episode.is_member} if held else set()
    return _Run(folded.facts, inside, transitions, evaluated.decisions)


def _announce(customer_id: str, at: datetime) -> Event:
    """Return an update of the customer that arrives when it occurs."""
    wire = WireEvent(id=EVENT_ID, type="customer.updated", customer_id=customer_id, occurred_at=at)
    record = FetchedRecord("", 0, 0, int(at.timestamp() * 1000), customer_id.encode(), None, ())
    return Event(wire, record, customer_id, "customer")


def _compare(segment: str, today: _Run, changed: _Run) -> MembershipChange:
    moved = [each for each in changed.transitions.changes if each.segment == segment]
    return MembershipChange(
        segment,
        segment in changed.held,
        bool(today.transitions.members[segment][0]),
        bool(changed.transitions.members[segment][0]),
        any(each.suppressed for each in moved),
        changed.transitions.frozen.get(segment, ()),
    )


def _cell(run: _Run, fact: str) -> Any:
    return plain(run.facts.columns[fact][0])


def _result(decision: Decision) -> tuple[Any, ...]:
    offer = decision.offer.offer.id if decision.offer else None
    return decision.candidate.trigger_id, decision.outcome, decision.reason, decision.channel, offer, decision.message


def _describe_limits(unused: Sequence[Any], scorers: Scorers) -> list[str]:
    notes = [
        f"no worker has started with segment {each.key} as it is defined now: its first evaluation would be suppressed"
        for each in unused
    ]
    return [*notes, *(f"{model}: the rules score, {why}" for model, why in scorers.reasons.items())]


class _OneRow:
    """A warehouse that has one row."""

    def __init__(self, row: FeatureTable) -> None:
        self._row = row

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return the row."""
        _ = customer_ids
        return self._row


class _NoCache:
    """A cache that holds nothing."""

    async def read(self, customer_ids: Sequence[str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Find nothing, and grant no lease."""
        _ = customer_ids
        return {}, {}

    async def fill(self, rows: Mapping[str, bytes], leases: Mapping[str, bytes]) -> None:
        """Store nothing."""

    async def invalidate(self, customer_ids: Sequence[str]) -> None:
        """Remove nothing."""
