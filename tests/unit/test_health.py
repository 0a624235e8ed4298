from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from urllib.error import HTTPError

import pytest

from streams.errors import SettingsError
from streams.health import Health, Metrics, serve_health


@pytest.mark.parametrize(
    ("health", "status", "ready"),
    [
        (Health(), "starting", False),
        (Health(ready=True), "ok", True),
        (Health(ready=True, degraded=lambda: ["cache: away"]), "degraded", True),
        (Health(ready=True, retrying={"ledger": "2011-06-01T00:00:00+00:00"}), "retrying", False),
        (Health(ready=True, retrying={"ledger": "now"}, degraded=lambda: ["cache: away"]), "retrying", False),
    ],
)
def test_the_worst_that_holds_is_the_status(health: Health, status: str, ready: bool) -> None:
    """A degraded worker is ready, one that retries is not."""
    report = health.report()
    assert (report["status"], report["ready"]) == (status, ready)


async def test_health_and_metrics_are_served_on_loopback() -> None:
    """Not ready is 503, so that a supervisor needs no JSON."""
    health, metrics = Health(), Metrics()
    server, port = await serve_health(health, metrics, 0)
    try:
        assert (await fetch(port, "health"))[0] == 503
        health.ready = True
        status, text = await fetch(port, "health")
        assert (status, json.loads(text)["status"]) == (200, "ok")
        metrics.events.inc(3)
        assert "holdfast_events_total 3.0" in (await fetch(port, "metrics"))[1]
        assert [address[0] for address in server.addresses] == ["127.0.0.1"]
    finally:
        await server.cleanup()


async def test_a_port_that_is_taken_is_refused() -> None:
    """The error names the setting."""
    server, port = await serve_health(Health(), Metrics(), 0)
    try:
        with pytest.raises(SettingsError, match=f"HOLDFAST_HEALTH_PORT: port {port}"):
            await serve_health(Health(), Metrics(), port)
    finally:
        await server.cleanup()


async def fetch(port: int, path: str) -> tuple[int, str]:
    """Return status and text of an answer."""

    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    return await asyncio.to_thread(ask)


def test_logs_are_one_json_object_a_line() -> None:
    """Our own and the libraries' alike, from the level on; in a process of its own, for logging is global."""
    code = """
import logging, structlog
from streams.logs import configure_logs
configure_logs("info")
structlog.get_logger().info("decided", trigger_id="t1")
structlog.get_logger().debug("hidden")
logging.getLogger("faust").info("hidden")
logging.getLogger("faust").warning("lag is %s", 7)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours, theirs = (json.loads(line) for line in (ended.stdout + ended.stderr).splitlines())
    assert (ours["event"], ours["trigger_id"], ours["level"]) == ("decided", "t1", "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("lag is 7", "faust", "warning")
