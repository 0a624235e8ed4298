"""The composition root: settings in, a running worker out. Adapters are chosen here and nowhere else."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import campaigns.definition
import segments.definition
from campaigns.candidates import Definitions
from campaigns.guardrails import GUARDRAILS, refuse_expired
from campaigns.migrations import migrate
from campaigns.postgres_ledger import PostgresLedger
from features.postgres_warehouse import PostgresWarehouse
from features.redis_cache import RedisFeatureCache
from features.signals import as_columns
from features.store import FeatureStore
from models.registry import load_scorers
from models.scores import score_customers
from segments.jsonlogic import unknown_facts
from streams.decision_config import DecisionConfig
from streams.kafka.app import AppSettings, build_app, run_app
from streams.kafka.connection import build_credentials, describe_connection, describe_security
from streams.kafka.publishing import MAX_MESSAGE_BYTES, KafkaTriggerSink
from streams.kafka.topics import create_topics, verify_topics
from streams.observability.health import Health
from streams.observability.lag_monitor import KafkaEnds, LagMonitor
from streams.observability.liveness import commit_ages
from streams.observability.metrics import Metrics, MetricsSnapshot
from streams.observability.probes import serve_probes
from streams.pipeline import Pipeline
from streams.runtime.batching import CHUNK_RECORDS, Collector
from streams.runtime.model_reload import ModelReloader
from streams.runtime.partition_leases import Assignment
from streams.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.definition import Campaign, Offer
    from campaigns.guardrails import Guardrail
    from models.registry import Scorers
    from segments.definition import Segment
    from streams.kafka.app import StreamApp
    from streams.settings import Settings

log = structlog.get_logger()

STAGES_S = 5.0
"""How long the stages may take to end before the consumer leaves its group."""


def load_definitions(folder: Path | None) -> tuple[Sequence[Segment], Sequence[Campaign], dict[int, Offer]]:
    """Read segments, campaigns and offers from a folder, or the shipped ones.

    Raises:
        DefinitionError, CampaignDefinitionError: a file cannot be used.
    """
    shipped = (
        Path(segments.definition.__file__).parent / "definitions",
        Path(campaigns.definition.__file__).parent / "definitions",
    )
    segment_folder, campaign_folder = (folder / "segments", folder / "campaigns") if folder else shipped
    defined = segments.definition.load_segments(segment_folder)
    keys = {segment.key for segment in defined}
    return (defined, *campaigns.definition.load_campaigns(campaign_folder, segments=keys))


def load_models(settings: Settings) -> Scorers:
    """Load the models that the settings name; rules stand in for those that are missing.

    Raises:
        ModelError: a setting contradicts the models.
    """
    folder = settings.models_dir or Path()
    return load_scorers(folder, settings.feature_mapping, settings.model_input_size, mock=settings.mock_mode)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Run a worker until `stop` is set; it is set at the latest when the worker begins to end.

    Raises:
        HoldfastStreamError, CampaignError, FeaturesError, SegmentError, ModelError: it cannot start, for a reason
            that a person can mend; the message says which.
    """
    definitions = load_definitions(settings.definitions_dir)
    scorers = load_models(settings)
    await asyncio.to_thread(check_topics, settings)
    await asyncio.to_thread(migrate, settings.ledger_url)
    health, metrics = Health(), Metrics()
    async with AsyncExitStack() as stack:
        ledger = PostgresLedger(settings.ledger_url)
        stack.push_async_callback(ledger.close)
        await ledger.open()
        features = await open_features(settings, stack, await ledger.cache_generation())
        await check_facts(features, scorers, definitions[0])
        config = await activate(ledger, scorers, *definitions, guardrails=select_guardrails(settings))
        pipeline = Pipeline(
            features,
            ledger,
            config,
            topic_prefix=settings.topic_prefix,
            max_event_bytes=settings.max_event_bytes,
        )
        models_dir = settings.models_dir or Path()
        reloader = ModelReloader(models_dir, partial(load_models, settings), pipeline.use_scorers, scorers)
        health.degraded = partial(name_degradations, features, reloader)
        health.versions = lambda: reloader.scorers.versions
        sink = await open_sink(settings, stack, ledger)
        app = build_app(app_settings(settings))
        collector = Collector(
            app.intake, app.owns, max_records=settings.batch_events, max_wait_s=settings.batch_wait_ms / 1000
        )
        worker = Worker(
            collect=collector.collect,
            acknowledge=app.acknowledge,
            assignment=partial(read_assignment, app),
            pipeline=pipeline,
            ledger=ledger,
            sink=sink,
            health=health,
            metrics=metrics,
        )
        watch = LagMonitor(
            poll=app.find_group,
            ends=KafkaEnds(describe_connection(settings)),
            count_unsent=ledger.count_unsent,
            health=health,
            stuck_after_s=settings.stuck_after_s,
        )
        health.joined, health.stuck = lambda: app.consumer_generation_id > 0, watch.find_stuck
        metrics.show(partial(take_metrics_snapshot, app, worker, watch, health, features))
        server, port = await serve_probes(health, metrics, settings.health_host, settings.health_port)
        stack.push_async_callback(server.cleanup)
        log.info(
            "worker_starting",
            health_port=port,
            group=settings.group,
            versions=scorers.versions,
            rules_because=scorers.reasons,
        )
        freeze_memory()
        health.ready = True
        await _run((worker, watch, reloader), app, health, stop)
        log.info("worker_stopped")


async def _run(
    working: tuple[Worker, LagMonitor, ModelReloader], app: StreamApp, health: Health, stop: asyncio.Event
) -> None:
    """Run stages and consumer until `stop`; the stages end first, so that the last commit knows all that is done.

    What hangs is waited for last: the partitions are given up before.
    """
    work = [asyncio.create_task(each.run()) for each in working]
    ended = asyncio.create_task(stop.wait())
    closing = asyncio.Event()
    consume = asyncio.create_task(run_app(app, closing))
    await asyncio.wait({*work, ended, consume}, return_when=asyncio.FIRST_COMPLETED)
    health.ready = False
    stop.set()  # an error ends it, too, and is to end it in time
    for task in (*work, ended):
        task.cancel()
    await asyncio.wait(work, timeout=STAGES_S)
    closing.set()
    await consume
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def create_missing_topics(settings: Settings, *, partitions: int, replication: int) -> tuple[str, ...]:
    """Create the topics that are missing and return their names.

    Dead letters may be larger than anything else: an event at the broker's limit comes with headers of ours. The
    broker stamps what we publish: it refuses stamps that are more than an hour ahead, as a wrong clock's may be.

    Raises:
        TopicLayoutError, BrokerUnavailableError: see streams/kafka/topics.py.
    """
    dead_letters = settings.output_topics["dead_letters"]
    others = [name for name in settings.output_topics.values() if name != dead_letters]
    stamped = {"message.timestamp.type": "LogAppendTime"}
    create = partial(
        create_topics,
        settings.broker,
        partitions=partitions,
        replication=replication,
        security=describe_security(settings),
    )
    made = create(settings.input_topics) + create(others, config=stamped)
    return made + create([dead_letters], config={**stamped, "max.message.bytes": str(MAX_MESSAGE_BYTES)})


def check_topics(settings: Settings) -> None:
    """Refuse to start where topics are missing or the input topics have unequal partition counts.

    Raises:
        TopicLayoutError, BrokerUnavailableError: see streams/kafka/topics.py.
    """
    security = describe_security(settings)
    verify_topics(settings.broker, settings.input_topics, security=security)
    for topic in settings.output_topics.values():
        verify_topics(settings.broker, [topic], security=security)


async def open_features(settings: Settings, stack: AsyncExitStack, generation: int) -> FeatureStore:
    """Return the feature store, its connections closed with the stack.

    Raises:
        WarehouseUnavailableError, WarehouseLayoutError: the warehouse cannot be used.
    """
    warehouse = PostgresWarehouse(settings.warehouse_url, settings.features_table)
    stack.push_async_callback(warehouse.close)
    await warehouse.open()
    cache = RedisFeatureCache(settings.redis_url, ttl_seconds=settings.cache_ttl_s, ca_file=settings.redis_ca_file)
    stack.push_async_callback(cache.close)
    await cache.open()
    return FeatureStore(warehouse, cache, generation=generation)


async def check_facts(features: FeatureStore, scorers: Scorers, defined: Sequence[Segment]) -> None:
    """Warn of rules that read facts which nobody supplies: they are null for every customer.

    Raises:
        ModelError: the view lacks a column that RFM needs.
    """
    table = (await features.read([], fresh=())).table
    known = {*score_customers(table, scorers).columns, *as_columns({}, (), datetime.now(UTC))}
    for segment in defined:
        unknown = unknown_facts(segment.facts, known)
        if unknown:
            log.warning("rule_reads_unknown_facts", segment=segment.key, facts=unknown)


async def open_sink(settings: Settings, stack: AsyncExitStack, ledger: PostgresLedger) -> KafkaTriggerSink:
    """Return the sink that publishes this ledger's outbox."""
    sink = KafkaTriggerSink(
        describe_connection(settings),
        group=settings.group,
        ledger_id=await ledger.ledger_id(),
        topics=settings.output_topics,
        progress_topic=settings.input_topics[0],
        partitioner=settings.partitioner,
    )
    stack.callback(sink.close)
    return sink


async def activate(
    ledger: PostgresLedger,
    scorers: Scorers,
    defined: Sequence[Segment],
    contacting: Sequence[Campaign],
    offers: dict[int, Offer],
    *,
    guardrails: Sequence[Guardrail] = GUARDRAILS,
) -> DecisionConfig:
    """Record which definitions are in force from now on, and return everything that decides."""
    activations = await ledger.activate(defined, contacting, at=datetime.now(UTC))
    segment_versions = {each.key: each.version for each in defined}
    in_force = Definitions(contacting, offers, scorers.versions, segment_versions, guardrails)
    return DecisionConfig(scorers, defined, activations, in_force)


def select_guardrails(settings: Settings) -> Sequence[Guardrail]:
    """Return the guardrails that the settings leave in force."""
    return [each for each in GUARDRAILS if settings.withhold_expired or each is not refuse_expired]


def app_settings(settings: Settings) -> AppSettings:
    """Return what the Faust app needs of the settings."""
    return AppSettings(
        broker=settings.broker,
        credentials=build_credentials(settings),
        group=settings.group,
        topics=settings.input_topics,
        instance_id=settings.instance_id,
        session_timeout_s=settings.session_timeout_s,
        chunk_records=min(settings.batch_events, CHUNK_RECORDS),
    )


def read_assignment(app: StreamApp) -> Assignment:
    """Return the partitions that the group gave this worker."""
    return Assignment(app.consumer_generation_id, app.chunk_consumer.owned_partitions)


def take_metrics_snapshot(
    app: StreamApp, worker: Worker, watch: LagMonitor, health: Health, features: FeatureStore
) -> MetricsSnapshot:
    """Look up what /metrics shows of this moment."""
    seen, retrying = watch.observe(), health.retrying
    progress = seen.group.progress
    return MetricsSnapshot(
        ready=health.report()["ready"],
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
        cache_reads=features.cache_reads,
    )


def name_degradations(features: FeatureStore, reloader: ModelReloader) -> list[str]:
    """Return what is not as it should be and does not stop the work."""
    away = [] if features.cache_available else ["cache: away, features are read from the warehouse"]
    return [
        *away,
        *reloader.refused,
        *(f"{name}: rules decide, {why}" for name, why in reloader.scorers.reasons.items()),
    ]


def freeze_memory() -> None:
    """Keep the garbage collector off what lives as long as the process (measured: a fifth more throughput)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
