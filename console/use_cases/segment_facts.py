"""The facts that a segment's rules read, of every customer of the warehouse, as a worker would have them now.

Only what the rules need is read: the columns behind them, the scores if they read one, and the signals of conversations
and feedback of staff if they read one. One table of the scan is in memory at a time.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from campaigns.feedback import ALWAYS_VIP
from campaigns.ports import LedgerFacts
from campaigns.unknown_facts import refuse_unknown_facts
from features.insights import add_insights, find_kinds
from features.signals import as_columns
from features.times import EVENT_TIME, STALE, event_times
from models.facts import SCORE_FACTS, facts_read
from models.scores import score_customers
from models.sources import unavailable_facts
from models.tasks.registry import TASKS
from segments.errors import SegmentsError
from streams.known_facts import known_facts
from streams.staff_feedback import feedback_columns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
    from datetime import datetime

    from campaigns.ports import LedgerState
    from campaigns.postgres_ledger import PostgresLedger
    from features.ports import WarehouseConnection
    from features.table import FeatureTable
    from models.fallbacks import ModelFallbacks
    from models.registry import Scorers
    from segments.definition import Segment
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class FactPlan:
    """What must be read to evaluate a segment.

    Attributes:
        segment: it needs the facts that its rules read on this view, see Segment.pin.
        facts: the names of the facts that its rules read, sorted.
        columns: the view's columns behind them, sorted.
        has_scores: whether a rule reads what the models add.
        has_signals: whether a rule reads what conversations add up to.
        has_feedback: whether a rule reads feedback of staff.
        insights: the kinds of insights that a rule reads.
        scored_by: the version that serves for each model behind the facts, `rules` where a rule stands in.
    """

    segment: Segment
    facts: tuple[str, ...]
    columns: tuple[str, ...]
    has_scores: bool
    has_signals: bool
    has_feedback: bool
    insights: Sequence[str]
    scored_by: Mapping[str, str]

    @property
    def reads_ledger(self) -> bool:
        """Whether the ledger holds some of the facts."""
        return self.has_signals or self.has_feedback or bool(self.insights)


@dataclass(frozen=True, slots=True)
class FactSources:
    """Where facts come from.

    Attributes:
        warehouse: the customers.
        ledger: what is known of them; None where it is not needed.
        scorers: the models.
        fallbacks: counts customers scored by a rule although a model serves.
        as_of: the time of the facts.
    """

    warehouse: WarehouseConnection
    ledger: PostgresLedger | None
    scorers: Scorers
    fallbacks: ModelFallbacks
    as_of: datetime


def plan_facts(
    segment: Segment,
    view: FeatureTable,
    scorers: Scorers,
    settings: Settings,
    name: str,
    also: Collection[str] = (),
) -> FactPlan:
    """Return what must be read to evaluate a segment.

    Args:
        segment: the segment.
        view: the view's columns; it needs no rows.
        scorers: the models.
        settings: they say whether rows have a time of change.
        name: the name of the view, for messages.
        also: more facts that are needed.

    Raises:
        CampaignDefinitionError: a rule reads a fact that no source supplies.
        SegmentsError: a rule reads a score that cannot be computed, so a worker would not evaluate the segment.
    """
    known = known_facts(view, scorers, marks_stale=settings.updated_at_column is not None)
    refuse_unknown_facts([segment], [], known, name)
    pinned = segment.pin(known)
    facts = facts_of(pinned)
    if missing := find_missing_columns(facts, view, scorers):
        raise SegmentsError(f"{segment.file}: {missing}")
    facts |= frozenset(also)
    has_scores = not facts.isdisjoint(SCORE_FACTS)
    read = facts | facts_read(scorers) if has_scores else facts
    return FactPlan(
        pinned,
        tuple(sorted(facts)),
        tuple(sorted(read & view.columns.keys())),
        has_scores,
        not facts.isdisjoint(SIGNAL_FACTS),
        ALWAYS_VIP in facts,
        find_kinds(facts),
        {name: scorers.versions[name] for name, task in TASKS.items() if not facts.isdisjoint(task.facts)},
    )


SIGNAL_FACTS = frozenset(as_columns({}, (), {}))
"""What conversations add up to."""


def facts_of(pinned: Segment) -> frozenset[str]:
    """Return the names of the facts that a pinned segment reads, one of each `var`."""
    reads = pinned.rule.reads | (pinned.exit_rule.reads if pinned.exit_rule else frozenset())
    return frozenset(names[0] for names in reads)


def find_missing_columns(facts: frozenset[str], view: FeatureTable, scorers: Scorers) -> str:
    """Return a sentence about scores that cannot be computed on a view, empty if there are none."""
    unavailable = unavailable_facts(view.columns, (), scorers)
    return "; ".join(
        f"reads {fact!r}, which cannot be computed, because the view has no {', '.join(sorted(missing))}: no "
        "customer would enter or leave"
        for fact, missing in sorted(unavailable.items())
        if fact in facts
    )


async def read_facts(
    plan: FactPlan, sources: FactSources, *, also: Sequence[str] = ()
) -> AsyncGenerator[tuple[FeatureTable, LedgerState | None], None]:
    """Yield the facts of all customers, and what the ledger has of them, in the order of the scan.

    Args:
        plan: what to read.
        sources: where from.
        also: more columns of the view.

    Raises:
        WarehouseError: the warehouse cannot be read.
        LedgerUnavailableError: the ledger cannot be read.
    """
    ledger, needed = sources.ledger, LedgerFacts(insights=plan.insights)
    async with aclosing(sources.warehouse.scan([*plan.columns, *also])) as tables:
        async for table in tables:
            state = await ledger.read(table.customer_ids, [], facts=needed) if ledger else None
            yield add_facts(table, plan, sources, state), state


def add_facts(table: FeatureTable, plan: FactPlan, sources: FactSources, state: LedgerState | None) -> FeatureTable:
    """Return the table with the facts that Holdfast adds, as far as the plan needs them.

    The next event of a customer reads the row again, so none is stale.
    """
    if plan.has_scores:
        table = score_customers(table, sources.scorers, sources.fallbacks)
    if plan.has_signals:
        table = table.with_columns(as_columns(state.signals if state else {}, table.customer_ids, sources.as_of))
    if plan.has_feedback:
        histories, as_of = (state.contact_histories if state else {}), dict.fromkeys(table.customer_ids, sources.as_of)
        table = table.with_columns(feedback_columns(histories, table.customer_ids, as_of))
    if plan.insights:
        table = add_insights(table, state.insights if state else {}, plan.insights)
    if EVENT_TIME in plan.facts:
        table = table.with_columns({EVENT_TIME: event_times([sources.as_of] * len(table))})
    if STALE in plan.facts:
        table = table.with_columns({STALE: np.zeros(len(table), dtype=np.bool_)})
    return table
