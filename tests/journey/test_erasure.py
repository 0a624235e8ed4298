"""A customer is erased while a worker runs; the whole topic is replayed, and nothing of them is found."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis
from confluent_kafka.admin import AdminClient
from psycopg import sql

from console.demo.worker_process import WorkerProcess
from tests.faults.worker_with_faults import run_with_faults
from tests.forked_process import ForkedProcess
from tests.journey.test_worker import workplace
from tests.journey.workplace import INPUTS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

ANN, BOB = "ann-erased-0001", "bob-stays-0002"
TABLES = """
    SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE relkind = 'r' AND (nspname = 'public' OR nspname LIKE 'replay\\_%')"""
OUTPUTS = ("campaign-triggers", "campaign-triggers.control", "decisions", "dead-letters")
WHY = ("--why", "request 4711")


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace of its own."""
    with workplace(endpoints, tmp_path) as lent:
        yield lent


def find_traces(place: Workplace, customer: str) -> list[str]:
    """Return where the ledger, replays and Redis hold the id, as text or as bytes."""
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        tables = ledger.execute(TABLES).fetchall()
        query = "SELECT count(*) FROM {0} AS t WHERE position(%s IN t::text) + position(%s IN t::text) > 0"
        texts = [customer, customer.encode().hex()]
        found = [
            name
            for schema, name in tables
            if ledger.execute(sql.SQL(query).format(sql.Identifier(schema, name)), texts).fetchall() != [(0,)]
        ]
    with redis.Redis.from_url(place.environment["HOLDFAST_REDIS_URL"]) as cache:
        return found + [each.decode() for each in cache.scan_iter(f"*{customer}*")]


def live(place: Workplace, customer: str) -> None:
    """Have a customer do all that leaves traces: updates, messages, an outcome, an opt-out, feedback, dead letters."""
    place.set_customer(customer)
    place.update(customer)
    place.set_customer(customer, days=90)
    place.update(customer)
    (trigger,) = place.triggers(customer)
    place.publish("conversations", place.event(customer, "conversation.message", role="customer", text="hello"))
    answered = {"trigger_id": trigger["trigger_id"]}
    place.publish(
        "outcomes",
        place.event(customer, "outcome.converted", value=5, **answered),
        place.event(customer, "outcome.unsubscribed", channel="sms"),
        place.event(customer, "outcome.opened", trigger_id="unknown"),
        place.event(customer, "feedback.always_vip", by="sam", reason="asked"),
    )
    place.publish_bytes("customer-updates", customer.encode(), b"not JSON")
    place.settle()


def count_left_out(worker: WorkerProcess) -> float:
    """Return how many events of erased customers a worker has left out."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    name = 'holdfast_events_left_out_total{reason="erased"} '
    return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def replay_all(place: Workplace) -> None:
    """Delete the group with its offsets, so that the next worker reads every topic from its beginning."""
    group = place.environment["HOLDFAST_GROUP"]
    admin = AdminClient({"bootstrap.servers": place.broker})

    def is_deleted() -> bool:
        # A static member leaves the group when its session ends.
        return admin.delete_consumer_groups([group])[group].exception(30) is None

    wait_until(is_deleted, 0.5)


def test_an_erased_customer_leaves_nothing_and_does_not_come_back(place: Workplace) -> None:
    """Others are untouched, whatever is replayed or published; lifted, the customer is as one who was never seen."""
    worker = place.start_worker()
    for customer in (ANN, BOB):
        live(place, customer)
    assert {"membership", "dead_letter", "outbox", "consent_change", "feedback"} <= set(find_traces(place, ANN))

    receipt = json.loads(place.do("forget", ANN, *WHY, "--json"))
    assert (receipt["customers"], receipt["cache_erased"], receipt["unsent"]) == (1, True, 0)
    assert receipt["rows"]["dead_letter"] == 2
    assert set(receipt["retention_s"]) >= {place.prefix + topic for topic in INPUTS}
    assert find_traces(place, ANN) == []

    published = {topic: len(place.see(topic)) for topic in OUTPUTS}
    others = "SELECT (SELECT count(*) FROM decision), (SELECT string_agg(signals::text, ',') FROM signal)"
    kept = place.ask_ledger(others)
    place.update(ANN)
    place.publish_bytes("customer-updates", ANN.encode(), b"not JSON")
    place.settle()
    worker.stop()
    replay_all(place)
    with_replay = place.start_worker()
    place.settle()
    assert find_traces(place, ANN) == []
    assert {topic: len(place.see(topic)) for topic in OUTPUTS} == published
    assert place.ask_ledger(others) == kept
    assert count_left_out(with_replay) >= 9

    refused = place.holdfast("explain", ANN)
    assert (refused.returncode, "was erased on" in refused.stderr, "request 4711" in refused.stderr) == (2, True, True)
    assert place.do("forget", ANN, "--lift", *WHY) == "tombstones removed: 1\n"
    place.update(ANN)
    with_replay.stop()
    assert "membership" in find_traces(place, ANN)


def test_no_replay_brings_an_erased_customer_back(place: Workplace) -> None:
    """Neither one that was kept before the erasure, nor one that is made after it, even of that customer alone."""
    place.start_worker()
    for customer in (ANN, BOB):
        place.set_customer(customer)
        place.update(customer)
    begin = datetime.now(UTC)
    for customer in (ANN, BOB):
        live(place, customer)
    place.do("topics", "create")
    end = ("--to", datetime.now(UTC).isoformat(), "--keep", "--json")
    replay = ("replay", "--from", begin.isoformat(), *end)
    kept = json.loads(place.do(*replay, "--customers", f"{ANN},{BOB}"))
    assert kept["campaigns"]["win-back"] == {"same": 2}
    assert {"difference", "replay", "decision"} <= set(find_traces(place, ANN))

    receipt = json.loads(place.do("forget", ANN, *WHY, "--json"))
    assert receipt["rows"][f"replay_{kept['replay']}.decision"] == 1
    assert find_traces(place, ANN) == []
    later = [("replay", "--resume", kept["replay"], "--keep", "--json"), replay, (*replay, "--ledger", "empty")]
    for command in later:
        assert sum(json.loads(place.do(*command))["campaigns"]["win-back"].values()) == 1
    assert find_traces(place, ANN) == []


@pytest.mark.parametrize("step", ["after_features", "before_commit"])
def test_an_erasure_in_the_middle_of_a_batch_fences_it(place: Workplace, step: str) -> None:
    """The worker has read features and ledger before; it writes nothing of the customer, nor caches them."""

    def fork(environment: Mapping[str, str], log: Path) -> ForkedProcess:
        return ForkedProcess(run_with_faults, [], {**environment, "HOLDFAST_FAULT": f"{step}:2:freeze"}, log)

    log = place.folder / "frozen.log"
    worker = WorkerProcess(place.environment, log, fork)
    place._workers.append(worker)
    worker.wait_until_ready()
    place.set_customers([ANN, BOB], days=5)
    place.update(ANN)
    place.set_customers([ANN, BOB], days=90)
    place.publish("customer-updates", place.event(ANN), place.event(BOB))
    wait_until(lambda: "FAULT" in log.read_text())
    place.do("forget", ANN, *WHY)
    os.kill(worker.pid, signal.SIGCONT)
    place.settle()
    worker.stop()
    assert find_traces(place, ANN) == []
    assert place.triggers(ANN) == []
    assert place.ask_ledger("SELECT customer_id FROM evaluated") == [(BOB,)]
