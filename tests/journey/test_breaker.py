"""A campaign that contacts too many is stopped under two workers, and resumed by an operator."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.journey.test_worker import read_health, workplace
from tests.journey.workplace import campaign, wait_until, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"customer-{number}" for number in range(300)]
ALLOWED, BATCH, WORKERS = 40, 10, 2


@pytest.fixture(scope="module")
def at_work(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Workplace, list[WorkerProcess]]]:
    """Two workers with small batches, and a campaign that may contact 40 of 300 customers; a fifth is held out."""
    folder = tmp_path_factory.mktemp("breaker")
    with workplace(endpoints, folder) as place, ExitStack() as stack:
        place.environment["HOLDFAST_BATCH_EVENTS"] = str(BATCH)
        del place.environment["HOLDFAST_INSTANCE_ID"]
        watched = campaign("win-back", "lapsing", "on_enter") | {"holdout_percent": 20}
        watched["breaker"] = {"contacts": ALLOWED, "hours": 48}
        write_json(folder / "definitions" / "campaigns" / "win-back.json", watched)
        workers = [place.start_worker() for _ in range(WORKERS)]
        for each in workers:
            stack.callback(each.stop)
        wait_until(lambda: all(map(owns_partitions, workers)))
        place.set_customers(CUSTOMERS)
        place.update(*CUSTOMERS)
        place.set_customers(CUSTOMERS, days=90)
        place.update(*CUSTOMERS)
        yield place, workers


def owns_partitions(worker: WorkerProcess) -> bool:
    """Return whether the group has given a worker a part of the input."""
    with urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
        return "\nholdfast_partitions 0.0" not in answer.read().decode()


def outcomes(place: Workplace) -> Counter[str]:
    return Counter(each.body["outcome"] for each in place.see("decisions"))


def test_no_more_than_allowed_are_contacted_and_the_rest_is_withheld(
    at_work: tuple[Workplace, list[WorkerProcess]],
) -> None:
    """But for the batch that the other worker decides at the same time."""
    place, _ = at_work
    exposed = outcomes(place)["fired"] + outcomes(place)["control"]
    assert ALLOWED <= exposed <= ALLOWED + BATCH * (WORKERS - 1)
    stopped = [each.body for each in place.see("decisions") if each.body["reason"] == "stopped"]
    assert len(stopped) == len(CUSTOMERS) - exposed
    assert {f"the breaker allows {ALLOWED} contact(s) in 48 hour(s)" in each["detail"] for each in stopped} == {True}
    assert place.ask_ledger("SELECT sum(contacts)::integer FROM campaign_hour") == [(exposed,)]
    assert place.ask_ledger("SELECT campaign, stopped_by FROM campaign_stop") == [("win-back", "breaker")]


def test_health_and_the_list_name_the_campaign(at_work: tuple[Workplace, list[WorkerProcess]]) -> None:
    place, workers = at_work
    for each in workers:
        wait_until(lambda each=each: read_health(each)["status"] == "degraded")  # type: ignore[misc]
        assert any("campaign win-back is stopped: the breaker allows" in said for said in read_health(each)["degraded"])
    listed = place.holdfast("campaigns", "list")
    assert listed.returncode == 0, listed.stderr
    assert "by breaker: the breaker allows 40 contact(s)" in listed.stdout
    explained = place.holdfast("explain", CUSTOMERS[-1])
    assert explained.returncode == 0, explained.stderr


def test_an_operator_resumes_it_and_it_contacts_customers_again(
    at_work: tuple[Workplace, list[WorkerProcess]],
) -> None:
    """Those who were withheld meanwhile stay so."""
    place, workers = at_work
    before = outcomes(place)
    refused = place.holdfast("campaigns", "resume", "win-back")
    assert (refused.returncode, "--why" in refused.stderr) == (2, True)
    done = place.holdfast("campaigns", "resume", "win-back", "--why", "the view is right again", "--by", "ann")
    assert (done.returncode, done.stdout) == (0, "win-back is resumed\n")
    new = [f"new-{number}" for number in range(10)]
    place.set_customers(new)
    place.update(*new)
    place.set_customers(new, days=90)
    place.update(*new)
    after = outcomes(place)
    assert after["fired"] + after["control"] == before["fired"] + before["control"] + len(new)
    wait_until(lambda: all(read_health(each)["status"] == "ok" for each in workers))
    assert place.ask_ledger("SELECT resumed_by, resume_reason FROM campaign_stop") == [
        ("ann", "the view is right again")
    ]


def test_an_operator_stops_a_campaign_by_hand(at_work: tuple[Workplace, list[WorkerProcess]]) -> None:
    """Any, also one without a breaker."""
    place, _ = at_work
    done = place.holdfast("campaigns", "stop", "make-good", "--why", "wrong prices", "--by", "ann")
    assert done.returncode == 0, done.stderr
    again = place.holdfast("campaigns", "stop", "make-good", "--why", "again")
    assert "by ann: wrong prices; nothing was changed" in again.stdout
    unknown = place.holdfast("campaigns", "stop", "makegood", "--why", "x")
    assert (unknown.returncode, "did you mean 'make-good'?" in unknown.stderr) == (2, True)
    assert place.holdfast("campaigns", "resume", "make-good", "--why", "right").stdout == "make-good is resumed\n"
    idle = place.holdfast("campaigns", "resume", "make-good", "--why", "right")
    assert idle.stdout == "make-good is not stopped; nothing was changed\n"


def test_a_stopped_campaign_is_not_launched(at_work: tuple[Workplace, list[WorkerProcess]]) -> None:
    """Its members would be withheld for good."""
    place, _ = at_work
    launched = place.ask_ledger("SELECT count(*) FROM campaign_launch")
    place.holdfast("campaigns", "stop", "thank-you", "--why", "wrong prices")
    done = place.holdfast("campaigns", "launch", "thank-you")
    assert done.returncode == 2
    assert "campaign 'thank-you' is stopped: wrong prices; resume it first" in done.stderr
    assert place.ask_ledger("SELECT count(*) FROM campaign_launch") == launched
