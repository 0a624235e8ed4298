"""Measures the memory of a worker, over many events and with many customers kept, and the bytes of a customer."""

from __future__ import annotations

import re
from statistics import mean
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
from redis import Redis

from benchmarks.errors import WorkloadError
from benchmarks.place import open_place
from benchmarks.whole_job import measure
from benchmarks.workload import MESSAGES_PERCENT, Size, first_events, produce
from console.demo.worker_process import free_port

if TYPE_CHECKING:
    from console.embedded.services import EmbeddedServices

SAMPLE = 2000
FULL = 0.99
FEW_ENTER = 1.0
"""Reads per thousand that enter a segment with a campaign."""
POINTS = 24
ROWS = "holdfast:features:*"
# The cache's type prefix for rows; leases, which are smaller, have another one.
ROW_MARK = b"r"
SIZES = """
    SELECT relname, pg_total_relation_size(oid), greatest(reltuples, 0)::bigint FROM pg_class
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname
"""
HISTORY = ("contact", "decision", "outbox", "seen_event")
"""Tables that grow with the events; the others grow with the customers."""

KEPT = re.compile(r"^holdfast_kept_customers ([\d.e+]+)$", re.MULTILINE)

Tables = dict[str, tuple[int, int]]


def measure_memory(services: EmbeddedServices, events: int) -> dict[str, Any]:
    """Let one worker decide this many events, including messages, and return the sizes of worker and stores."""
    size = Size(events=events * 100 // (100 + MESSAGES_PERCENT))
    with open_place(services, size) as place:
        place.fill()
        before = measure_tables(place.warm_ledger_url)
        after: Tables = {}
        figures = measure(place, inspect=lambda ledger_url: after.update(measure_tables(ledger_url)))
        cached = measure_rows(place.endpoints.redis_url)
    state = sum(taken for name, (taken, _) in after.items() if name not in HISTORY)
    history = sum(after[name][0] - before[name][0] for name in HISTORY if name in after)
    samples = figures["rss_mb_samples"]
    return {
        "events": place.events,
        "worker_mb": {"early": figures["rss_mb_early"], "late": round(samples[-1]), "most": figures["rss_mb"]},
        "worker_mb_samples": samples[:: max(1, len(samples) // POINTS)],
        "redis_bytes_per_cached_customer": cached,
        "ledger_bytes_per_customer": round(state / size.customers),
        "ledger_history_bytes_per_event": round(history / place.events),
        "ledger_tables": {name: {"bytes": taken, "rows": rows} for name, (taken, rows) in after.items()},
    }


def measure_kept(services: EmbeddedServices, kept: int) -> dict[str, Any]:
    """Return the memory of a worker that keeps this many customers, MB, and how many it kept.

    Every customer has one event, so that all are read: the customers of the whole job repeat.
    """
    # More than are kept: who changes is forgotten.
    with open_place(services, Size(customers=kept * 3 // 2, entering=FEW_ENTER)) as place:
        place.create_topics()
        place.events = produce(place.endpoints.broker, place.prefix, first_events(place.size))
        port, counted = free_port(), []
        settings = {"HOLDFAST_KEPT_CUSTOMERS": str(kept), "HOLDFAST_HEALTH_PORT": str(port)}
        figures = measure(place, inspect=lambda _: counted.append(_count_kept(port)), settings=settings)
    if counted[0] < kept * FULL:
        raise WorkloadError(f"the worker keeps {counted[0]:,} customers in place of {kept:,}; measure more events")
    return {"customers": counted[0], "worker_mb": figures["rss_mb"]}


def _count_kept(port: int) -> int:
    found = KEPT.search(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    return int(float(found[1])) if found else 0


def measure_tables(ledger_url: str) -> Tables:
    """Return the bytes (indexes included) and the rows of each table."""
    with psycopg.connect(ledger_url, autocommit=True) as ledger:
        ledger.execute("ANALYZE")
        return {name: (taken, rows) for name, taken, rows in ledger.execute(SIZES).fetchall()}


def measure_rows(redis_url: str) -> int:
    """Return the mean bytes of a cached row and its key, over a sample of up to 2,000; 0 if there are none."""
    with Redis.from_url(redis_url) as redis:
        found = []
        for key in redis.scan_iter(match=ROWS, count=1000):
            if redis.getrange(key, 0, 0) == ROW_MARK:
                found.append(redis.memory_usage(key) or 0)
            if len(found) == SAMPLE:
                break
    return round(mean(found)) if found else 0
