"""Who would enter and who would leave a segment, compared with the memberships of the ledger."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from console.use_cases.ledger import open_ledger
from console.use_cases.segment_choice import choose_segment
from console.use_cases.segment_facts import FactSources, plan_facts, read_facts
from console.use_cases.segment_preview import pick_examples
from console.use_cases.warehouse_check import describe_view
from features.times import CUSTOMER_SINCE
from features.warehouses import opened
from models.fallbacks import ModelFallbacks
from segments.engine import Activation, classify
from streams.customers import joined_at
from streams.decision_config import find_scored
from streams.definitions import read_definitions
from streams.runtime.model_reload import load_models
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.ports import LedgerState
    from console.use_cases.segment_facts import FactPlan
    from console.use_cases.segment_preview import Example
    from features.table import FeatureTable
    from models.registry import Scorers
    from segments.definition import Segment
    from segments.engine import MembershipState, ScoredUnder, Transition
    from streams.settings import Settings


@dataclass(slots=True)
class Movement:
    """The customers who would enter, or who would leave.

    Attributes:
        customers: how many.
        silent: how many of those who enter would fire no campaign, because their first evaluation is suppressed.
        examples: the first of them, in the order of the warehouse.
    """

    customers: int = 0
    silent: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SegmentDiff:
    """What an evaluation of every customer now would change.

    Attributes:
        segment: the segment.
        view: the table, view or file.
        customers: the customers of the view, one per row.
        members: the members in the ledger now.
        kept: those of them whom only the exit rule keeps inside: neither rule holds.
        absent: those of them whom the view does not have: they stay members, because nothing evaluates them.
        entering: who would enter.
        leaving: who would leave.
        scored_by: the version of each model that the rules depend on, or `rules`.
        substitutions: a sentence for each model that a rule replaced for some customers.
    """

    segment: Segment
    view: str
    customers: int
    members: int
    kept: int
    absent: int
    entering: Movement
    leaving: Movement
    scored_by: Mapping[str, str]
    substitutions: Sequence[str]


def compare_segment(settings: Settings, name: str | Segment, *, limit: int) -> SegmentDiff:
    """Return who would enter and who would leave if every customer were evaluated now; nothing is changed.

    Args:
        settings: where customers, models, definitions and memberships are.
        name: a segment, the key of one, or a definition file, whose key says which memberships to compare with.
        limit: the largest number of examples of each kind.

    Raises:
        WarehouseError: the warehouse cannot be read.
        LedgerUnavailableError: the ledger cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    definitions = read_definitions(settings)
    segment = choose_segment(definitions.segments, name)
    return asyncio.run(_compare(settings, segment, load_models(settings, definitions.offers), limit))


async def _compare(settings: Settings, segment: Segment, scorers: Scorers, limit: int) -> SegmentDiff:
    view, now = describe_view(settings), datetime.now(UTC)
    async with opened(find_warehouse(settings)) as warehouse, open_ledger(settings) as ledger:
        plan = plan_facts(segment, await warehouse.fetch([]), scorers, settings, view)
        # A version that no worker has used is activated, silently, when one starts with it.
        activation = await ledger.find_activation(segment) or Activation(segment.version, now)
        members = await ledger.count_members(segment.key)
        sources = FactSources(warehouse, ledger, scorers, ModelFallbacks(), now)
        comparison = Comparison(plan, activation, find_scored([segment], scorers), limit)
        async with aclosing(read_facts(plan, sources, also=[CUSTOMER_SINCE])) as tables:
            async for table, state in tables:
                comparison.add(table, state)
    return SegmentDiff(
        segment,
        view,
        comparison.customers,
        members,
        comparison.kept,
        max(0, members - comparison.found),
        comparison.entering,
        comparison.leaving,
        plan.scored_by,
        sources.fallbacks.describe(scorers.versions),
    )


@dataclass(slots=True)
class Comparison:
    """The sums over the tables of a scan.

    Attributes:
        plan: the segment and what it reads.
        activation: of the segment's version.
        scored: the changeovers behind the scores.
        limit: the largest number of examples of each kind.
        found: the members among the customers.
        customers, kept, entering, leaving: see SegmentDiff.
    """

    plan: FactPlan
    activation: Activation
    scored: ScoredUnder
    limit: int
    customers: int = 0
    found: int = 0
    kept: int = 0
    entering: Movement = field(default_factory=Movement)
    leaving: Movement = field(default_factory=Movement)

    def add(self, table: FeatureTable, state: LedgerState | None) -> None:
        """Evaluate a table as a worker would, and count what that changes."""
        segment, held = self.plan.segment, state.memberships if state else {}
        activations, joined = {segment.key: self.activation}, joined_at(table)
        moved = classify([segment], table, held, activations=activations, joined_at=joined, scored=self.scored)
        inside = find_members(segment.key, table.customer_ids, held)
        self.customers += len(table)
        self.found += int(inside.sum())
        if segment.exit_rule is not None:
            stays = inside & moved.members[segment.key]
            self.kept += int((stays & ~segment.rule.evaluate(table)).sum())
        for kind, movement in (("entered", self.entering), ("exited", self.leaving)):
            self._note(movement, [each for each in moved.changes if each.kind == kind], table)

    def _note(self, movement: Movement, changes: Sequence[Transition], table: FeatureTable) -> None:
        movement.customers += len(changes)
        movement.silent += sum(each.suppressed for each in changes)
        wanted = {each.customer_id for each in changes[: self.limit - len(movement.examples)]}
        if wanted:
            rows = [place for place, customer in enumerate(table.customer_ids) if customer in wanted]
            movement.examples += pick_examples(table, rows, self.plan)


def find_members(
    segment: str, customer_ids: Sequence[str], held: Mapping[str, MembershipState]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which customers are members of a segment, shape [customers]."""
    members = {
        customer
        for customer, state in held.items()
        if (episode := state.members.get(segment)) is not None and episode.is_member
    }
    return np.fromiter((each in members for each in customer_ids), dtype=np.bool_, count=len(customer_ids))
