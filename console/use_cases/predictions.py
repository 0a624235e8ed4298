"""Predictions of one customer, some customers, a segment or all: the service behind the command and HTTP.

Rows are read from the warehouse, never from the cache, and nothing is written. Scores and facts are the worker's own,
see models/predictions.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from campaigns.offers import find_conditions
from campaigns.recommendations import recommend
from console.errors import PredictionError
from console.use_cases.ledger import open_ledger
from console.use_cases.segment_choice import choose_segment
from console.use_cases.segment_facts import FactSources, add_facts, plan_facts, read_facts
from console.use_cases.warehouse_check import describe_view
from features.warehouses import opened
from models.confidence import explain_confidence
from models.fallbacks import ModelFallbacks
from models.predictions import RFM, as_objects, columns_read, predict
from models.reasons import ScoreExplainer, explain_absence
from models.rfm import rfm_columns
from models.sources import unavailable_facts
from models.tasks.churn import Churn
from models.tasks.nbo import NextBestOffer
from models.tasks.registry import TASKS
from segments.definition import build_segment
from streams.definitions import read_definitions
from streams.known_facts import known_facts
from streams.runtime.model_reload import load_models
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from campaigns.definition import DefinitionSet
    from console.use_cases.segment_facts import FactPlan
    from features.ports import WarehouseConnection
    from features.table import FeatureTable
    from models.reasons import Explainer
    from models.registry import Scorers
    from segments.definition import Segment
    from streams.settings import Settings

EVERYBODY = build_segment({"key": "everybody", "name": "Everybody"}, where="")


@dataclass(frozen=True, slots=True)
class Answers:
    """The predictions of some customers.

    Attributes:
        predictions: JSON objects of the shapes in models/schemas, in the order of the ids asked for.
        problems: a sentence for each id that has no prediction, by id.
        notes: a sentence for each thing that they lack.
        offers: the names of the offers, by id.
    """

    predictions: Sequence[dict[str, Any]]
    problems: Mapping[str, str]
    notes: Sequence[str]
    offers: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Page:
    """Predictions of some customers of a scan.

    Attributes:
        predicted: one row each, see models.predictions.column_types.
        read: how many customers were read, the others not being in the segment.
        facts: the customers' columns behind them.
    """

    predicted: FeatureTable
    read: int
    facts: FeatureTable


@dataclass(frozen=True, slots=True)
class PredictionService:
    """Makes predictions with the models, definitions and warehouse of the settings.

    Attributes:
        settings: the settings.
        warehouse: open.
        view: its columns, without rows.
        scorers: what serves.
        definitions: the offers and segments.
        explainer: finds the reasons of churn.
        fallbacks: counts customers scored by a rule although a model serves.
    """

    settings: Settings
    warehouse: WarehouseConnection
    view: FeatureTable
    scorers: Scorers
    definitions: DefinitionSet
    explainer: Explainer
    fallbacks: ModelFallbacks = field(default_factory=ModelFallbacks)

    async def answer(self, kind: str, customer_ids: Sequence[str]) -> Answers:
        """Return the predictions of some customers.

        Raises:
            WarehouseError: the warehouse cannot be read.
            LedgerUnavailableError: the rule of an offer reads conversations, and the ledger cannot be read.
            PredictionError: the view lacks a column without which nothing can be said.
        """
        wanted = list(dict.fromkeys(customer_ids))
        table = await self.warehouse.fetch(wanted)
        rows = Counter(table.customer_ids)
        places = {customer: place for place, customer in enumerate(table.customer_ids)}
        table = table.take([places[each] for each in wanted if rows[each] == 1])
        plan = self._plan(kind, EVERYBODY, advises=True)
        async with self._sources(plan) as sources:
            state = await sources.ledger.read(table.customer_ids, []) if sources.ledger else None
            facts = add_facts(table, plan, sources, state)
        predictions = self.describe(kind, self._predict(kind, facts), facts)
        problems = {each: _describe_rows(each, rows[each]) for each in wanted if rows[each] != 1}
        names = {place: offer.name for place, offer in self.definitions.offers.items()}
        return Answers(predictions, problems, self.notes(kind), names)

    async def scan(
        self, kind: str, segment: Segment | None = None, *, describes: bool = False
    ) -> AsyncGenerator[Page, None]:
        """Yield the predictions of all customers, or of those for whom the rule of a segment holds now.

        One page is in memory at a time; a page may be empty.

        Args:
            kind: what to predict.
            segment: None for all customers.
            describes: whether the pages will be given to `describe`.

        Raises:
            WarehouseError, LedgerUnavailableError, PredictionError: as for `answer`.
            CampaignDefinitionError, SegmentsError: the segment cannot be evaluated on the view.
        """
        plan = self._plan(kind, replace(segment, exit_rule=None) if segment else EVERYBODY, advises=describes)
        columns = columns_read(kind, self.scorers)
        if _reads_offers(kind, advises=describes):
            columns |= columns_read(NextBestOffer.name, self.scorers)
        async with (
            self._sources(plan) as sources,
            aclosing(read_facts(plan, sources, also=tuple(columns))) as tables,
        ):
            async for table, _ in tables:
                facts = table
                if segment is not None:
                    facts = table.take(np.flatnonzero(plan.segment.rule.evaluate(table)))
                yield Page(self._predict(kind, facts), len(table), facts)
        # A warehouse without rows still has the columns of its predictions.
        yield Page(self._predict(kind, self.view), 0, self.view)

    def describe(self, kind: str, predicted: FeatureTable, facts: FeatureTable) -> list[dict[str, Any]]:
        """Return predictions as JSON objects, of churn with reasons and recommendations.

        Args:
            kind: what was predicted.
            predicted: the predictions.
            facts: the customers' columns, in the same order.
        """
        if kind == RFM or not TASKS[kind].is_explained or not len(facts):
            return as_objects(kind, predicted)
        # A model may read RFM, which a scan has only where a rule needs scores.
        reasons = self.explainer.explain(facts.with_columns(rfm_columns(facts, self.scorers.rfm)))
        best = self._predict(NextBestOffer.name, facts).columns["recommended_offer"]
        offers = self.definitions.offers
        advice = [
            recommend(predicted.row(place), reasons[place], None if best[place] is None else offers[best[place]])
            for place in range(len(facts))
        ]
        return as_objects(kind, predicted, reasons, advice)

    def notes(self, kind: str) -> list[str]:
        """Return a sentence for each thing that predictions of a kind lack: a model, its reasons, its confidence."""
        if kind == RFM:
            return []
        if kind in self.scorers.reasons:
            return [f"{kind}: the rules score, {self.scorers.reasons[kind]}"]
        refused = [self.scorers.refused[kind]] if kind in self.scorers.refused else []
        versions: dict[str, str] = {name: each for name, each in self.scorers.versions.items() if name == kind}
        missing = [
            explain_absence(kind, self.scorers) if TASKS[kind].is_explained else None,
            explain_confidence(self.scorers[kind]),
        ]
        return [*refused, *self.fallbacks.describe(versions), *filter(None, missing)]

    def _predict(self, kind: str, facts: FeatureTable) -> FeatureTable:
        if kind != NextBestOffer.name:
            return predict(kind, facts, self.scorers, self.fallbacks)
        offers = self.definitions.offers
        conditions = find_conditions(offers, facts, unavailable_facts(self.view.columns, (), self.scorers))
        refused = dict(conditions.refused) if conditions else {}
        margins = [offers[place].margin for place in sorted(offers)]
        return predict(kind, facts, self.scorers, self.fallbacks, margins=margins, refused=refused)

    def _plan(self, kind: str, segment: Segment, *, advises: bool) -> FactPlan:
        """Return what must be read: what the segment's rule reads, and the rules of offers where those count.

        Raises:
            PredictionError: RFM cannot be computed from the view.
        """
        unavailable = unavailable_facts(self.view.columns, (), self.scorers)
        if kind == RFM and "rfm_segment" in unavailable:
            missing = ", ".join(sorted(unavailable["rfm_segment"]))
            raise PredictionError(
                f"rfm cannot be computed: {describe_view(self.settings)} has no {missing}; add it to the view"
            )
        facts = (
            frozenset[str]().union(*(each.facts for each in self.definitions.offers.values()))
            if _reads_offers(kind, advises=advises)
            else ()
        )
        return plan_facts(segment, self.view, self.scorers, self.settings, describe_view(self.settings), facts)

    @asynccontextmanager
    async def _sources(self, plan: FactPlan) -> AsyncIterator[FactSources]:
        async with AsyncExitStack() as stack:
            reads_ledger = plan.reads_ledger
            ledger = (
                await stack.enter_async_context(open_ledger(self.settings, read_only=True)) if reads_ledger else None
            )
            yield FactSources(self.warehouse, ledger, self.scorers, self.fallbacks, datetime.now(UTC))


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[PredictionService]:
    """Lend the service for the block.

    Raises:
        WarehouseError: the warehouse cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    definitions = read_definitions(settings)
    scorers = load_models(settings, definitions.offers)
    async with opened(find_warehouse(settings)) as warehouse:
        view = await warehouse.fetch([])
        known = known_facts(view, scorers, marks_stale=settings.updated_at_column is not None)
        definitions = definitions.pin(known)
        yield PredictionService(settings, warehouse, view, scorers, definitions, ScoreExplainer(Churn.name, scorers))


def predict_customers(settings: Settings, kind: str, customer_ids: Sequence[str]) -> Answers:
    """Return the predictions of some customers.

    Raises:
        WarehouseError, LedgerUnavailableError, PredictionError: see `PredictionService.answer`.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """

    async def ask() -> Answers:
        async with open_service(settings) as service:
            return await service.answer(kind, customer_ids)

    return asyncio.run(ask())


def predict_segment(
    settings: Settings,
    kind: str,
    segment: str | None,
    take: Callable[[PredictionService, Page], None],
    *,
    describes: bool = False,
) -> Sequence[str]:
    """Hand over the predictions of a segment or of all customers, page by page; return the notes on them.

    Args:
        settings: where customers, models and definitions are.
        kind: what to predict.
        segment: its key, or a definition file; None for all customers.
        take: receives each page; a page may be empty.
        describes: whether the pages will be given to `PredictionService.describe`.

    Raises:
        WarehouseError, LedgerUnavailableError, PredictionError, SegmentsError, CampaignError, ModelError: as above.
    """

    async def run() -> Sequence[str]:
        async with open_service(settings) as service:
            chosen = None if segment is None else choose_segment(service.definitions.segments, segment)
            async with aclosing(service.scan(kind, chosen, describes=describes)) as pages:
                async for page in pages:
                    take(service, page)
            return service.notes(kind)

    return asyncio.run(run())


def _reads_offers(kind: str, *, advises: bool) -> bool:
    """Return whether the offers that customers may get count: for themselves, or in what is recommended."""
    return kind == NextBestOffer.name or (advises and kind != RFM and TASKS[kind].is_explained)


def _describe_rows(customer_id: str, rows: int) -> str:
    if not rows:
        return f"the warehouse has no customer {customer_id!r}; check the id"
    return f"the warehouse has {rows} rows of customer {customer_id!r}; leave one"
