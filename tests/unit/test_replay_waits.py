"""A replay says which service it waits for."""

from __future__ import annotations

import asyncio

from streams.observability.health import Health
from streams.replays import tell_outages
from streams.tasks import end


async def test_each_outage_of_a_service_is_told_once() -> None:
    health, told = Health(), list[str]()
    telling = asyncio.create_task(tell_outages(health, told.append, every_s=0.01))
    for error in ("connection refused", "timeout"):
        with health.trying("ledger") as attempt:
            for _ in range(5):
                attempt.note_failure(error)
                await asyncio.sleep(0.03)
        await asyncio.sleep(0.03)
    await end([telling])
    assert told == ["waiting for the ledger: connection refused", "waiting for the ledger: timeout"]
