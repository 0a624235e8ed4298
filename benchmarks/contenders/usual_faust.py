"""The way people write it: a stock Faust agent that treats one event after another. See usual.py."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import uvloop
from psycopg.rows import dict_row
from redis.asyncio import Redis

from benchmarks.contenders.stock_faust import build_app
from benchmarks.contenders.stopwatch import Stopwatch
from benchmarks.contenders.usual import CREATE, KEY, SELECT, UPSERT, Places, UsualJob, changes

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stores:
    """Redis, the warehouse and the ledger."""

    async def open(self) -> None:
        """Connect."""
        self.cache = Redis.from_url(Places.redis)
        self.warehouse = await psycopg.AsyncConnection.connect(Places.warehouse, autocommit=True, row_factory=dict_row)
        self.ledger = await psycopg.AsyncConnection.connect(Places.ledger, autocommit=True)
        await self.ledger.execute(CREATE)

    async def treat(self, job: UsualJob, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Do everything for one event and return the triggers to send."""
        customer = event["customer_id"]
        known = json.loads(await self.cache.get(KEY.format(customer)) or "[]")
        row: Any = await (await self.warehouse.execute(SELECT, [customer])).fetchone()
        facts = row | {"churn_probability": job.score(row), "customer_since": row["customer_since"].isoformat()}
        segments = job.classify(facts)
        moved, entered = changes(known, segments)
        if moved:
            await self.ledger.execute(UPSERT, [customer, event["occurred_at"], moved, entered])
            await self.cache.set(KEY.format(customer), json.dumps(sorted(segments)))
        return job.find_triggers(facts, [each for each, now in zip(moved, entered, strict=True) if now])


async def read(broker: str, topic: str, group: str, events: int) -> None:
    """Treat so many events in a group that is new."""
    app, job, stores = build_app(broker, group), UsualJob(), Stores()
    await stores.open()
    done, watch, sent = asyncio.Event(), Stopwatch(events, Places.warm), 0
    triggers = app.topic(Places.triggers, value_serializer="json")

    @app.agent(app.topic(topic, value_serializer="json"))
    async def treat(stream: Any) -> None:
        nonlocal sent
        async for event in stream:
            for trigger in await stores.treat(job, event):
                await triggers.send(key=trigger["customer_id"], value=trigger)
                sent += 1
            if watch.note(1):
                watch.report(triggers=sent)
                done.set()

    await app.start()
    await done.wait()
    await app.stop()


if __name__ == "__main__":
    uvloop.run(read(*sys.argv[1:4], int(sys.argv[4])))
