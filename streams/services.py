"""The composition root: settings in, a running worker out. adapters.py chooses the adapters."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from campaigns.errors import CampaignDefinitionError
from campaigns.migrations import migrate
from campaigns.postgres_due_customers import PostgresDueCustomers
from campaigns.postgres_segment_sizes import PostgresSegmentSizes
from campaigns.postgres_worker_sessions import PostgresWorkerSessions
from features.warehouses import opened
from models.fallbacks import ModelFallbacks
from models.live_drift import LiveDrift
from streams.activation import activate, select_guardrails
from streams.adapters import build_decoder, open_features, open_ledger, open_schemas, open_sink, open_warehouse
from streams.definitions import find_mark, read_definitions, read_ledger
from streams.kafka.app import AppSettings, build_app, run_app
from streams.kafka.connection import describe_connection
from streams.kafka.credentials import build_credentials
from streams.kafka.decompression import check_codecs
from streams.kafka.due_requests import DueRequestProducer
from streams.kafka.topic_ids import KafkaTopicIds
from streams.kafka.topics import check_topics
from streams.known_facts import (
    check_facts,
    known_facts,
    report_consent,
    report_consent_values,
    report_missing_columns,
    report_missing_reasons,
    report_null_rules,
)
from streams.observability.health import Health
from streams.observability.lag_monitor import KafkaEnds, LagMonitor
from streams.observability.metrics import Metrics
from streams.observability.probes import serve_probes
from streams.observability.traces import open_traces
from streams.pipeline import Pipeline
from streams.runtime.batching import CHUNK_RECORDS, Collector, collect_traced
from streams.runtime.definition_reload import DefinitionReloader
from streams.runtime.due_claims import DueClaims, DuePace
from streams.runtime.experiment_watch import ExperimentWatch
from streams.runtime.failure_detector import FailureDetector
from streams.runtime.memory import freeze_memory
from streams.runtime.model_reload import ModelReloader, load_served
from streams.runtime.partition_leases import Assignment
from streams.runtime.retry import RetryPolicy
from streams.runtime.size_recorder import SizeRecorder
from streams.runtime.worker import Worker
from streams.schema_registry import SchemaRegistry, collect_with_schemas
from streams.warehouse import find_warehouse
from streams.worker_report import Sources, log_drift, name_degradations, poll_ledger, take_metrics_snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from campaigns.definition import DefinitionSet
    from campaigns.postgres_ledger import PostgresLedger
    from features.table import FeatureTable
    from models.registry import Scorers
    from streams.kafka.app import StreamApp
    from streams.runtime.batching import Batch
    from streams.settings import Settings

log = structlog.get_logger()

POLL_BY_EVENTS_S = 0.01
"""By the time of events, the evaluation of who is due may make the same customer due again at once."""
DUE_LAG = 20_000
"""With more events not yet committed, a worker claims no customers who are due."""
STAGES_S = 5.0
"""Longest wait for the stages to end before the consumer leaves its group."""


class Runs(Protocol):
    """A part of a worker that runs until it is cancelled."""

    async def run(self) -> None:
        """Run until cancelled."""


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Run a worker until `stop` is set; it is set at the latest when the worker begins to end.

    Raises:
        HoldfastStreamError, CampaignError, FeaturesError, SegmentError, ModelError: it cannot start, for a reason
            that a person can fix; the message says which.
    """
    check_codecs()
    mark, definitions = read_marked(settings)
    scorers = load_served(settings, definitions.offers)
    topic_differences = await asyncio.to_thread(report_topics, settings)
    await asyncio.to_thread(migrate, settings.ledger_url)
    health, metrics = Health(), Metrics()
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        warehouse = await open_warehouse(settings, stack)
        features = await open_features(settings, stack, warehouse, await ledger.cache_generation())
        columns = (await features.read([], fresh=())).table
        report_missing_columns(columns, scorers)
        definitions, silent_campaigns = check_definitions(settings, definitions, columns, scorers)
        await report_consent_values(definitions.campaigns, columns, warehouse)
        config = await activate(ledger, scorers, definitions, select_guardrails(settings), settings.timing)
        report_missing_reasons(config.definitions, scorers)
        fallbacks, drift, schemas = ModelFallbacks(), open_drift(settings), open_schemas(settings)
        traces = stack.enter_context(open_traces(enabled=settings.traces, group=settings.group))
        pipeline = Pipeline(
            features,
            ledger,
            config,
            decode=build_decoder(settings, schemas),
            fallbacks=fallbacks,
            drift=drift,
            publishes_transitions=settings.publish_transitions,
            stamp=traces.stamp,
        )
        load = partial(load_served, settings, definitions.offers)
        reloader = ModelReloader(settings.models_dir, load, pipeline.use_scorers, scorers, ledger.experiment_stops)
        await reloader.end_stopped()
        experiments = ExperimentWatch(
            settings.ledger_url, reloader.find_experiments, every_s=settings.experiment_check_s
        )
        definition_reloader = open_reloader(settings, mark, ledger, pipeline, silent_campaigns)
        recorder = SizeRecorder(
            PostgresSegmentSizes(settings.ledger_url), lambda: [each.key for each in pipeline.segments]
        )
        sources = Sources(
            features,
            ledger,
            warehouse.unreadable_values,
            pipeline,
            reloader,
            fallbacks,
            drift,
            [*topic_differences, *(() if definition_reloader else silent_campaigns)],
            definition_reloader,
        )
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
        reloaders = (reloader, definition_reloader) if definition_reloader else (reloader,)
        working = (worker, watch, *reloaders, experiments, recorder, claims, *open_detectors(settings, app))
        await _run(working, app, health, stop)
        log.info("worker_stopped")


async def _run(
    working: Iterable[Runs],
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


def read_marked(settings: Settings) -> tuple[tuple[int, int] | None, DefinitionSet]:
    """Return the definitions that count, and a mark of them where they are in the ledger.

    Raises:
        DefinitionError, RuleError: they cannot be used.
        LedgerUnavailableError: they are in the ledger, which cannot be used.
    """
    # The mark first: a version that is made meanwhile is found by the next look.
    mark = None if settings.definitions == "files" else find_mark(settings)
    return mark, read_definitions(settings)


def check_definitions(
    settings: Settings, definitions: DefinitionSet, columns: FeatureTable, scorers: Scorers
) -> tuple[DefinitionSet, Sequence[str]]:
    """Return definitions as a worker decides by them, and what health says of campaigns that contact no customer.

    Raises:
        CampaignDefinitionError: a rule or a message reads a fact that no source supplies.
    """
    known = known_facts(columns, scorers, marks_stale=settings.updated_at_column is not None)
    check_facts(definitions, known, settings.features_table)
    definitions = definitions.pin(known)
    report_null_rules(definitions.segments)
    return definitions, report_consent(definitions.campaigns, columns)


def open_reloader(
    settings: Settings,
    mark: tuple[int, int] | None,
    ledger: PostgresLedger,
    pipeline: Pipeline,
    silent_campaigns: Sequence[str],
) -> DefinitionReloader | None:
    """Return what takes up versions of definitions; None where they are files, which are read at the start."""
    if mark is None:
        return None

    async def use(definitions: DefinitionSet) -> Sequence[str]:
        if len(definitions.offers) != (loaded := pipeline.offers):
            raise CampaignDefinitionError(
                f"they have {len(definitions.offers)} offers, and models are loaded for {loaded}; restart the workers"
            )
        async with opened(find_warehouse(settings)) as warehouse:
            columns = await warehouse.fetch([])
        scorers = pipeline.scorers
        pinned, silent = check_definitions(settings, definitions, columns, scorers)
        config = await activate(ledger, scorers, pinned, select_guardrails(settings), settings.timing)
        report_missing_reasons(config.definitions, scorers)
        pipeline.use_definitions(config)
        return silent

    return DefinitionReloader(
        mark,
        silent_campaigns,
        find_mark=partial(find_mark, settings),
        read=partial(read_ledger, settings),
        use=use,
    )


def report_topics(settings: Settings) -> Sequence[str]:
    """Log how topics differ from their description, and return it."""
    differences = check_topics(settings)
    for difference in differences:
        log.warning("topic_differs", difference=difference)
    return differences


def open_drift(settings: Settings) -> LiveDrift | None:
    """Return what measures the drift of the customers decided about, None where the settings turn that off."""
    if settings.models_dir is None or not settings.live_drift_psi:
        return None
    return LiveDrift(settings.models_dir, log_drift, threshold=settings.live_drift_psi)


def open_detectors(settings: Settings, app: StreamApp) -> Sequence[FailureDetector]:
    """Return what detects dead workers; nothing for a static member, which keeps its partitions when it restarts."""
    if settings.instance_id is not None:
        return ()
    return (FailureDetector(PostgresWorkerSessions(settings.ledger_url), lambda: app.member_id, app.remove_member),)


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
    if by_events:
        # Until the first event: without it, nobody would be due after all workers have restarted.
        pipeline.watermark = await customers.last_transition()
    return DueClaims(
        customers,
        DueRequestProducer(settings, at_due_time=by_events).publish,
        jumps=by_events,
        clock=partial(read_watermark, pipeline) if by_events else customers.now,
        is_behind=lambda: watch.lag > DUE_LAG,
        pace=DuePace(
            settings.due_rate, lease_s=settings.due_claim_s, poll_s=POLL_BY_EVENTS_S, shortest_s=POLL_BY_EVENTS_S
        )
        if by_events
        else DuePace(settings.due_rate, lease_s=settings.due_claim_s),
        retry=retry,
        metrics=metrics,
    )


async def read_watermark(pipeline: Pipeline) -> int | None:
    """Return the latest event time known, in seconds since 1970; None before the first."""
    return pipeline.watermark


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
