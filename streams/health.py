"""How the worker is: /health for supervisors, /metrics for Prometheus, both on loopback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from streams.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 15, 60)


@dataclass(slots=True)
class Health:
    """What is known of the worker's state; whoever learns something writes it here."""

    ready: bool = False
    retrying: dict[str, str] = field(default_factory=dict)
    degraded: Callable[[], list[str]] = list

    def report(self) -> dict[str, Any]:
        """Return the state as /health gives it."""
        state = "retrying" if self.retrying else "degraded" if self.degraded() else "ok"
        status = state if self.ready else "starting"
        return {
            "status": status,
            "alive": True,
            "ready": self.ready and not self.retrying,
            "degraded": self.degraded(),
            "retrying": self.retrying,
        }


class Metrics:
    """The worker's figures, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.events = Counter("holdfast_events", "Events decided or folded", registry=self.registry)
        self.dead_letters = Counter("holdfast_dead_letters", "Dead letters", ["reason"], registry=self.registry)
        self.decisions = Counter(
            "holdfast_decisions", "Decisions", ["campaign", "outcome", "reason"], registry=self.registry
        )
        self.batch_size = Histogram(
            "holdfast_batch_events",
            "Records in a batch",
            buckets=(1, 5, 20, 50, 100, 200, 350, 500, 1000),
            registry=self.registry,
        )
        self.latency = Histogram(
            "holdfast_latency_seconds",
            "From a record's timestamp to its batch's acknowledgement",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.retries = Counter(
            "holdfast_retries",
            "Attempts repeated because a service was away",
            ["service"],
            registry=self.registry,
        )
        self.queued_batches = Gauge("holdfast_queued_batches", "Batches waiting between stages", registry=self.registry)
        self.lag = Gauge(
            "holdfast_lag_events", "Events not yet acknowledged", ["topic", "partition"], registry=self.registry
        )


async def serve_health(
    health: Health, metrics: Metrics, port: int, refresh: Callable[[], None] = lambda: None
) -> tuple[web.AppRunner, int]:
    """Serve /health and /metrics on 127.0.0.1 and return the server and its port.

    Args:
        health: what /health tells.
        metrics: what /metrics tells.
        port: 0 takes a free one.
        refresh: called before the metrics are read, for those that nobody keeps up to date.

    Raises:
        SettingsError: the port is taken.
    """

    async def show_health(_: web.Request) -> web.Response:
        report = health.report()
        return web.json_response(report, status=200 if report["ready"] else 503)

    async def show_metrics(_: web.Request) -> web.Response:
        refresh()
        return web.Response(body=generate_latest(metrics.registry), content_type="text/plain")

    app = web.Application()
    app.add_routes([web.get("/health", show_health), web.get("/metrics", show_metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(
            f"HOLDFAST_HEALTH_PORT: port {port} on 127.0.0.1 cannot be used ({error.strerror}); "
            "choose another, or 0 for a free one"
        ) from error
    return runner, int(runner.addresses[0][1])
