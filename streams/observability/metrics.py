"""The worker's figures for Prometheus: what is counted as it happens, and what is looked up when somebody asks."""

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
    """What is counted as it happens, on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.events = Counter("holdfast_events", "Events decided or folded", registry=self.registry)
        self.dead_letters = Counter("holdfast_dead_letters", "Dead letters", ["reason"], registry=self.registry)
        self.decisions = Counter(
            "holdfast_decisions", "Decisions", ["campaign", "outcome", "reason"], registry=self.registry
        )
        self.opt_outs = Counter(
            "holdfast_opt_outs",
            "Consent revoked by events; trigger is unknown when the ledger has no such contact",
            ["channel", "source", "trigger"],
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
            "First attempt to publish what waits for one partition",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )

    def show(self, read: Callable[[], MetricsSnapshot]) -> None:
        """Add what `read` returns to what is shown."""
        self.registry.register(_Lookup(read))


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """What is looked up. Keys are (topic, partition), partitions, services, or what a read of the cache came to.

    Attributes:
        ready: the worker does its work.
        stuck: how many things have not moved for too long.
        generation: of the consumer group.
        partitions: how many this worker owns, those of all topics counted.
        lag: events not yet committed.
        commit_ages: seconds since the committed offset last moved, 0 without lag.
        unsent: rows of the outbox that are not published yet.
        queued_batches: batches between the stages.
        queued_chunks: chunks between consumer and stages.
        failures: attempts that failed because a service was away.
        waited: seconds spent waiting for a service.
        cache_reads: customers asked of the cache.
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
    failures: Mapping[str, int] = field(default_factory=dict)
    waited: Mapping[str, float] = field(default_factory=dict)
    cache_reads: Mapping[str, int] = field(default_factory=dict)


class _Lookup(Collector):
    def __init__(self, read: Callable[[], MetricsSnapshot]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Return the figures of this moment; Prometheus's client calls it."""
        return [*_single(figures := self._read()), *_by_label(figures)]


def _single(figures: MetricsSnapshot) -> list[Metric]:
    values = {
        "ready": ("1 while the worker does its work", figures.ready),
        "stuck": ("Partitions that have not moved for too long; see /health", figures.stuck),
        "generation": ("Generation of the consumer group, 0 before it is joined", figures.generation),
        "partitions": ("Partitions owned, of all topics", figures.partitions),
        "queued_batches": ("Batches waiting between stages", figures.queued_batches),
        "queued_chunks": ("Chunks waiting for the stages", figures.queued_chunks),
    }
    return [GaugeMetricFamily(f"holdfast_{name}", words, value) for name, (words, value) in values.items()]


def _by_label(figures: MetricsSnapshot) -> list[Metric]:
    place = ["topic", "partition"]
    lag = GaugeMetricFamily("holdfast_lag_events", "Events not yet committed", labels=place)
    age = GaugeMetricFamily("holdfast_commit_age_seconds", "Since the committed offset last moved", labels=place)
    unsent = GaugeMetricFamily("holdfast_outbox_unsent", "Messages not published yet", labels=["partition"])
    failures = CounterMetricFamily("holdfast_retries", "Attempts that failed, service away", labels=["service"])
    waited = CounterMetricFamily("holdfast_retry_seconds", "Seconds spent waiting for a service", labels=["service"])
    reads = CounterMetricFamily("holdfast_cache_reads", "Customers asked of the cache", labels=["result"])
    return [
        _fill(lag, figures.lag),
        _fill(age, figures.commit_ages),
        _fill(unsent, figures.unsent),
        _fill(failures, figures.failures),
        _fill(waited, figures.waited),
        _fill(reads, figures.cache_reads),
    ]


def _fill(family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[Any, float]) -> Metric:
    for key, value in values.items():
        labels = key if isinstance(key, tuple) else (key,)
        family.add_metric([str(label) for label in labels], value)
    return family
