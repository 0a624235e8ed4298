"""Old rows are deleted while workers decide; the whole topic is read again, and nothing happens twice."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from tests.forked_process import ROOT
from tests.journey.test_erasure import replay_all
from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

STATE = """
    SELECT (SELECT string_agg(signals::text, ',' ORDER BY customer_id) FROM signal),
           (SELECT string_agg(concat_ws(' ', trigger_id, status, value, conversions), ',' ORDER BY trigger_id)
              FROM contact),
           (SELECT count(*) FROM consent_change), (SELECT count(*) FROM dead_letter)
"""
AGED = {"seen_event": "seen_at", "decision": "recorded_at", "outbox": "sent_at"}
# A record counts as old after a second, so that the test need not wait.
SHORT = {f"HOLDFAST_RETENTION_{table.upper()}_DAYS": "0.00001" for table in AGED}


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with a campaign that waits for messages."""
    with workplace(endpoints, tmp_path) as lent:
        folder = ROOT / lent.environment["HOLDFAST_DEFINITIONS_DIR"] / "campaigns"
        waiting = {**campaign("reply", "lapsing", "on_event"), "event": "conversation.message"}
        write_json(folder / "reply.json", waiting)
        yield lent


@contextmanager
def working(place: Workplace) -> Iterator[None]:
    """Run a worker for the block."""
    worker = place.start_worker()
    try:
        yield
    finally:
        worker.stop()


def let_time_pass(place: Workplace) -> None:
    """Make the rows as old as if they had been written two hours ago."""
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        for table, column in AGED.items():
            age = sql.SQL("UPDATE {0} SET {1} = {1} - interval '2 hours'")
            ledger.execute(age.format(sql.Identifier(table), sql.Identifier(column)))
    time.sleep(1)


def test_what_was_pruned_has_no_second_effect(place: Workplace) -> None:
    """Triggers, signals and contacts are as before, although the ledger has forgotten what it folded."""
    customers = ["ann", "bob", "cy"]
    with working(place):
        place.set_customers(customers)
        place.update(*customers)
        place.set_customers(customers, days=90)
        place.update(*customers)
        for customer in customers:
            place.publish("conversations", place.event(customer, "conversation.message", role="customer", text="bad"))
            (trigger, *_) = place.triggers(customer)
            answered = {"trigger_id": trigger["trigger_id"], "value": 5}
            place.publish("outcomes", place.event(customer, "outcome.converted", **answered))
        place.publish_bytes("customer-updates", b"ann", b"not JSON")
        place.settle()
        before, triggers = place.ask_ledger(STATE), len(place.see("campaign-triggers"))
        assert triggers > len(customers)
    let_time_pass(place)
    counted = json.loads(place.holdfast("prune", "--dry-run", "--json", **SHORT).stdout)
    pruned = place.holdfast("prune", "--json", **SHORT)
    assert pruned.returncode == 0, pruned.stderr
    assert json.loads(pruned.stdout)["pruned"] == counted["pruned"]
    rows = {each["table"]: each["rows"] for each in counted["pruned"]}
    assert rows["seen_event"] == 2 * len(customers)
    assert place.ask_ledger("SELECT (SELECT count(*) FROM seen_event) + (SELECT count(*) FROM decision)") == [(0,)]
    replay_all(place)
    with working(place):
        place.settle()
        # A new message and a new outcome count as ever.
        assert (place.ask_ledger(STATE), len(place.see("campaign-triggers"))) == (before, triggers)
        place.publish("conversations", place.event("ann", "conversation.message", role="customer", text="bad"))
        place.settle()
        assert place.ask_ledger(STATE) != before


def test_nothing_that_guards_is_deleted_while_the_progress_is_unknown(place: Workplace) -> None:
    """The offsets of the group have expired: what it has processed may be read again."""
    with working(place):
        place.set_customer("ann", days=90)
        place.publish("conversations", place.event("ann", "conversation.message", role="customer", text="bad"))
        place.settle()
    let_time_pass(place)
    replay_all(place)
    said = place.holdfast("prune", **SHORT)
    assert said.returncode == 0, said.stderr
    assert "has no offset of" in said.stdout
    assert place.ask_ledger("SELECT count(*) FROM seen_event") == [(1,)]
    assert place.ask_ledger("SELECT pruned_before FROM ledger_state") == [(None,)]


def test_a_retention_that_the_definitions_contradict_is_refused(place: Workplace) -> None:
    folder = ROOT / place.environment["HOLDFAST_DEFINITIONS_DIR"] / "campaigns"
    write_json(folder / "slow.json", {**campaign("slow", "lapsing", "on_enter"), "cooldown_days": 60})
    refused = place.holdfast("prune", HOLDFAST_RETENTION_CONTACT_DAYS="30")
    assert refused.returncode == 2
    assert refused.stderr == (
        "holdfast: HOLDFAST_RETENTION_CONTACT_DAYS is 30; the longest cooldown, limit or repeat_days of the "
        "definitions counts 60 days: keep more than that\n"
    )
