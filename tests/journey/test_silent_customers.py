"""Customers enter a segment because nothing happens, on real services."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from campaigns.postgres_due_customers import PostgresDueCustomers
from streams.due_customers import floor_s
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.runtime.due_claims import DueClaims, DuePace
from streams.runtime.retry import RetryPolicy
from tests.forked_process import ForkedProcess
from tests.journey.test_worker import workplace
from tests.journey.workplace import BEGIN, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from campaigns.ports import DueCustomer
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

SILENT = [f"c{number:02}" for number in range(40)]
FIRST = BEGIN - timedelta(days=10)
"""With 58 days since the last order, the segment that begins after 60 is entered three midnights later."""
DUE = FIRST + timedelta(days=3)


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace in which event time passes, and no customer is evaluated without a cause."""
    with workplace(endpoints, tmp_path) as lent:
        times = {"HOLDFAST_DUE_CLOCK": "events", "HOLDFAST_RECHECK_DAYS": "0", "HOLDFAST_WITHHOLD_EXPIRED": "false"}
        yield replace(lent, environment={**lent.environment, **times})


def second(place: Workplace) -> Workplace:
    """Return the workplace for another worker."""
    folder = place.folder / "second"
    folder.mkdir()
    environment = {**place.environment, "HOLDFAST_INSTANCE_ID": f"{place.prefix}second"}
    return replace(place, environment=environment, folder=folder, _workers=[])


def claim_and_die() -> None:
    """Claim customers as a worker does, which is killed before it publishes their requests."""

    async def die(_: list[DueCustomer], __: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def tell_time() -> int:
        return floor_s(DUE)

    async def claim() -> None:
        customers, health = PostgresDueCustomers(os.environ["HOLDFAST_LEDGER_URL"]), Health()
        await customers.open()
        claims = DueClaims(
            customers,
            die,  # type: ignore[arg-type]
            clock=tell_time,
            jumps=True,
            is_behind=lambda: False,
            pace=DuePace(1_000),
            retry=RetryPolicy(health),
            metrics=Metrics(),
        )
        await claims.claim_page()

    asyncio.run(claim())


def due(place: Workplace) -> int:
    """Return how many customers have a due time that has come."""
    return int(place.ask_ledger(f"SELECT count(*) FROM evaluated WHERE due_at <= {floor_s(DUE)}")[0][0])  # noqa: S608


def test_the_silent_lapse_once_although_workers_are_killed(place: Workplace) -> None:
    """One between its claim and the requests, then all; the event time is known to the next one without an event.

    A request that comes twice does nothing.
    """
    place.set_customers(SILENT, days=58)
    place.set_customer("active", days=70)
    workers = place.start_worker(), second(place).start_worker()
    place.publish("customer-updates", *(place.event(each, occurred_at=FIRST.isoformat()) for each in SILENT))
    wait_until(lambda: due(place) == len(SILENT))
    place.set_customers(SILENT, days=61)

    killed = ForkedProcess(claim_and_die, [], {**os.environ, **place.environment}, place.folder / "killed.log")
    assert killed.wait(45) == -signal.SIGKILL
    later = (DUE + timedelta(hours=1)).isoformat()
    place.publish("customer-updates", place.event("active", occurred_at=later))
    wait_until(lambda: len(place.ask_ledger("SELECT FROM evaluated WHERE customer_id = 'active'")) == 1)
    assert due(place) == len(SILENT)
    assert place.see("campaign-triggers") == []

    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute("UPDATE evaluated SET claimed_until = now()")  # as if the lease had ended
    worker = place.start_worker()
    wait_until(lambda: due(place) == 0)
    request = {"reason": "due", "id": f"due-{floor_s(DUE)}-c07", "occurred_at": DUE.isoformat()}
    place.publish("evaluations", place.event("c07", "evaluation.requested", **request))
    place.settle()

    triggers = [each.body for each in place.see("campaign-triggers")]
    assert sorted(each["customer_id"] for each in triggers) == SILENT
    assert {each["campaign"] for each in triggers} == {"win-back"}
    events = {row[0] for row in place.ask_ledger("SELECT event_id FROM decision WHERE customer_id <> 'active'")}
    assert events == {f"due-{floor_s(DUE)}-{each}" for each in SILENT}
    assert place.see("dead-letters") == []
    worker.stop()
