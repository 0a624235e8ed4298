"""A ledger restored from a backup is rejected until an operator renews it; then none of its decisions is lost."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import psycopg

from campaigns.postgres_ledger import PostgresLedger
from tests.faults.oracle import collect
from tests.faults.run import Run, send
from tests.faults.scenario import START, InputRecord

if TYPE_CHECKING:
    from tests.faults.run import World

FORGET = """
    TRUNCATE outbox, dead_letter, decision, contact, membership, evaluated, signal, seen_event;
    ALTER SEQUENCE outbox_sequence_seq RESTART
"""


def announce(run: Run, customer: str) -> None:
    """Send an update of a customer."""
    event = {"id": f"u-{customer}", "type": "customer.updated", "customer_id": customer}
    value = json.dumps({**event, "occurred_at": START.isoformat()}).encode()
    send(run.world.endpoints.broker, run.prefix, [InputRecord("customer-updates", 0, customer.encode(), value)])


async def renew(ledger_url: str) -> None:
    """Renew the ledger as `holdfast ledger renew` does."""
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    await ledger.renew()
    await ledger.close()


def test_a_ledger_that_was_restored_is_refused_until_it_is_renewed(world: World) -> None:
    """Otherwise the triggers of c63 would get sequences that count as published, and would be lost."""
    with Run(world, []) as run:
        announce(run, "c41")
        run.start()
        run.wait_for(1)
        run.finish()
        with psycopg.connect(run.ledger_url) as ledger:
            ledger.execute(FORGET)
        announce(run, "c63")
        refused = run.start()
        assert refused.wait() != 0
        assert "holdfast ledger renew" in refused.tail()
        asyncio.run(renew(run.ledger_url))
        run.start()
        run.wait_for(2)
        triggers = collect(world.endpoints.broker, run.prefix, run.ledger_url).things["campaign_triggers"]
    assert {(trigger[1], times) for trigger, times in triggers.items()} == {("c41", 1), ("c63", 1)}  # type: ignore[index]
