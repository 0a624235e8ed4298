"""Workers join, leave and freeze, and services fail, in the middle of the input: nothing is lost or duplicated.

With HOLDFAST_FAULT_REPEATS a worker freezes at every step, not only at two.
"""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.faults.oracle import compare
from tests.faults.run import Run, send
from tests.faults.scenario import JOINED, START, InputRecord
from tests.faults.worker_with_faults import STEPS, TERMINATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.embedded.services import EmbeddedServices
    from tests.faults.oracle import Outcome
    from tests.faults.run import World


def test_workers_that_join_and_leave_lose_and_double_nothing(run: Run, undisturbed: Outcome) -> None:
    """One stays; one leaves gracefully, one is killed, and one joins late, each while input is in flight."""
    lots = run.send_lots(5)
    run.start(instance=None)
    for parting in (signal.SIGTERM, signal.SIGKILL):
        next(lots)
        other = run.start(instance=None)
        run.wait_for_members(2)
        next(lots)
        other.signal(parting)
        other.wait()
    next(lots)
    run.start(instance=None)
    assert compare(undisturbed, run.finish()).complaints == []


@pytest.mark.parametrize(
    "step", STEPS if "HOLDFAST_FAULT_REPEATS" in os.environ else ["in_transaction", "after_commit"]
)
def test_a_worker_that_sleeps_past_its_session_changes_nothing(run: Run, undisturbed: Outcome, step: str) -> None:
    """It freezes with a batch in progress, loses its partitions, and resumes after another worker decided it."""
    run.send()
    sleeper = run.start(f"{step}:8:freeze", instance=None)
    run.wait_until(sleeper.is_frozen)
    run.start(instance=None)
    run.wait_for(len(run.records))
    sleeper.signal(signal.SIGCONT)
    time.sleep(2)
    assert compare(undisturbed, run.finish()).complaints == []


def test_a_worker_that_slept_does_not_undo_what_was_decided_on_later_rows(world: World) -> None:
    """It reads a row and freezes; the row changes and another worker decides; it resumes with the old row."""
    with Run(world, []) as run:
        set_revenue(world, 0)
        announce(run, "before")
        sleeper = run.start("after_features:1:freeze", instance=None)
        run.wait_until(sleeper.is_frozen)
        set_revenue(world, 1000)
        announce(run, "after")
        run.start(instance=None)
        run.wait_for(2)
        sleeper.signal(signal.SIGCONT)
        time.sleep(3)
        outcome = run.finish()
    assert outcome.things["memberships"] == {("sleepy", "everybody", 1, True): 1, ("sleepy", "spenders", 1, True): 1}
    assert outcome.triggers == 1


def set_revenue(world: World, revenue: float) -> None:
    """Write the row of a customer who is not in the generated input."""
    row = ("sleepy", JOINED, revenue, 1, 1.0, True, True, "sms")
    with psycopg.connect(world.warehouse_url) as warehouse:
        warehouse.execute("DELETE FROM customer_features_view WHERE customer_id = 'sleepy'")
        warehouse.execute("INSERT INTO customer_features_view VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", row)


def announce(run: Run, name: str) -> None:
    """Send an update of that customer."""
    event = {"id": name, "type": "customer.updated", "customer_id": "sleepy", "occurred_at": START.isoformat()}
    record = InputRecord("customer-updates", 0, b"sleepy", json.dumps(event).encode())
    send(run.world.endpoints.broker, run.prefix, [record])


def restart_kafka(services: EmbeddedServices) -> None:
    """Stop the broker for two seconds and restart it."""
    services.stop_service("kafka")
    time.sleep(2)
    services.start_service("kafka")


def restart_postgres(services: EmbeddedServices, run: Run) -> None:
    """Stop ledger and warehouse for five seconds."""
    del run
    services.stop_service("postgres")
    time.sleep(5)
    services.start_service("postgres")


def terminate_backends(services: EmbeddedServices, run: Run) -> None:
    """Terminate every connection to the ledger fifteen times, whatever its transaction."""
    del services
    with psycopg.connect(run.ledger_url, autocommit=True) as ledger:
        for _ in range(15):
            ledger.execute(TERMINATE)
            time.sleep(0.1)


def restart_redis(services: EmbeddedServices, run: Run) -> None:
    """Stop the cache for two seconds."""
    del run
    services.stop_service("redis")
    time.sleep(2)
    services.start_service("redis")


def test_a_broker_that_restarts_costs_time_and_nothing_else(
    services: EmbeddedServices, run: Run, undisturbed: Outcome
) -> None:
    """All input is sent before: a producer may send a record twice across a restart."""
    run.send()
    run.start()
    run.wait_for(300)
    restart_kafka(services)
    assert compare(undisturbed, run.finish()).complaints == []


@pytest.mark.parametrize("disturb", [restart_postgres, terminate_backends, restart_redis])
def test_a_service_that_goes_away_costs_time_and_nothing_else(
    services: EmbeddedServices,
    run: Run,
    undisturbed: Outcome,
    disturb: Callable[[EmbeddedServices, Run], None],
) -> None:
    """While input is in flight, and with more input afterwards; the same worker recovers without a restart."""
    lots = run.send_lots(3)
    run.start()
    run.wait_for(next(lots) // 2)
    next(lots)
    disturb(services, run)
    next(lots)
    assert compare(undisturbed, run.finish()).complaints == []
