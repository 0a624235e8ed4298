"""The HTTP endpoints for supervisors and Prometheus: /health, /health/live, /health/ready, /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.errors import SettingsError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from streams.observability.health import Health

CHECKS = {"/health": "ready", "/health/ready": "ready", "/health/live": "alive"}
"""The field of the report that each path checks: 200 when it is true, else 503."""


class Exposed(Protocol):
    """Metrics on a registry of their own."""

    @property
    def registry(self) -> CollectorRegistry:
        """The registry."""


async def serve_probes(health: Health, metrics: Exposed, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve health and metrics, and return the server and its port.

    Args:
        health: served by the paths of CHECKS, all with the same JSON.
        metrics: served by /metrics.
        host: the address to listen on.
        port: 0 chooses a free one.

    Raises:
        SettingsError: the address cannot be used.
    """

    async def show_health(request: web.Request) -> web.Response:
        report = health.report()
        return web.json_response(report, status=200 if report[CHECKS[request.path]] else 503)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/metrics", show_metrics), *(web.get(path, show_health) for path in CHECKS)])
    return await serve(app, host, port, setting="HOLDFAST_HEALTH_PORT")


async def serve(app: web.Application, host: str, port: int, *, setting: str) -> tuple[web.AppRunner, int]:
    """Serve an application without an access log, and return the server and its port.

    Args:
        app: the application.
        host: the address to listen on.
        port: 0 chooses a free one.
        setting: what gives the port, for the error.

    Raises:
        SettingsError: the address cannot be used.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(
            f"{setting}: port {port} on {host} cannot be used ({error.strerror}); "
            "choose another port, or 0 for a free one"
        ) from error
    return runner, int(runner.addresses[0][1])
