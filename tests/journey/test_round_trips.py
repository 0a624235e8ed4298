"""The number of round trips of a batch is the same for a thousand events as for a hundred.

libpq traces its messages and Redis MONITOR lists its commands, so no proxy is needed.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
import redis

from benchmarks.contenders.own_code import batches, build_pipeline, decide
from benchmarks.workload import Size, draw_events, fill_warehouse, first_events
from campaigns.postgres_ledger import PostgresLedger
from features.postgres_warehouse import PostgresWarehouse
from features.redis_cache import RedisFeatureCache
from tests.records import arrive, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from psycopg_pool import AsyncConnectionPool
    from redis.client import Monitor

    from streams.formats.events import Record

# At each read of their row, a customer moves from one segment with a campaign to another.
SIZE = Size(events=40_000, customers=2000, entering=1000.0)
COUNTED = 3
# In libpq's trace: where the client asks for the answers to what it sent, by a Flush, a Sync, or both at once.
WAIT = re.compile(r"\tF\t\d+\t(Query|Flush|Sync(?!\n[^\t]*\tF\t\d+\tFlush))\b")
# Two for the ledger: the read and the transaction. For the cache: remove rows of changed customers, look up rows of
# others, take leases, and fill in the rows read.
ROUND_TRIPS = {
    "customer-updates": {"warehouse": 1, "ledger": 2, "redis": 1},
    "conversations": {"warehouse": 1, "ledger": 2, "redis": 3},
    "outcomes": {"warehouse": 0, "ledger": 2, "redis": 0},
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="psycopg lets libpq trace on Linux alone")


@pytest.mark.parametrize("topic", ROUND_TRIPS)
@pytest.mark.parametrize("events", [100, 1000])
def test_a_batch_waits_as_often_whatever_its_size(
    warehouse_url: str, migrated_url: str, redis_url: str, tmp_path: Path, topic: str, events: int
) -> None:
    fill_warehouse(warehouse_url, SIZE)
    asked = asyncio.run(count_round_trips(warehouse_url, migrated_url, redis_url, tmp_path, work(topic, events)))
    assert asked == ROUND_TRIPS[topic]


def work(topic: str, events: int) -> list[Sequence[Record]]:
    """Return batches that make plans and connections warm, and then `COUNTED` batches that count."""
    if topic == "outcomes":
        return [*batches(first_events(SIZE)), *(draw_outcomes(number, events) for number in range(2 + COUNTED))]
    drawn = [batch for batch in batches(draw_events(SIZE)) if batch[0].topic == topic]
    return [*batches(first_events(SIZE)), *(batch[:events] for batch in drawn[: 2 + COUNTED])]


def draw_outcomes(lot: int, events: int) -> list[Record]:
    """Return opt-outs, and outcomes of unknown triggers: they write consent and dead letters."""
    kinds, at = ("unsubscribed", "delivered"), "2011-06-01T00:00:00Z"
    return [
        arrive(
            outcome(kinds[number % 2], id=f"o{lot}-{number}", customer_id=f"c{number}", occurred_at=at),
            topic="outcomes",
            offset=lot * events + number,
        )
        for number in range(events)
    ]


async def count_round_trips(
    warehouse_url: str, ledger_url: str, redis_url: str, folder: Path, work: Sequence[Sequence[Record]]
) -> dict[str, int]:
    """Decide batches over the real stores, and return how often each of the last ones waits for each store.

    The mean is rounded down: on a busy machine the driver waits once more now and then.
    """
    warehouse, ledger = PostgresWarehouse(warehouse_url, "customer_features_view"), PostgresLedger(ledger_url)
    cache = RedisFeatureCache(redis_url, timeout=5.0)
    async with AsyncExitStack() as stack:
        for store in (warehouse, ledger, cache):
            stack.push_async_callback(store.close)
            await store.open()
        pipeline = await build_pipeline(SIZE, warehouse, cache, ledger)
        for batch in work[:-COUNTED]:
            await decide(pipeline, batch)
        with (
            (folder / "warehouse").open("wb") as read,
            (folder / "ledger").open("wb") as written,
            redis.Redis.from_url(redis_url) as client,
            client.monitor() as monitor,
        ):
            client.echo("begin")
            await trace(warehouse._pool, read)
            await trace(ledger._pool.pool, written)
            for batch in work[-COUNTED:]:
                await decide(pipeline, batch)
            client.echo("end")
            asked = sum(1 for _ in commands(monitor))
    # Closing the connections flushes their traces.
    waits = {name: len(WAIT.findall((folder / name).read_text())) for name in ("warehouse", "ledger")}
    return {name: count // COUNTED for name, count in {**waits, "redis": asked}.items()}


async def trace(pool: AsyncConnectionPool[Any], file: BinaryIO) -> None:
    """Trace the messages of the pool's only connection to a file."""
    assert pool.get_stats()["pool_size"] == 1
    async with pool.connection() as connection:
        connection.pgconn.trace(file.fileno())


def commands(monitor: Monitor) -> Iterator[str]:
    """Yield the client commands between two marks, without commands that scripts run inside Redis."""
    while monitor.next_command()["command"] != "ECHO begin":
        pass
    while (seen := monitor.next_command())["command"] != "ECHO end":
        if seen["client_type"] != "lua":
            yield seen["command"]
