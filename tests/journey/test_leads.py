"""Leads on the real services: one alert for each time that a lead becomes hot, whatever happens to the worker."""

from __future__ import annotations

import json
import os
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.journey.test_worker import workplace
from tests.journey.workplace import BEGIN, wait_until
from tests.unit.test_leads import BEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

COLD = {"urgency_score": 0.1, "days_since_contact": 20}


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(endpoints, tmp_path_factory.mktemp("leads")) as lent:
        lent.environment["HOLDFAST_LEADS"] = "true"
        lent.start_worker()
        yield lent


def event(lead_id: str, event_id: str, second: int, kind: str = "lead.updated", **more: Any) -> dict[str, Any]:
    at = (BEGIN + timedelta(seconds=second)).isoformat()
    return {"id": event_id, "type": kind, "lead_id": lead_id, "occurred_at": at, **more}


def publish(place: Workplace, *events: dict[str, Any]) -> None:
    """Publish events, and wait until the ledger has the last one."""
    for each in events:
        place.publish_bytes("leads", each["lead_id"].encode(), json.dumps(each).encode())
    last = events[-1]
    wait_until(lambda: has(place, last["lead_id"], last["id"]))


def has(place: Workplace, lead_id: str, event_id: str) -> bool:
    return bool(place.ask_ledger(f"SELECT FROM lead_event WHERE lead_id = '{lead_id}' AND event_id = '{event_id}'"))


def alerts(place: Workplace, lead_id: str) -> list[str]:
    """Return the events that the alerts of a lead name, in order."""
    return [each.body["caused_by"] for each in place.see("lead-alerts") if each.key == lead_id.encode()]


def test_a_lead_that_becomes_hot_raises_one_alert_although_the_worker_is_killed(place: Workplace) -> None:
    """Its records come again after the kill, and once more by the producer: late, and in another order."""
    story = [event("ada", "e1", 1, **COLD), event("ada", "e2", 2, **BEST, customer_id="c-1")]
    worker = place._workers[-1]
    for each in story:
        place.publish_bytes("leads", b"ada", json.dumps(each).encode())
    os.kill(worker.pid, signal.SIGKILL)
    place.start_worker()
    wait_until(lambda: alerts(place, "ada") == ["e2"])
    publish(place, story[1], story[0], story[1], event("ada", "e3", 3, **BEST))
    assert alerts(place, "ada") == ["e2"]
    (alert,) = (each for each in place.see("lead-alerts") if each.key == b"ada")
    assert (alert.body["score"], alert.body["crossing"], alert.body["customer_id"]) == (100, 1, "c-1")
    assert alert.header("ce_type") == "holdfast.lead.alert.v1"

    publish(place, event("ada", "e4", 4, **COLD), event("ada", "e6", 6, **BEST), event("ada", "e5", 5, **COLD))
    wait_until(lambda: alerts(place, "ada") == ["e2", "e6"])


def test_a_bad_event_is_a_dead_letter_and_the_next_one_counts(place: Workplace) -> None:
    bad = event("bea", "e1", 1, **BEST, skin_age=3)
    place.publish_bytes("leads", b"bea", json.dumps(bad).encode())
    publish(place, event("bea", "e2", 2, **COLD))
    wait_until(lambda: any(each.key == b"bea" for each in place.see("dead-letters")))
    (letter,) = (each for each in place.see("dead-letters") if each.key == b"bea")
    assert "profile_delta is 12 and skin_age, another name of it, is 3" in letter.header("holdfast_detail")


def test_leads_are_listed_and_explained(place: Workplace) -> None:
    """With what staff say of a score."""
    publish(place, event("cy", "e1", 1, **BEST))
    said = place.do("leads", "wrong-score", "cy", "--value", "10", "--by", "sam", "--why", "is a student").split()[1]
    publish(place, event("dan", "e1", 1, **BEST), event("dan", "e2", 2, "lead.lost"))
    wait_until(lambda: has(place, "cy", said))
    listed = json.loads(place.do("leads", "list", "--tier", "hot", "--json"))["leads"]
    assert [each["lead_id"] for each in listed if each["lead_id"] in ("cy", "dan")] == ["cy"]
    assert "lost" in place.do("leads", "list", "--closed")
    explained = place.do("leads", "explain", "cy")
    assert "cy: 100, hot, by heuristic-1" in explained
    assert "+25.0  urgency_score 1: 25 of 25 points" in explained
    assert f"sam: should be 10: is a student ({said})" in explained
    for command in (("explain", "nobody"), ("wrong-score", "nobody", "--why", "x")):
        asked = place.holdfast("leads", *command)
        assert (asked.returncode, "no lead 'nobody'" in asked.stderr) == (2, True)


def test_an_erasure_forgets_the_leads_of_a_customer(place: Workplace) -> None:
    """What came before the customer was known, too; later events of the lead are left out."""
    publish(place, event("eva", "e1", 1, **BEST), event("eva", "e2", 2, **COLD, customer_id="c-9"))
    wait_until(lambda: alerts(place, "eva") == ["e1"])
    place.do("forget", "c-9", "--why", "asked")
    publish(place, event("eva", "e3", 3, **BEST), event("fay", "e1", 1, **COLD))
    for table in ("lead", "lead_event", "seen_event", "outbox"):
        rows = place.ask_ledger(f"SELECT FROM {table} WHERE customer_id IN ('eva', 'c-9')")
        assert rows == [], table
