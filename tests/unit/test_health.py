from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from streams.errors import SettingsError
from streams.observability.health import Health, Status, derive_status
from streams.observability.metrics import Metrics, MetricsSnapshot
from streams.observability.probes import serve_probes


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, Status.OK),
        ({"degraded": True}, Status.DEGRADED),
        ({"degraded": True, "started": False}, Status.STARTING),
        ({"stuck": True, "degraded": True}, Status.STUCK),
        ({"stuck": True, "started": False}, Status.STUCK),
        ({"stuck": True, "retrying": True}, Status.RETRYING),
        ({"retrying": True, "started": False}, Status.RETRYING),
    ],
)
def test_the_worst_that_holds_is_the_status(facts: dict[str, bool], status: Status) -> None:
    """Waiting for a service is worse than nothing else: it explains the rest."""
    known = dict.fromkeys(("retrying", "stuck", "degraded"), False) | {"started": True} | facts
    assert derive_status(**known) == status


@pytest.mark.parametrize(
    ("health", "alive", "ready"),
    [
        (Health(), True, False),
        (Health(ready=True, joined=lambda: False), True, False),
        (Health(ready=True), True, True),
        (Health(ready=True, degraded=lambda: ["cache: away"]), True, True),
        (Health(ready=True, stuck=lambda: ["updates[3]: 7 events behind"]), False, False),
    ],
)
def test_only_a_stuck_worker_is_not_alive(health: Health, *, alive: bool, ready: bool) -> None:
    """A degraded one is ready, one that has not joined its group is not."""
    report = health.report()
    assert (report["alive"], report["ready"]) == (alive, ready)


class Ticks:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_an_outage_is_told_with_its_length_attempts_and_last_words() -> None:
    """Of all that wait for the service; the waiting is added up by the clock, not by those who wait."""
    ticks = Ticks()
    health = Health(ready=True, clock=ticks, stuck=lambda: ["everything"])
    with health.trying("ledger") as first, health.trying("ledger") as second:
        first.note_failure("refused")
        ticks.now = 4.0
        second.note_failure("no route")
        ticks.now = 5.0
        report = health.report()
        told = {name: report["retrying"]["ledger"][name] for name in ("seconds", "attempts", "error")}
        assert told == {"seconds": 5.0, "attempts": 2, "error": "no route"}
        assert (report["status"], report["alive"], report["stuck"]) == ("retrying", True, [])
        assert health.waited == {"ledger": 5.0}
    assert (health.retrying, health.waited, health.failures) == ({}, {"ledger": 5.0}, {"ledger": 2})


def test_an_outage_lasts_until_nobody_waits() -> None:
    """An operation that succeeds does not end the wait of another."""
    ticks = Ticks()
    health = Health(clock=ticks)
    with health.trying("broker") as waits:
        waits.note_failure("away")
        ticks.now = 3.0
        with health.trying("broker") as other:
            other.note_failure("away")
        assert health.retrying["broker"].seconds == 3.0
        waits.note_success()
        assert health.retrying == {}


def test_who_is_cancelled_waits_no_more() -> None:
    """Shutting down in an outage leaves none behind."""
    health = Health()

    def wait_in_vain() -> None:
        with health.trying("ledger") as trial:
            trial.note_failure("away")
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        wait_in_vain()
    assert health.retrying == {}


async def test_health_and_metrics_are_served_on_loopback() -> None:
    """Not ready is 503, so that a supervisor needs no JSON; not alive is another question."""
    stuck: list[str] = []
    health, metrics = Health(stuck=lambda: stuck), Metrics()
    server, port = await serve_probes(health, metrics, "127.0.0.1", 0)
    try:
        assert await statuses(port) == {"health": 503, "health/live": 200, "health/ready": 503}
        health.ready = True
        assert await statuses(port) == {"health": 200, "health/live": 200, "health/ready": 200}
        stuck.append("updates[0]: 7 events behind")
        assert await statuses(port) == {"health": 503, "health/live": 503, "health/ready": 503}
        assert json.loads((await fetch(port, "health"))[1])["stuck"] == stuck
        assert [address[0] for address in server.addresses] == ["127.0.0.1"]
    finally:
        await server.cleanup()


async def test_metrics_show_what_was_counted_and_what_is_looked_up() -> None:
    """Of the moment of asking: a partition that went to another worker is not shown any more."""
    metrics, figures = (
        Metrics(),
        [
            MetricsSnapshot(
                lag={("updates", 0): 7},
                waited={"ledger": 1.5},
                cache_reads={"hit": 3},
                ledger_reads={"kept": 4},
                kept_customers=9,
                unreadable_values={"valid_to": 2},
            )
        ],
    )
    metrics.show(lambda: figures[-1])
    metrics.events.inc(3)
    server, port = await serve_probes(Health(), metrics, "127.0.0.1", 0)
    try:
        text = (await fetch(port, "metrics"))[1]
        figures.append(MetricsSnapshot())
        later = (await fetch(port, "metrics"))[1]
    finally:
        await server.cleanup()
    assert "holdfast_events_total 3.0" in text
    assert 'holdfast_lag_events{partition="0",topic="updates"} 7.0' in text
    assert 'holdfast_retry_seconds_total{service="ledger"} 1.5' in text
    assert 'holdfast_cache_reads_total{result="hit"} 3.0' in text
    assert 'holdfast_ledger_reads_total{result="kept"} 4.0' in text
    assert "holdfast_kept_customers 9.0" in text
    assert 'holdfast_unreadable_values_total{column="valid_to"} 2.0' in text
    assert "holdfast_lag_events{" not in later


async def test_a_port_that_is_taken_is_refused() -> None:
    """The error names the setting."""
    server, port = await serve_probes(Health(), Metrics(), "127.0.0.1", 0)
    try:
        with pytest.raises(SettingsError, match=f"HOLDFAST_HEALTH_PORT: port {port}"):
            await serve_probes(Health(), Metrics(), "127.0.0.1", port)
    finally:
        await server.cleanup()


async def statuses(port: int) -> dict[str, Any]:
    """Return the status of each path."""
    return {path: (await fetch(port, path))[0] for path in ("health", "health/live", "health/ready")}


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
from streams.observability.logs import configure_logs
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


def test_the_page_for_operators_names_every_metric_and_status() -> None:
    """And no metric that does not exist."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    metrics = Metrics()
    metrics.show(MetricsSnapshot)
    families = [each for each in metrics.registry.collect() if each.name.startswith("holdfast_")]
    names = {each.name + ("_total" if each.type == "counter" else "") for each in families}
    assert set(re.findall(r"`(holdfast_\w+)`", page)) == names
    assert set(re.findall(r"^\| `(\w+)` \| \d", page, re.MULTILINE)) == set(Status)
