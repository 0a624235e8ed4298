"""The composition root of a replay: the worker of streams/runtime with another source, ledger and sink.

    source   the records of a past period, in one order              kafka/history.py
    features as of the events                                        feature_history.py
    ledger   scratch tables in a schema of their own                 campaigns/postgres_replays.py
    sink     the shadow topic                                        kafka/shadow_sink.py

Nothing else is written: no live table, no cache, no offset, no live topic.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from campaigns.postgres_replays import ReplayLedger, ReplayProgress, scratch_url
from campaigns.recorded_facts import RecordedFacts
from features.postgres_warehouse import PostgresWarehouse
from features.signals import Signals, fold
from features.store import FeatureStore
from models.fallbacks import ModelFallbacks
from streams.activation import activate, select_guardrails
from streams.adapters import build_decoder, open_schemas, open_warehouse
from streams.customers import messages_by_customer, unseen
from streams.errors import ReplayError
from streams.feature_history import FeatureHistory, NoFeatureCache
from streams.kafka.connection import describe_connection
from streams.kafka.history import HistoryReader, HistorySource, Period
from streams.kafka.shadow_sink import ShadowSink
from streams.known_facts import check_facts, known_facts
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.pipeline import Pipeline
from streams.runtime.history_batches import TOGETHER_MS, Position
from streams.runtime.memory import freeze_memory
from streams.runtime.partition_leases import Assignment
from streams.runtime.retry import RetryPolicy
from streams.runtime.worker import Worker
from streams.schema_registry import SchemaRegistry, collect_with_schemas
from streams.tasks import end
from streams.topic_descriptions import SHADOW

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from campaigns.definition import DefinitionSet
    from campaigns.postgres_ledger import PostgresLedger
    from campaigns.postgres_replays import PostgresReplay
    from features.ports import WarehouseConnection
    from models.registry import Scorers
    from streams.decision_config import DecisionConfig
    from streams.feature_history import PastRows
    from streams.formats.events import Decoded, Event, Record
    from streams.runtime.batching import Batch
    from streams.settings import Settings

CONVERSATIONS = "conversations"


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """What one run of a replay needs to know.

    Attributes:
        replay_id: the replay.
        begin: of the period.
        end: of the period.
        period: what is left to read.
        customers: whose events are decided; None is every customer.
        definitions: the rules, campaigns and offers.
        scorers: the models.
        together_ms: records of a customer that arrived within this time are decided together.
        records: decided by earlier runs.
        seconds: taken by earlier runs.
    """

    replay_id: str
    begin: datetime
    end: datetime
    period: Period
    customers: frozenset[str] | None
    definitions: DefinitionSet
    scorers: Scorers
    together_ms: int = TOGETHER_MS
    records: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Chosen:
    """Decodes records, keeps the events of some customers, and notes the times of all that it keeps."""

    decode: Callable[[Sequence[Record]], Decoded]
    customers: Collection[str] | None
    first: datetime | None = None
    last: datetime | None = None

    def __call__(self, records: Sequence[Record]) -> Decoded:
        """Decode records."""
        decoded = self.decode(records)
        if self.customers is not None:
            decoded = keep_customers(decoded, self.customers)
        if times := [event.wire.occurred_at for event in decoded.events]:
            self.first = min(times) if self.first is None else min(self.first, *times)
            self.last = max(times) if self.last is None else max(self.last, *times)
        return decoded


@dataclass(slots=True)
class _Progress:
    """How far a replay has come, for its ledger and for people."""

    run: ReplayRun
    source: HistorySource
    chosen: Chosen
    on_progress: Callable[[int, int], None]
    positions: dict[tuple[str, int], Position] = field(init=False)
    records: int = field(init=False)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.positions = dict(self.run.period.begins)
        self.records = self.run.records

    def store(self) -> ReplayProgress:
        """Return how far the replay has come with the batch that is being committed."""
        ends, records = self.source.committing
        seconds = self.run.seconds + time.monotonic() - self.began
        return ReplayProgress(
            encode_positions({**self.positions, **ends}), records, self.chosen.first, self.chosen.last, seconds
        )

    def note_committed(self) -> None:
        """Go on with the next batch."""
        ends, records = self.source.committing
        self.positions.update(ends)
        self.records += records
        self.source.note_committed()
        self.on_progress(self.records, self.run.records + self.run.period.records)


async def run_replay(
    settings: Settings,
    run: ReplayRun,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> None:
    """Decide every record of a period that is left; it ends with the last one.

    Args:
        settings: those of the workers.
        run: what to replay.
        on_progress: called with the records decided, and how many there are.
        on_wait: called with a sentence when it waits for a service.

    Raises:
        HoldfastStreamError, CampaignError, FeaturesError, SegmentsError, ModelError: it cannot run; the message says
            why.
    """
    if not run.period.records:
        return
    async with AsyncExitStack() as stack:
        reader = HistoryReader(settings)
        stack.push_async_callback(reader.close)
        await reader.open()
        source = HistorySource(reader, run.period, most=settings.batch_events, together_ms=run.together_ms)
        schemas = open_schemas(settings)
        chosen = Chosen(build_decoder(settings, schemas), run.customers)
        progress = _Progress(run, source, chosen, on_progress)
        ledger = ReplayLedger(scratch_url(settings.ledger_url, run.replay_id), progress.store, progress.note_committed)
        stack.push_async_callback(ledger.close)
        await ledger.open()
        history, store, config = await open_history(settings, run, stack, ledger)
        health = Health()
        retry = RetryPolicy(health)
        collect: Callable[[], Awaitable[Batch]] = source.collect
        if schemas is not None:
            collect = collect_with_schemas(collect, retry, schemas, SchemaRegistry(str(settings.schema_registry_url)))
        worker = Worker(
            collect=collect,
            acknowledge=source.acknowledge,
            assignment=partial(Assignment, 0, frozenset(number for _, number in run.period.ends)),
            pipeline=Pipeline(store, ledger, config, decode=chosen, fallbacks=ModelFallbacks(), history=history),
            ledger=ledger,
            sink=ShadowSink(
                describe_connection(settings),
                topic=settings.topic_prefix + SHADOW,
                replay_id=run.replay_id,
                options={"partitioner": settings.partitioner, "compression.type": settings.compression},
            ),
            retry=retry,
            metrics=Metrics(),
        )
        freeze_memory()
        telling = asyncio.create_task(tell_outages(health, on_wait))
        stack.push_async_callback(end, [telling])
        await _run_until(worker, source.ended)


async def tell_outages(health: Health, tell: Callable[[str], None], *, every_s: float = 1.0) -> None:
    """Say once in each outage of a service that it is waited for, until cancelled."""
    told: frozenset[str] = frozenset()
    while True:
        await asyncio.sleep(every_s)
        outages = {service: each for service, each in health.retrying.items() if each.seconds >= every_s}
        for service in outages.keys() - told:
            tell(f"waiting for the {service}: {outages[service].error}")
        told = frozenset(outages)


async def open_history(
    settings: Settings, run: ReplayRun, stack: AsyncExitStack, ledger: PostgresLedger
) -> tuple[FeatureHistory, FeatureStore, DecisionConfig]:
    """Return what reads past features, the store of today's rows, and the config of decisions."""
    warehouse = await open_warehouse(settings, stack)
    store = FeatureStore(warehouse, NoFeatureCache())
    columns = (await store.read([], fresh=())).table
    known = known_facts(columns, run.scorers, marks_stale=settings.updated_at_column is not None)
    check_facts(run.definitions, known, settings.features_table)
    config = await activate(
        ledger, run.scorers.without_changeovers(), run.definitions.pin(known), select_guardrails(settings)
    )
    recorded = RecordedFacts(settings.ledger_url)
    stack.push_async_callback(recorded.close)
    customers = None if run.customers is None else sorted(run.customers)
    await recorded.open(run.begin, run.end, customers)
    return FeatureHistory(store, recorded, find_past(settings, warehouse)), store, config


def find_past(settings: Settings, warehouse: WarehouseConnection) -> PastRows | None:
    """Return what reads past rows of the warehouse, None where the settings name no query for them.

    Raises:
        ReplayError: the warehouse takes no query.
    """
    if settings.history_query is None:
        return None
    if not isinstance(warehouse, PostgresWarehouse):
        raise ReplayError("DWH_HISTORY_QUERY needs a warehouse in PostgreSQL; leave it out to read today's rows")
    return partial(warehouse.fetch_past, settings.history_query)


async def _run_until(worker: Worker, ended: asyncio.Event) -> None:
    work = asyncio.create_task(worker.run())
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        await end([work])
    if not work.cancelled() and (error := work.exception()) is not None:
        raise error


def keep_customers(decoded: Decoded, customers: Collection[str]) -> Decoded:
    """Return the events of some customers; records that cannot be decoded belong to none."""

    def keep(events: Iterable[Event]) -> list[Event]:
        return [each for each in events if each.customer_id in customers]

    found = decoded.events
    kept = replace(
        found,
        updated=keep(found.updated),
        said=keep(found.said),
        requested=keep(found.requested),
        reported=keep(found.reported),
        snapshots=keep(found.snapshots),
        deleted=keep(found.deleted),
        reevaluated=keep(found.reevaluated),
        feedback=keep(found.feedback),
        leads=[each for each in found.leads if each.customer_id in customers],
    )
    return replace(decoded, events=kept, rejects=[])


def encode_positions(positions: dict[tuple[str, int], Position]) -> str:
    """Return positions as JSON."""
    return msgspec.json.encode([[*place, *each] for place, each in sorted(positions.items())]).decode()


def decode_positions(text: str) -> dict[tuple[str, int], Position]:
    """Return positions from JSON."""
    rows = msgspec.json.decode(text, type=list[tuple[str, int, int, int]])
    return {(topic, number): Position(offset, at) for topic, number, offset, at in rows}


async def find_period(settings: Settings, begin: datetime, end: datetime) -> Period:
    """Return the offsets of a period.

    Raises:
        BrokerUnavailableError, HistoryGoneError: the topics cannot be read.
    """
    reader = HistoryReader(settings)
    try:
        await reader.open()
        return await reader.find_period(begin, end)
    finally:
        await reader.close()


async def refold_signals(settings: Settings, replay: PostgresReplay, before: datetime, scorers: Scorers) -> None:
    """Fold the messages before a time again, for the customers whose signals the ledger has of later only.

    Raises:
        BrokerUnavailableError, HistoryGoneError: the topic cannot be read.
    """
    customers = replay.refolded()
    if not customers:
        return
    reader, topic = HistoryReader(settings), settings.topic_prefix + CONVERSATIONS
    decode = build_decoder(settings, open_schemas(settings))
    signals: dict[str, Signals] = {}
    seen: set[tuple[str, str]] = set()
    try:
        await reader.open()
        period = await reader.find_period(datetime.fromtimestamp(0, UTC), before, [topic])
        async for placed in reader.read(period):
            decoded = keep_customers(decode([each.record for each in placed]), customers)
            fresh = unseen(messages_by_customer(decoded.events.said, scorers.reader.read), seen)
            seen.update((customer, message.id) for customer, new in fresh.items() for message in new)
            signals.update({each: fold(signals.get(each, Signals()), new) for each, new in fresh.items()})
    finally:
        await reader.close()
    replay.write_signals(signals)
    if period.shortened:
        replay.note_uncertain(customers, "signals")
