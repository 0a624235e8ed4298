"""What /metrics and /health show of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog

from streams.observability.liveness import commit_ages
from streams.observability.metrics import MetricsSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from campaigns.postgres_ledger import PostgresLedger
    from features.store import FeatureStore
    from features.unreadable_values import UnreadableValues
    from models.fallbacks import ModelFallbacks
    from models.live_drift import LiveDrift
    from streams.kafka.app import StreamApp
    from streams.observability.health import Health
    from streams.observability.lag_monitor import LagMonitor
    from streams.pipeline import Pipeline
    from streams.runtime.definition_reload import DefinitionReloader
    from streams.runtime.due_claims import DueClaims
    from streams.runtime.model_reload import ModelReloader
    from streams.runtime.worker import Worker

SHOWN_SEGMENTS = 10

log = structlog.get_logger()


class Sources(NamedTuple):
    """The parts of a worker that health and metrics read."""

    features: FeatureStore
    ledger: PostgresLedger
    unreadable: UnreadableValues
    pipeline: Pipeline
    reloader: ModelReloader
    fallbacks: ModelFallbacks
    drift: LiveDrift | None
    differences: Sequence[str]
    """What the start found: topics that differ from their description, campaigns that contact no customer."""
    definitions: DefinitionReloader | None
    """None where definitions are files, which are read at the start."""


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
    progress, drift = seen.group.progress, sources.drift
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
        kept_customers=sources.ledger.kept_customers,
        ledger_reads=sources.ledger.customer_reads,
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
        experiments={(each.model, each.key, each.mode): 1 for each in sources.reloader.find_experiments()},
        stopped_experiments=dict.fromkeys(sources.reloader.stopped, 1),
        psi=drift.measure() if drift else {},
        psi_rows=drift.count_rows() if drift else {},
        drifted=drift.find_drifted() if drift else {},
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
        *(sources.definitions.describe() if sources.definitions else ()),
        *app.chunk_consumer.describe(),
        *watch.describe_open_transactions(),
        *sources.unreadable.describe(),
        *describe_frozen(sources.pipeline.frozen_segments),
        *(f"campaign {key} is stopped: {why}" for key, why in sources.pipeline.stopped_campaigns.items()),
        *sources.reloader.refused,
        *sources.reloader.describe_missing(),
        *sources.fallbacks.describe(scorers.versions),
        *sources.fallbacks.describe(scorers.challengers),
        *(describe_stop(model, key, why) for (model, key), why in sources.reloader.stopped.items()),
    ]


def log_drift(model: str, version: str, begun: Mapping[str, float], over: Mapping[str, float]) -> None:
    """Log that customers differ from those a version was trained on, and that they do not any more."""
    if begun:
        log.warning(
            "live_drift", model=model, version=version, psi=_round(begun), next=f"holdfast models monitor {model}"
        )
    if over:
        log.info("live_drift_over", model=model, version=version, psi=_round(over))


def _round(psi: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in psi.items()}


def describe_stop(model: str, experiment: str, why: str) -> str:
    """Return that an experiment has stopped by itself, and what to do."""
    return (
        f"{model}: experiment {experiment} has stopped, the champion decides for every customer: {why}; "
        f"close it: holdfast models experiment stop {model} --why …"
    )


def describe_frozen(frozen: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one line for each frozen segment, for `SHOWN_SEGMENTS` of them at most."""
    shown = [
        f"segment {key}: missing from the warehouse's view: {', '.join(columns)}; memberships unchanged"
        for key, columns in list(frozen.items())[:SHOWN_SEGMENTS]
    ]
    more = len(frozen) - len(shown)
    return [*shown, f"segments: {more} more are unchanged for missing columns"] if more else shown
