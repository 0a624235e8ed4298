"""An edited rule, from the file to the memberships of every customer, on real services."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from campaigns.errors import ReevaluationError
from console.use_cases.reevaluations import Pace, reevaluate
from streams.settings import load_settings
from tests.forked_process import ROOT
from tests.journey.test_worker import workplace
from tests.journey.workplace import wait_until, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"c{number:03}" for number in range(300)]
SMALL = Pace(1e6, page=20, in_flight=40)


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with a ledger."""
    with workplace(endpoints, tmp_path) as lent:
        yield lent


@contextmanager
def working(place: Workplace) -> Iterator[WorkerProcess]:
    """Run a worker for the block."""
    worker = place.start_worker()
    try:
        yield worker
    finally:
        worker.stop()


def edit(place: Workplace, days: int) -> None:
    """Let customers enter the segment `lapsing` after so many days without an order."""
    folder = place.environment["HOLDFAST_DEFINITIONS_DIR"]
    rule = {">": [{"var": "days_since_last_transaction"}, days]}
    write_json(ROOT / folder / "segments" / "lapsing.json", {"key": "lapsing", "name": "lapsing", "rule": rule})


def lapsing(place: Workplace) -> set[str]:
    """Return the members in the ledger."""
    rows = place.ask_ledger("SELECT customer_id FROM membership WHERE segment = 'lapsing' AND is_member")
    return {customer for (customer,) in rows}


def test_an_edit_reaches_every_customer_and_only_those_whom_it_may_contact(place: Workplace) -> None:
    """Silent: no trigger; emit: one for each who enters. Quiet customers enter and leave without an event of theirs."""
    place.set_customers(CUSTOMERS[:100], days=30)
    place.set_customers(CUSTOMERS[100:], days=70)
    with working(place):
        place.update(*CUSTOMERS[:150])
    assert lapsing(place) == set(CUSTOMERS[100:150])

    edit(place, 20)
    with working(place) as worker:
        (said,) = [line for line in worker._log.read_text().splitlines() if "segments_changed" in line]
        assert (json.loads(said)["segments"], json.loads(said)["next"]) == (["lapsing"], "holdfast segments reevaluate")
        done = place.holdfast("segments", "reevaluate", "--by", "olga")
    assert done.returncode == 0, done.stderr
    assert ": 300 customers, in " in done.stdout
    assert "300 were evaluated; 0 had been evaluated under these rules before" in done.stdout
    assert lapsing(place) == set(CUSTOMERS)
    assert place.see("campaign-triggers") == []
    assert place.see("dead-letters") == []

    edit(place, 50)
    assert place.holdfast("segments", "activate", "lapsing", "--mode", "emit", "--why", "a").returncode == 0
    with working(place):
        place.holdfast("segments", "reevaluate")
    assert lapsing(place) == set(CUSTOMERS[100:])
    assert place.see("campaign-triggers") == []

    edit(place, 10)
    done = place.holdfast("segments", "activate", "lapsing", "--mode", "emit", "--why", "Spring\nsale", "--by", "olga")
    assert done.stdout.splitlines()[-1] == "then let them evaluate every customer: holdfast segments reevaluate"
    with working(place):
        place.holdfast("segments", "reevaluate")
        again = place.holdfast("segments", "reevaluate")
    assert "0 were evaluated; 300 had been evaluated under these rules before" in again.stdout
    assert lapsing(place) == set(CUSTOMERS)
    triggers = [each.body for each in place.see("campaign-triggers")]
    assert sorted(each["customer_id"] for each in triggers) == CUSTOMERS[:100]

    history = place.holdfast("segments", "history", "lapsing").stdout.splitlines()
    assert [line for line in history if line.startswith(("    -", "    +"))][:2] == [
        '    -rule: {">": [{"var": "days_since_last_transaction"}, 50]}',
        '    +rule: {">": [{"var": "days_since_last_transaction"}, 10]}',
    ]
    assert r"    reason: Spring\nsale" in history
    assert history[-1].startswith("300 of 300 known customers are evaluated under version ")
    noted = json.loads(place.holdfast("segments", "history", "lapsing", "--json").stdout)
    assert [each["mode"] for each in noted["activations"]] == ["emit", "emit", "silent", "silent"]
    assert (noted["activations"][0]["actor"], noted["activations"][0]["why"]) == ("olga", "Spring\nsale")
    assert (noted["evaluated"], noted["known"]) == (300, 300)


def begin(place: Workplace, *arguments: str) -> subprocess.Popen[str]:
    """Start the command."""
    return subprocess.Popen(
        [sys.executable, "-m", "console", "segments", "reevaluate", *arguments],
        env={**os.environ, **place.environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def progress_of(place: Workplace) -> int:
    """Return the customers for whom the re-evaluation is over, by the ledger."""
    rows = place.ask_ledger("SELECT customers FROM reevaluation WHERE done_at IS NULL")
    return int(rows[0][0]) if rows else 0


def test_command_and_worker_are_killed_in_between_and_everybody_is_evaluated_once(place: Workplace) -> None:
    """With live events meanwhile. Ctrl-C is one sentence; what was over is not requested again."""
    place.set_customers(CUSTOMERS, days=30)
    edit(place, 20)
    assert place.holdfast("segments", "activate", "lapsing", "--mode", "emit").returncode == 0
    with working(place) as worker:
        interrupted = begin(place, "--rate", "100")
        wait_until(lambda: progress_of(place) > 0, pause_s=0.01)
        interrupted.send_signal(signal.SIGINT)
        _, said = interrupted.communicate(timeout=60)
        assert (interrupted.returncode, said.count("\n")) == (130, 1), said
        place.publish("customer-updates", *(place.event(each) for each in CUSTOMERS[200:]))
        dying = begin(place)
        os.kill(worker.pid, signal.SIGKILL)
        dying.kill()
        dying.communicate()
    with working(place):
        done = place.holdfast("segments", "reevaluate")
        assert ": 300 customers, 250 of them in earlier attempts, in " in done.stdout, done.stderr
        place.update(*CUSTOMERS)
    assert lapsing(place) == set(CUSTOMERS)
    triggers = [each.body["customer_id"] for each in place.see("campaign-triggers")]
    assert sorted(triggers) == CUSTOMERS
    assert place.see("dead-letters") == []


def test_workers_with_other_rules_leave_the_requests_alone(place: Workplace) -> None:
    """The command says after a while what is wrong, and goes on when they have started with the new rules."""
    settings = load_settings(**place.environment)
    place.set_customers(CUSTOMERS[:50], days=30)
    with working(place):
        place.update(*CUSTOMERS[:50])
        edit(place, 20)
        with pytest.raises(ReevaluationError, match="were they restarted"):
            reevaluate(settings, by="olga", pace=replace(SMALL, patience_s=0.5))
        place.settle()
        assert lapsing(place) == set()
    with working(place):
        done = reevaluate(settings, by="olga", pace=SMALL)
    assert (done.customers, done.earlier, done.evaluated, done.passed_over) == (50, 0, 50, 0)
    assert lapsing(place) == set(CUSTOMERS[:50])
