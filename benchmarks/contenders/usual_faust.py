"""The per-event baseline in Faust: a stock agent that processes one event at a time. See baseline.py."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import uvloop
from psycopg.rows import dict_row
from redis.asyncio import Redis

from benchmarks.contenders.baseline import CREATE, INSERT, KEY, SELECT, Addresses, BaselineJob, outcome
from benchmarks.contenders.stock_faust import build_app
from benchmarks.contenders.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stores:
    """Redis, the warehouse and the ledger."""

    async def open(self) -> None:
        """Connect."""
        self.cache = Redis.from_url(Addresses.redis)
        self.warehouse = await psycopg.AsyncConnection.connect(
            Addresses.warehouse, autocommit=True, row_factory=dict_row
        )
        self.ledger = await psycopg.AsyncConnection.connect(Addresses.ledger, autocommit=True)
        await self.ledger.execute(CREATE)

    async def treat(self, job: BaselineJob, event: Mapping[str, Any]) -> dict[str, Any]:
        """Process one event and return the outcome to send."""
        customer = event["customer_id"]
        known = json.loads(await self.cache.get(KEY.format(customer)) or "[]")
        row: Any = await (await self.warehouse.execute(SELECT, [customer])).fetchone()
        facts = row | {"churn_probability": job.score(row), "customer_since": row["customer_since"].isoformat()}
        segments = job.classify(facts)
        if segments != set(known):
            await self.cache.set(KEY.format(customer), json.dumps(sorted(segments)))
        found = outcome(event, facts["churn_probability"], job.find_campaigns(facts, segments - set(known)))
        await self.ledger.execute(INSERT, list(found.values()))
        return found


async def read(broker: str, topic: str, group: str, events: int) -> None:
    """Process this many events in a new consumer group."""
    app, job, stores = build_app(broker, group), BaselineJob(), Stores()
    await stores.open()
    done, watch, sent = asyncio.Event(), Stopwatch(events, Addresses.warm), 0
    outcomes = app.topic(Addresses.outcomes, value_serializer="json")

    @app.agent(app.topic(topic, value_serializer="json"))
    async def treat(stream: Any) -> None:
        nonlocal sent
        async for event in stream:
            found = await stores.treat(job, event)
            await (await outcomes.send(key=found["customer_id"], value=found))
            sent += len(found["campaigns"])
            if watch.note(1):
                watch.report(triggers=sent)
                done.set()

    await app.start()
    await done.wait()
    await app.stop()


if __name__ == "__main__":
    uvloop.run(read(*sys.argv[1:4], int(sys.argv[4])))
