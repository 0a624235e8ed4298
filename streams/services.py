"""The composition root: settings in, a running worker out. Adapters are chosen here and nowhere else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from campaigns.candidates import Definitions
from campaigns.definition import load_definitions
from campaigns.guardrails import GUARDRAILS, refuse_expired
from campaigns.migrations import migrate
from campaigns.postgres_due_customers import PostgresDueCustomers
from campaigns.postgres_ledger import PostgresLedger
from campaigns.postgres_worker_sessions import PostgresWorkerSessions
from features.redis_cache import RedisFeatureCache
from features.row_age import RowAge
from features.store import FeatureStore
from features.warehouses import choose_warehouse, opened
from models.facts import facts_read
from models.fallbacks import ModelFallbacks
from streams.decision_config import DecisionConfig
from streams.due_customers import Timing, floor_s
from streams.formats.codecs import decode_records
from streams.formats.schemas import Schemas
from streams.kafka.app import AppSettings, build_app, run_app
from streams.kafka.connection import build_credentials, describe_connection
from streams.kafka.decompression import check_codecs
from streams.kafka.due_requests import DueRequestProducer
from streams.kafka.publishing import KafkaTriggerSink
from streams.kafka.topic_ids import KafkaTopicIds
from streams.kafka.topics import check_topics
from streams.known_facts import (
    check_facts,
    known_facts,
    report_consent,
    report_consent_values,
    report_missing_columns,
    report_null_rules,
)
from streams.observability.customer_digests import HIDER
from streams.observability.health import Health
from streams.observability.lag_monitor import KafkaEnds, LagMonitor
from streams.observability.liveness import commit_ages
from streams.observability.metrics import Metrics, MetricsSnapshot
from streams.observability.probes import serve_probes
from streams.observability.traces import open_traces
from streams.pipeline import Pipeline
from streams.runtime.batching import CHUNK_RECORDS, Collector, collect_traced
from streams.runtime.due_claims import DueClaims, DuePace
from streams.runtime.failure_detector import FailureDetector
from streams.runtime.memory import freeze_memory
from streams.runtime.model_reload import ModelReloader, load_models
from streams.runtime.partition_leases import Assignment
from streams.runtime.retry import RetryPolicy
from streams.runtime.worker import Worker
from streams.schema_registry import SchemaRegistry, check_avro, collect_with_schemas

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from campaigns.definition import DefinitionSet
    from campaigns.guardrails import Guardrail
    from features.ports import WarehouseConnection
    from features.unreadable_values import UnreadableValues
    from models.registry import Scorers
    from segments.engine import Activation
    from streams.kafka.app import StreamApp
    from streams.runtime.batching import Batch
    from streams.settings import Settings

log = structlog.get_logger()

SHOWN_SEGMENTS = 10
DUE_LAG = 20_000
"""With more events not yet committed, a worker claims no customers who are due."""
STAGES_S = 5.0
"""Longest wait for the stages to end before the consumer leaves its group."""


class Sources(NamedTuple):
    """The parts of a worker that health and metrics read."""

    features: FeatureStore
    unreadable: UnreadableValues
    pipeline: Pipeline
    reloader: ModelReloader
    fallbacks: ModelFallbacks
    differences: Sequence[str]
    """What the start found: topics that differ from their description, campaigns that contact no customer."""


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Run a worker until `stop` is set; it is set at the latest when the worker begins to end.

    Raises:
        HoldfastStreamError, CampaignError, FeaturesError, SegmentError, ModelError: it cannot start, for a reason
            that a person can fix; the message says which.
    """
    check_codecs()
    definitions = load_definitions(settings.definitions_dir)
    scorers = load_models(settings, definitions.offers)
    topic_differences = await asyncio.to_thread(report_topics, settings)
    await asyncio.to_thread(migrate, settings.ledger_url)
    health, metrics = Health(), Metrics()
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        warehouse = await open_warehouse(settings, stack)
        features = await open_features(settings, stack, warehouse, await ledger.cache_generation())
        columns = (await features.read([], fresh=())).table
        report_missing_columns(columns, scorers)
        known = known_facts(columns, scorers, marks_stale=settings.updated_at_column is not None)
        check_facts(definitions, known, settings.features_table)
        definitions = definitions.pin(known)
        report_null_rules(definitions.segments)
        silent_campaigns = report_consent(definitions.campaigns, columns)
        await report_consent_values(definitions.campaigns, columns, warehouse)
        config = await activate(ledger, scorers, definitions, select_guardrails(settings), settings.timing)
        fallbacks, schemas = ModelFallbacks(), open_schemas(settings)
        traces = stack.enter_context(open_traces(enabled=settings.traces, group=settings.group))
        pipeline = Pipeline(
            features,
            ledger,
            config,
            decode=partial(
                decode_records,
                topic_prefix=settings.topic_prefix,
                formats=settings.formats,
                max_bytes=settings.max_event_bytes,
                max_future_s=settings.max_future_s,
                id_field=settings.customer_id_field,
                schemas=schemas,
            ),
            fallbacks=fallbacks,
            publishes_transitions=settings.publish_transitions,
            stamp=traces.stamp,
        )
        load = partial(load_models, settings, definitions.offers)
        reloader = ModelReloader(settings.models_dir, load, pipeline.use_scorers, scorers)
        differences = [*topic_differences, *silent_campaigns]
        sources = Sources(features, warehouse.unreadable_values, pipeline, reloader, fallbacks, differences)
        health.versions = lambda: reloader.scorers.versions
        sink = await open_sink(settings, stack, ledger)
        app = build_app(app_settings(settings))
        collector = Collector(
            app.intake, app.owns, max_records=settings.batch_events, max_wait_s=settings.batch_wait_ms / 1000
        )
        retry = RetryPolicy(health)
        collect: Callable[[], Awaitable[Batch]] = collector.collect
        if schemas is not None:
            collect = collect_with_schemas(collect, retry, schemas, SchemaRegistry(str(settings.schema_registry_url)))
        worker = Worker(
            collect=collect_traced(collect, traces),
            acknowledge=app.acknowledge,
            assignment=partial(read_assignment, app),
            pipeline=pipeline,
            ledger=ledger,
            sink=sink,
            retry=retry,
            metrics=metrics,
        )
        watch = LagMonitor(
            poll=app.find_group,
            ends=KafkaEnds(describe_connection(settings)),
            count_unsent=partial(poll_ledger, ledger, pipeline),
            health=health,
            stuck_after_s=settings.stuck_after_s,
        )
        claims = await open_due_claims(settings, stack, pipeline, watch, retry, metrics)
        health.degraded = lambda: [*name_degradations(sources, app, watch), *claims.describe()]
        health.joined, health.stuck = lambda: app.consumer_generation_id > 0, watch.find_stuck
        metrics.show(partial(take_metrics_snapshot, app, worker, watch, claims, health, sources))
        server, port = await serve_probes(health, metrics, settings.health_host, settings.health_port)
        stack.push_async_callback(server.cleanup)
        log.info(
            "worker_starting",
            health_port=port,
            group=settings.group,
            versions=scorers.versions,
            rules_because=scorers.reasons,
            refused=tuple(scorers.refused.values()),
        )
        freeze_memory()
        health.ready = True
        await _run((worker, watch, reloader, claims, *open_detectors(settings, app)), app, health, stop)
        log.info("worker_stopped")


async def _run(
    working: Iterable[Worker | LagMonitor | ModelReloader | DueClaims | FailureDetector],
    app: StreamApp,
    health: Health,
    stop: asyncio.Event,
) -> None:
    """Run stages and consumer until `stop`; the stages end first, so that the last commit covers all completed work.

    Tasks that hang are awaited last: the partitions are released before.
    """
    work = [asyncio.create_task(each.run()) for each in working]
    ended = asyncio.create_task(stop.wait())
    closing = asyncio.Event()
    consume = asyncio.create_task(run_app(app, closing))
    await asyncio.wait({*work, ended, consume}, return_when=asyncio.FIRST_COMPLETED)
    health.ready = False
    stop.set()  # an error ends the worker too, within the shutdown limit
    for task in (*work, ended):
        task.cancel()
    await asyncio.wait(work, timeout=STAGES_S)
    closing.set()
    await consume
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def report_topics(settings: Settings) -> Sequence[str]:
    """Log how topics differ from their description, and return it."""
    differences = check_topics(settings)
    for difference in differences:
        log.warning("topic_differs", difference=difference)
    return differences


async def open_ledger(settings: Settings, stack: AsyncExitStack) -> PostgresLedger:
    """Return the ledger, under whose key logs name customers from now on; the stack closes its connections.

    Raises:
        LedgerUnavailableError: it cannot be opened; the message says why.
    """
    ledger = PostgresLedger(settings.ledger_url)
    stack.push_async_callback(ledger.close)
    await ledger.open()
    HIDER.key = await ledger.digest_key()
    return ledger


async def open_warehouse(settings: Settings, stack: AsyncExitStack) -> WarehouseConnection:
    """Return the warehouse; the stack closes its connections.

    Raises:
        WarehouseUnavailableError, WarehouseLayoutError: the warehouse cannot be used.
    """
    warehouse = await stack.enter_async_context(opened(find_warehouse(settings)))
    if unknown := warehouse.unknown_private_columns:
        log.warning("private_columns_unknown", setting="HOLDFAST_PRIVATE_COLUMNS", columns=unknown)
    return warehouse


def find_warehouse(settings: Settings) -> WarehouseConnection:
    """Return the warehouse of the settings, not open yet."""
    return choose_warehouse(
        settings.warehouse_url,
        settings.features_table,
        id_column=settings.customer_id_column,
        private_columns=settings.private_columns,
    )


async def open_features(
    settings: Settings, stack: AsyncExitStack, warehouse: WarehouseConnection, generation: int
) -> FeatureStore:
    """Return the feature store; the stack closes the cache's connections.

    Raises:
        ServiceAddressError: the cache refuses the user or the password.
    """
    cache = RedisFeatureCache(settings.redis_url, ttl_seconds=settings.cache_ttl_s, ca_file=settings.redis_ca_file)
    stack.push_async_callback(cache.close)
    await cache.open()
    return FeatureStore(warehouse, cache, generation=generation, row_age=find_row_age(settings))


def open_detectors(settings: Settings, app: StreamApp) -> Sequence[FailureDetector]:
    """Return what detects dead workers; nothing for a static member, which keeps its partitions when it restarts."""
    if settings.instance_id is not None:
        return ()
    return (FailureDetector(PostgresWorkerSessions(settings.ledger_url), lambda: app.member_id, app.remove_member),)


def open_schemas(settings: Settings) -> Schemas | None:
    """Return where schemas are kept, None without a schema registry.

    Raises:
        MissingPackageError: a schema registry is set, and Avro cannot be read.
    """
    if settings.schema_registry_url is None:
        return None
    check_avro()
    return Schemas()


def find_row_age(settings: Settings) -> RowAge | None:
    """Return what compares rows with their events, None where no column has the time of a row's change."""
    if settings.updated_at_column is None:
        return None
    tolerance_s, wait_s = settings.replica_tolerance_s, settings.replica_wait_s
    return RowAge(settings.updated_at_column, tolerance_s=tolerance_s, wait_s=wait_s)


async def open_sink(settings: Settings, stack: AsyncExitStack, ledger: PostgresLedger) -> KafkaTriggerSink:
    """Return the sink that publishes this ledger's outbox."""
    sink = KafkaTriggerSink(
        describe_connection(settings),
        group=settings.group,
        ledger_id=await ledger.ledger_id(),
        topics=settings.output_topics,
        progress_topic=settings.input_topics[0],
        options={"partitioner": settings.partitioner, "compression.type": settings.compression},
    )
    stack.callback(sink.close)
    return sink


async def open_due_claims(
    settings: Settings,
    stack: AsyncExitStack,
    pipeline: Pipeline,
    watch: LagMonitor,
    retry: RetryPolicy,
    metrics: Metrics,
) -> DueClaims:
    """Return what claims customers who are due; the stack closes its connection.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached.
    """
    customers = PostgresDueCustomers(settings.ledger_url)
    stack.push_async_callback(customers.close)
    await customers.open()
    by_events = settings.due_clock == "events"
    return DueClaims(
        customers,
        DueRequestProducer(settings, at_due_time=by_events).publish,
        jumps=by_events,
        clock=(lambda: pipeline.watermark) if by_events else (lambda: floor_s(datetime.now(UTC))),
        is_behind=lambda: watch.lag > DUE_LAG,
        pace=DuePace(settings.due_rate),
        retry=retry,
        metrics=metrics,
    )


async def activate(
    ledger: PostgresLedger,
    scorers: Scorers,
    defined: DefinitionSet,
    guardrails: Sequence[Guardrail] = GUARDRAILS,
    timing: Timing | None = None,
) -> DecisionConfig:
    """Record which definitions are in force from now on, and return the config of decisions."""
    if changed := await ledger.find_changed(defined.segments):
        log.warning("segments_changed", segments=changed, next="holdfast segments reevaluate")
    activations = await ledger.activate(defined.segments, defined.campaigns, at=datetime.now(UTC))
    return build_config(scorers, defined, activations, guardrails, timing)


def build_config(
    scorers: Scorers,
    defined: DefinitionSet,
    activations: Mapping[str, Activation],
    guardrails: Sequence[Guardrail] = GUARDRAILS,
    timing: Timing | None = None,
) -> DecisionConfig:
    """Return the config of decisions.

    Args:
        scorers: the models.
        defined: the definitions, pinned.
        activations: of each segment's version, by key.
        guardrails: those in force.
        timing: what the settings say about time; their defaults, when None.
    """
    definitions = Definitions(
        defined.campaigns,
        defined.offers,
        model_versions=scorers.versions,
        segment_versions={each.key: each.version for each in defined.segments},
        segment_facts={each.key: each.facts for each in defined.segments},
        model_facts=facts_read(scorers),
        guardrails=guardrails,
        channels=defined.channels,
    )
    return DecisionConfig(scorers, defined.segments, activations, definitions, timing or Timing())


def select_guardrails(settings: Settings) -> Sequence[Guardrail]:
    """Return the guardrails that the settings leave in force."""
    return [each for each in GUARDRAILS if settings.withhold_expired or each is not refuse_expired]


def app_settings(settings: Settings) -> AppSettings:
    """Return the settings of the Faust app."""
    return AppSettings(
        broker=settings.broker,
        credentials=build_credentials(settings),
        group=settings.group,
        topics=settings.input_topics,
        instance_id=settings.instance_id,
        session_timeout_s=settings.session_timeout_s,
        chunk_records=min(settings.batch_events, CHUNK_RECORDS),
        find_topic_ids=KafkaTopicIds(describe_connection(settings)).find,
        max_batch_bytes=settings.max_batch_bytes,
        max_event_bytes=settings.max_event_bytes,
        partitioner=settings.partitioner,
    )


def read_assignment(app: StreamApp) -> Assignment:
    """Return the partitions that the group gave this worker."""
    return Assignment(app.consumer_generation_id, app.chunk_consumer.owned_partitions)


def take_metrics_snapshot(
    app: StreamApp,
    worker: Worker,
    watch: LagMonitor,
    claims: DueClaims,
    health: Health,
    sources: Sources,
) -> MetricsSnapshot:
    """Return the present values of /metrics."""
    seen, retrying, report = watch.observe(), health.retrying, health.report()
    progress = seen.group.progress
    return MetricsSnapshot(
        ready=report["ready"],
        stuck=0 if retrying else len(watch.find_stuck()),
        generation=seen.group.generation,
        partitions=len(progress),
        lag={(place.topic, place.partition): each.lag for place, each in progress.items() if each.lag is not None},
        commit_ages={(place.topic, place.partition): age for place, age in commit_ages(seen).items()},
        unsent=watch.unsent,
        queued_batches=worker.queued,
        queued_chunks=app.intake.qsize(),
        failures=health.failures,
        waited=health.waited,
        cache_reads=sources.features.cache_reads,
        model_fallbacks=sources.fallbacks.counts,
        unreadable_values=sources.unreadable.counts,
        recreated=app.chunk_consumer.topics_recreated,
        deleted={(place.topic, place.partition): n for place, n in app.chunk_consumer.offsets_deleted.items()},
        misplaced=app.chunk_consumer.keys.misplaced,
        open_transactions={(place.topic, place.partition): s for place, s in watch.open_transactions().items()},
        stopped_campaigns=dict.fromkeys(sources.pipeline.stopped_campaigns, 1),
        degraded=len(report["degraded"]),
        models=dict.fromkeys(report["models"].items(), 1),
        overdue=claims.overdue_s,
    )


async def poll_ledger(ledger: PostgresLedger, pipeline: Pipeline, partitions: Iterable[int]) -> Mapping[int, int]:
    """Return the unpublished messages of partitions, and let the pipeline know which campaigns are stopped.

    Each batch reads that, too; without events there is no batch, and health would show what was true at the last one.
    """
    pipeline.stopped_campaigns = {each.campaign: each.reason for each in await ledger.stops()}
    return await ledger.count_unsent(partitions)


def name_degradations(sources: Sources, app: StreamApp, watch: LagMonitor) -> list[str]:
    """Return what is degraded while the worker continues."""
    scorers = sources.reloader.scorers
    away = [] if sources.features.cache_available else ["cache: away, features are read from the warehouse"]
    return [
        *away,
        *sources.differences,
        *app.chunk_consumer.describe(),
        *watch.describe_open_transactions(),
        *sources.unreadable.describe(),
        *describe_frozen(sources.pipeline.frozen_segments),
        *(f"campaign {key} is stopped: {why}" for key, why in sources.pipeline.stopped_campaigns.items()),
        *sources.reloader.refused,
        *sources.reloader.describe_missing(),
        *sources.fallbacks.describe(scorers.versions),
    ]


def describe_frozen(frozen: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one line for each frozen segment, for `SHOWN_SEGMENTS` of them at most."""
    shown = [
        f"segment {key}: missing from the warehouse's view: {', '.join(columns)}; memberships unchanged"
        for key, columns in list(frozen.items())[:SHOWN_SEGMENTS]
    ]
    more = len(frozen) - len(shown)
    return [*shown, f"segments: {more} more are unchanged for missing columns"] if more else shown
