"""How many customers a segment's rule holds for now, over the whole view."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from console.use_cases.ledger import open_ledger
from console.use_cases.segment_choice import choose_segment
from console.use_cases.segment_facts import FactSources, plan_facts, read_facts
from console.use_cases.warehouse_check import describe_view
from features.warehouses import opened
from models.fallbacks import ModelFallbacks
from streams.definitions import read_definitions
from streams.runtime.model_reload import load_models
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.use_cases.segment_facts import FactPlan
    from features.table import FeatureTable
    from models.registry import Scorers
    from segments.definition import Segment
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Example:
    """A customer, with the facts that a segment's rules read."""

    customer_id: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SegmentPreview:
    """For how many customers a segment's rule holds.

    Attributes:
        segment: the segment; its exit rule plays no part here.
        view: the table, view or file.
        matching: the customers for whom the rule holds.
        customers: the customers read, one per row.
        examples: the first of the matching ones, in the order of the warehouse.
        scored_by: the version of each model that the rule depends on, or `rules`.
        substitutions: a sentence for each model that a rule replaced for some customers.
        is_complete: whether every customer was counted before the time was up.
    """

    segment: Segment
    view: str
    matching: int
    customers: int
    examples: Sequence[Example]
    scored_by: Mapping[str, str]
    substitutions: Sequence[str]
    is_complete: bool = True

    @property
    def share(self) -> float:
        """The share of matching customers, from 0 to 1; 0 of an empty view."""
        return self.matching / self.customers if self.customers else 0.0


def preview_segment(
    settings: Settings, name: str | Segment, *, limit: int, within_s: float = math.inf
) -> SegmentPreview:
    """Return for how many customers the rule of a segment holds now.

    Args:
        settings: where customers, models and definitions are.
        name: a segment, the key of one, or a definition file.
        limit: the largest number of examples.
        within_s: no more customers are counted after so many seconds, but for the first of them.

    Raises:
        WarehouseError: the warehouse cannot be read.
        LedgerUnavailableError: the rule reads conversations, and the ledger cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    definitions = read_definitions(settings)
    segment = choose_segment(definitions.segments, name)
    return asyncio.run(_preview(settings, segment, load_models(settings, definitions.offers), limit, within_s))


async def _preview(
    settings: Settings, segment: Segment, scorers: Scorers, limit: int, within_s: float
) -> SegmentPreview:
    view, begun, is_complete = describe_view(settings), time.monotonic(), True
    async with AsyncExitStack() as stack:
        warehouse = await stack.enter_async_context(opened(find_warehouse(settings)))
        # The exit rule plays no part: what only that one reads is not read.
        plan = plan_facts(replace(segment, exit_rule=None), await warehouse.fetch([]), scorers, settings, view)
        reads_ledger = plan.reads_ledger
        ledger = await stack.enter_async_context(open_ledger(settings)) if reads_ledger else None
        sources = FactSources(warehouse, ledger, scorers, ModelFallbacks(), datetime.now(UTC))
        matching = customers = 0
        examples: list[Example] = []
        async with aclosing(read_facts(plan, sources)) as tables:
            async for table, _ in tables:
                if customers and time.monotonic() - begun > within_s:
                    is_complete = False
                    break
                rows = np.flatnonzero(plan.segment.rule.evaluate(table))
                matching += len(rows)
                customers += len(table)
                examples += pick_examples(table, rows[: limit - len(examples)].tolist(), plan)
    substitutions = sources.fallbacks.describe(scorers.versions)
    return SegmentPreview(segment, view, matching, customers, examples, plan.scored_by, substitutions, is_complete)


def pick_examples(table: FeatureTable, rows: Sequence[int], plan: FactPlan) -> list[Example]:
    """Return the customers of some rows, with the facts that the plan's rules read."""
    facts = table.take(rows)
    return [
        Example(customer, {name: cells[name] for name in plan.facts})
        for place, customer in enumerate(facts.customer_ids)
        for cells in [facts.row(place)]
    ]
