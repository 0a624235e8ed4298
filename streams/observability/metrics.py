"""The worker's Prometheus metrics: counters updated as events happen, and a snapshot taken at each scrape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.metrics_core import Metric

LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 15, 60)


class Metrics:
    """Counters and histograms updated as events happen, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.events = Counter("holdfast_events", "Events decided or folded", registry=self.registry)
        self.dead_letters = Counter("holdfast_dead_letters", "Dead letters", ["reason"], registry=self.registry)
        self.left_out = Counter(
            "holdfast_events_left_out",
            "Events without effect: of erased customers, or processed so long ago that it was pruned",
            ["reason"],
            registry=self.registry,
        )
        self.unpublishable = Counter(
            "holdfast_unpublishable",
            "Messages that their topic can never take; a dead letter was published in place of each",
            ["destination"],
            registry=self.registry,
        )
        self.decisions = Counter(
            "holdfast_decisions", "Decisions", ["campaign", "outcome", "reason"], registry=self.registry
        )
        self.opt_outs = Counter(
            "holdfast_opt_outs",
            "Consent revoked by events; trigger is unknown when the ledger has no such contact",
            ["channel", "source", "trigger"],
            registry=self.registry,
        )
        self.due_customers = Counter(
            "holdfast_due_customers",
            "Customers claimed because time may have changed a segment",
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "holdfast_batch_events",
            "Records in a batch",
            buckets=(1, 5, 20, 50, 100, 200, 500, 1000, 2000, 4000, 10_000),
            registry=self.registry,
        )
        self.latency = Histogram(
            "holdfast_latency_seconds",
            "From the timestamp of a batch's oldest record to its acknowledgement",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.publish = Histogram(
            "holdfast_publish_seconds",
            "First attempt to publish the waiting messages of one partition",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )

    def show(self, read: Callable[[], MetricsSnapshot]) -> None:
        """Also show the snapshot that `read` returns at each scrape."""
        self.registry.register(_Lookup(read))


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Values read at each scrape. Keys are (topic, partition), partitions, services, or results of cache reads.

    Attributes:
        ready: the worker decides events.
        stuck: number of partitions that have not moved for too long.
        generation: generation of the consumer group.
        partitions: partitions that this worker owns, of all topics.
        lag: events not yet committed.
        commit_ages: seconds since the committed offset last moved, 0 without lag.
        unsent: outbox rows not published yet.
        queued_batches: batches waiting between stages.
        queued_chunks: chunks waiting between consumer and stages.
        kept_customers: customers whose state is kept in memory.
        failures: failed attempts on a service that was unavailable.
        waited: seconds spent waiting for a service.
        cache_reads: customers looked up in the cache.
        ledger_reads: customers whose state was needed, by whether the worker had kept it.
        model_fallbacks: customers scored by a rule although a model serves, by (model, reason).
        unreadable_values: values of the warehouse that are null because they cannot be read, by column.
        recreated: how often each topic was found recreated, and read from its beginning.
        deleted: offsets deleted before they were read.
        misplaced: sampled records in another partition than their key's, by topic.
        open_transactions: seconds for which an open transaction has held back a partition.
        stopped_campaigns: 1 for each campaign that is stopped.
        degraded: number of conditions that do not stop the work.
        models: 1 for each (model, version) that serves.
        overdue: seconds for which the first of the customers who are due has waited.
        experiments: 1 for each (model, experiment, mode) in force.
        stopped_experiments: 1 for each (model, experiment) that has stopped by itself and is not closed yet.
        psi: of the latest customers against training, by (model, version, column).
        psi_rows: how many customers that is measured on, by (model, version).
        drifted: 1 for each (model, version, column) that is reported to have drifted.
    """

    ready: bool = False
    stuck: int = 0
    generation: int = 0
    partitions: int = 0
    lag: Mapping[tuple[str, int], float] = field(default_factory=dict)
    commit_ages: Mapping[tuple[str, int], float] = field(default_factory=dict)
    unsent: Mapping[int, int] = field(default_factory=dict)
    queued_batches: int = 0
    queued_chunks: int = 0
    kept_customers: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    waited: Mapping[str, float] = field(default_factory=dict)
    cache_reads: Mapping[str, int] = field(default_factory=dict)
    ledger_reads: Mapping[str, int] = field(default_factory=dict)
    model_fallbacks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unreadable_values: Mapping[str, int] = field(default_factory=dict)
    recreated: Mapping[str, int] = field(default_factory=dict)
    deleted: Mapping[tuple[str, int], int] = field(default_factory=dict)
    misplaced: Mapping[str, int] = field(default_factory=dict)
    open_transactions: Mapping[tuple[str, int], float] = field(default_factory=dict)
    stopped_campaigns: Mapping[str, int] = field(default_factory=dict)
    degraded: int = 0
    models: Mapping[tuple[str, str], int] = field(default_factory=dict)
    overdue: int = 0
    experiments: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    stopped_experiments: Mapping[tuple[str, str], int] = field(default_factory=dict)
    psi: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    psi_rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    drifted: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


class _Lookup(Collector):
    def __init__(self, read: Callable[[], MetricsSnapshot]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Return the snapshot of this moment; the Prometheus client calls it."""
        return [*_single(snapshot := self._read()), *_by_label(snapshot)]


def _single(snapshot: MetricsSnapshot) -> list[Metric]:
    values = {
        "ready": ("1 while the worker decides events", snapshot.ready),
        "stuck": ("Partitions that have not moved for too long; see /health", snapshot.stuck),
        "degraded": ("Conditions that do not stop the work; see /health", snapshot.degraded),
        "generation": ("Generation of the consumer group, 0 before it is joined", snapshot.generation),
        "partitions": ("Partitions owned, of all topics", snapshot.partitions),
        "queued_batches": ("Batches waiting between stages", snapshot.queued_batches),
        "queued_chunks": ("Chunks waiting for the stages", snapshot.queued_chunks),
        "kept_customers": ("Customers whose state is kept in memory", snapshot.kept_customers),
        "due_overdue_seconds": ("How long the first of the customers who are due has waited", snapshot.overdue),
    }
    return [GaugeMetricFamily(f"holdfast_{name}", words, value) for name, (words, value) in values.items()]


def _by_label(snapshot: MetricsSnapshot) -> list[Metric]:
    place = ["topic", "partition"]
    lag = GaugeMetricFamily("holdfast_lag_events", "Events not yet committed", labels=place)
    age = GaugeMetricFamily("holdfast_commit_age_seconds", "Since the committed offset last moved", labels=place)
    unsent = GaugeMetricFamily("holdfast_outbox_unsent", "Messages not published yet", labels=["partition"])
    failures = CounterMetricFamily("holdfast_retries", "Failed attempts on an unavailable service", labels=["service"])
    waited = CounterMetricFamily("holdfast_retry_seconds", "Seconds spent waiting for a service", labels=["service"])
    reads = CounterMetricFamily("holdfast_cache_reads", "Customers looked up in the cache", labels=["result"])
    states = CounterMetricFamily("holdfast_ledger_reads", "Customers whose state was needed", labels=["result"])
    fallbacks = CounterMetricFamily(
        "holdfast_model_fallbacks", "Customers scored by a rule although a model serves", labels=["model", "reason"]
    )
    unreadable = CounterMetricFamily(
        "holdfast_unreadable_values", "Warehouse values that cannot be read and count as null", labels=["column"]
    )
    recreated = CounterMetricFamily("holdfast_topics_recreated", "Topics found recreated", labels=["topic"])
    deleted = CounterMetricFamily("holdfast_offsets_deleted", "Offsets deleted before they were read", labels=place)
    misplaced = CounterMetricFamily(
        "holdfast_misplaced_records", "Sampled records in another partition than their key's", labels=["topic"]
    )
    open_s = GaugeMetricFamily(
        "holdfast_open_transaction_seconds", "Since an open transaction holds back the partition", labels=place
    )
    models = GaugeMetricFamily("holdfast_models", "1 for the version that serves", labels=["model", "version"])
    stopped = GaugeMetricFamily("holdfast_campaign_stopped", "1 while the campaign is stopped", labels=["campaign"])
    experiments = GaugeMetricFamily(
        "holdfast_experiments", "1 while the experiment is in force", labels=["model", "experiment", "mode"]
    )
    worse = GaugeMetricFamily(
        "holdfast_experiment_stopped",
        "1 while an experiment that has stopped by itself is not closed",
        labels=["model", "experiment"],
    )
    return [
        _fill(lag, snapshot.lag),
        _fill(age, snapshot.commit_ages),
        _fill(unsent, snapshot.unsent),
        _fill(failures, snapshot.failures),
        _fill(waited, snapshot.waited),
        _fill(reads, snapshot.cache_reads),
        _fill(states, snapshot.ledger_reads),
        _fill(fallbacks, snapshot.model_fallbacks),
        _fill(unreadable, snapshot.unreadable_values),
        _fill(recreated, snapshot.recreated),
        _fill(deleted, snapshot.deleted),
        _fill(misplaced, snapshot.misplaced),
        _fill(open_s, snapshot.open_transactions),
        _fill(stopped, snapshot.stopped_campaigns),
        _fill(models, snapshot.models),
        _fill(experiments, snapshot.experiments),
        _fill(worse, snapshot.stopped_experiments),
        *_drift(snapshot),
    ]


def _drift(snapshot: MetricsSnapshot) -> list[Metric]:
    column = ["model", "version", "column"]
    psi = GaugeMetricFamily("holdfast_live_psi", "Drift of the latest customers decided about", labels=column)
    rows = GaugeMetricFamily(
        "holdfast_live_psi_rows", "Customers that the drift is measured on", labels=["model", "version"]
    )
    drifted = GaugeMetricFamily("holdfast_live_drift", "1 while drift of the column is reported", labels=column)
    return [_fill(psi, snapshot.psi), _fill(rows, snapshot.psi_rows), _fill(drifted, snapshot.drifted)]


def _fill(family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[Any, float]) -> Metric:
    for key, value in values.items():
        labels = key if isinstance(key, tuple) else (key,)
        family.add_metric([str(label) for label in labels], value)
    return family
