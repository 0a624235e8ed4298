"""A capacity plan for 100,000,000 customers and 100,000 events/s, computed from the measured figures. Pure."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CUSTOMERS = 100_000_000
RATE = 100_000
CORE_LOAD = 0.6
"""Maximum load of a process as a fraction of its core, so that it can catch up after an outage."""
CACHED = 0.2
"""Fraction of the customers whose rows are in the cache."""
DAY_S = 86_400
GIGABYTE = 1e9
MICROSECONDS = 1e6

Rows = list[tuple[str, ...]]


def draw_up(results: Mapping[str, Any]) -> Rows:
    """Return each resource with its amount and the calculation; empty if the whole job or memory was not measured."""
    memory = results.get("memory")
    if not memory or "worker_cpu_us_per_event" not in results:
        return []
    return [*_processes(results), *_stores(memory, results["trigger_percent"])]


def _processes(results: Mapping[str, Any]) -> Rows:
    spent = {"workers": results["worker_cpu_us_per_event"], **results["services_cpu_us_per_event"]}
    rows: Rows = []
    for name, cost in spent.items():
        cores = ceil(RATE * cost / MICROSECONDS / CORE_LOAD)
        why = f"{cost:.1f} us x {RATE:,} /s, each core at {CORE_LOAD:.0%}"
        rows.append((f"cores: {name}", f"{cores:,}", why))
    workers = int(rows[0][1].replace(",", ""))
    held = results["rss_mb"]["most"]
    rows.append(("memory of the workers, GB", f"{workers * held / 1e3:.1f}", f"{workers} x {held} MB"))
    rows.append(("partitions of each input topic, at least", f"{2 * workers}", "two for each worker, to spread evenly"))
    return rows


def _stores(memory: Mapping[str, Any], trigger_percent: float) -> Rows:
    cached, kept = memory["redis_bytes_per_cached_customer"], memory["ledger_bytes_per_customer"]
    each = memory["ledger_history_bytes_per_event"]
    return [
        (
            "Redis, GB",
            f"{CUSTOMERS * CACHED * cached / GIGABYTE:,.0f}",
            f"{CACHED:.0%} of the customers cached, {cached:,} bytes each",
        ),
        ("ledger: customers, GB", f"{CUSTOMERS * kept / GIGABYTE:,.0f}", f"{kept:,} bytes a customer, indexes too"),
        (
            "ledger: history, GB a day",
            f"{RATE * DAY_S * each / GIGABYTE:,.0f}",
            f"{RATE:,} /s, {each:,} bytes an event: {trigger_percent:g} % make a trigger, a tenth are messages",
        ),
    ]
