"""The Prometheus metrics of deliveries, read at each scrape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.metrics_core import Metric

    from delivery.bursts import Burst


@dataclass(slots=True)
class DeliveryFigures:
    """What the parts of a delivery process have done.

    Attributes:
        received: triggers stored.
        others: triggers of channels that are not delivered here, by channel.
        unreadable: records that are no triggers.
        results: attempts and decisions by channel and result.
        waiting: triggers without an outcome, by channel.
        bursts: the bursts at present.
        opt_outs: opt-outs stored.
        retries: failed attempts on a service that was unavailable, by service.
    """

    received: int = 0
    others: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0
    results: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    bursts: Iterable[Burst] = ()
    opt_outs: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)


class DeliveryMetrics(Collector):
    """Shows the figures on a registry of their own."""

    def __init__(self, figures: DeliveryFigures) -> None:
        self._figures = figures
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return the present figures; the Prometheus client calls it."""
        figures = self._figures
        results = CounterMetricFamily(
            "holdfast_deliveries", "Attempts and decisions of deliveries", labels=["channel", "result"]
        )
        for channel, by_result in figures.results.items():
            for result, count in by_result.items():
                results.add_metric([channel, result], count)
        waiting = GaugeMetricFamily("holdfast_deliveries_waiting", "Triggers without an outcome", labels=["channel"])
        for channel, count in figures.waiting.items():
            waiting.add_metric([channel], count)
        bursts = GaugeMetricFamily(
            "holdfast_delivery_burst", "Bounces or opt-outs in a burst of a mail domain", labels=["kind", "domain"]
        )
        for burst in figures.bursts:
            bursts.add_metric([burst.kind, burst.domain], burst.count)
        others = CounterMetricFamily(
            "holdfast_delivery_ignored", "Triggers of channels that are not delivered here", labels=["channel"]
        )
        for channel, count in figures.others.items():
            others.add_metric([channel], count)
        retries = CounterMetricFamily(
            "holdfast_retries", "Failed attempts on an unavailable service", labels=["service"]
        )
        for service, count in figures.retries.items():
            retries.add_metric([service], count)
        return [
            CounterMetricFamily("holdfast_delivery_received", "Triggers stored for delivery", figures.received),
            CounterMetricFamily("holdfast_delivery_unreadable", "Records that are no triggers", figures.unreadable),
            CounterMetricFamily("holdfast_unsubscribes", "Opt-outs by the link in an e-mail", figures.opt_outs),
            results,
            waiting,
            bursts,
            others,
            retries,
        ]
