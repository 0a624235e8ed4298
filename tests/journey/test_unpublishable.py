"""A trigger that its topic can never take, and letters that go back to a running worker."""

from __future__ import annotations

import json
import random
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg

from tests.journey.test_worker import read_health, workplace
from tests.journey.workplace import campaign, set_topic, wait_until, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"c{number}" for number in range(30)]
BIG = "c7"
LIMIT = 2_500
"""Bytes: above any trigger of ours, and below that of a customer whose message no codec makes smaller."""


def write_big_message(place: Workplace) -> None:
    """Let the campaign's message hold a fact, and give one customer a long one."""
    words = {**campaign("win-back", "lapsing", "on_enter"), "message": "{{ preferred_channel }} {{ offer.name }}"}
    write_json(place.folder / "definitions" / "campaigns" / "win-back.json", words)
    draw = random.Random(1)
    text = "".join(chr(draw.randrange(0x4E00, 0x9FA0)) for _ in range(1_900))
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(
            "UPDATE customer_features_view SET preferred_channel = %s WHERE customer_id = %s", [text, BIG]
        )


def metric(worker: WorkerProcess, name: str) -> float:
    """Return a metric, all labels added."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_trigger_too_large_for_its_topic_holds_nothing_back(endpoints: Endpoints, tmp_path: Path) -> None:
    """All others go out, offsets are committed, and its dead letter tells of it; also after a restart."""
    with workplace(endpoints, tmp_path) as place, ExitStack() as stack:
        set_topic(place.broker, f"{place.prefix}campaign-triggers", "max.message.bytes", LIMIT)
        place.set_customers(CUSTOMERS)
        write_big_message(place)
        worker = place.start_worker()
        stack.callback(worker.stop)
        place.update(*CUSTOMERS)
        place.set_customers(CUSTOMERS, days=90)
        place.update(*CUSTOMERS)
        others = sorted(each for each in CUSTOMERS if each != BIG)
        assert sorted(trigger["customer_id"] for trigger in triggers(place)) == others
        assert metric(worker, "holdfast_unpublishable_total") == 1
        assert_told(place)
        worker.stop()
        worker = place.start_worker()
        stack.callback(worker.stop)
        place.set_customer("late")
        place.update("late")
        place.set_customer("late", days=90)
        place.update("late", *CUSTOMERS)
        assert sorted(trigger["customer_id"] for trigger in triggers(place)) == sorted([*others, "late"])
        assert_told(place)


def triggers(place: Workplace) -> list[dict[str, Any]]:
    """Return every trigger published."""
    return [each.body for each in place.see("campaign-triggers")]


def assert_told(place: Workplace) -> None:
    """Check the one dead letter, on its topic and in the ledger, and what operators see of it."""
    (letter,) = place.see("dead-letters")
    assert letter.header("holdfast_reason") == "unpublishable"
    assert letter.header("holdfast_topic") == f"{place.prefix}campaign-triggers"
    listed = json.loads(place.holdfast("dead-letters", "list", "--json").stdout)
    assert listed["by_reason"] == {"unpublishable": 1}
    assert "could not be published: Broker: Message size too large" in place.holdfast("explain", BIG).stdout
    refused = place.holdfast("dead-letters", "requeue", listed["letters"][0]["id"])
    assert refused.returncode == 2
    assert "its event has been decided" in refused.stderr


def test_requeued_letters_are_decided_by_a_running_worker(endpoints: Endpoints, tmp_path: Path) -> None:
    """A record of 4 kB, and one with 204 headers: batches that compress well."""
    with workplace(endpoints, tmp_path) as place, ExitStack() as stack:
        worker = place.start_worker()
        stack.callback(worker.stop)
        text = "hello there, " * 300
        long = place.event("new1", "conversation.message", role="customer", channel="chat", text=text)
        many = place.event("new2", "conversation.message", role="customer", channel="chat", text="hello")
        place.publish("conversations", long)
        headers = [(f"header-{number}", b"the same value") for number in range(204)]
        place.publish_bytes("conversations", b"new2", json.dumps(many).encode(), headers)
        place.settle()
        place.set_customers(["new1", "new2"])
        requeued = place.holdfast("dead-letters", "requeue", "--all-matching", "--reason", "unknown_customer")
        assert requeued.stdout == "requeued 2\n", requeued.stderr
        place.settle()
        worker.check_alive()
        counted = "SELECT customer_id, signals ->> 'message_count' FROM signal ORDER BY 1"
        assert place.ask_ledger(counted) == [("new1", "1"), ("new2", "1")]
        wait_until(lambda: place.ask_ledger("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == [(0,)])


def test_a_topic_that_differs_from_its_description_is_degraded_health(endpoints: Endpoints, tmp_path: Path) -> None:
    """As the dead letters' is that somebody created by hand; the worker works."""
    with workplace(endpoints, tmp_path) as place, ExitStack() as stack:
        set_topic(place.broker, f"{place.prefix}dead-letters", "max.message.bytes", 1_048_588)
        worker = place.start_worker()
        stack.callback(worker.stop)
        health = read_health(worker)
        assert (health["status"], health["ready"]) == ("degraded", True)
        (words,) = health["degraded"]
        assert "max.message.bytes is 1048588, should be 4194304" in words
