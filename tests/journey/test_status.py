"""`holdfast status` of a deployment on real services: well, with faults, with services away, and as a live view."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from console.use_cases.parts import Part
from console.use_cases.status import read_status
from console.use_cases.workers_status import Workers
from streams.settings import load_settings
from tests.faults.proxy import Proxy
from tests.forked_process import ROOT
from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, wait_until, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from console.use_cases.status import Status
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"c{number}" for number in range(200)]
PATIENCE_S = 20.0
"""Other tests run at the same time."""
PATIENTLY = ("--timeout", str(PATIENCE_S))
AWAY_S = 8.0
"""For a broker that is away, which is waited for to the end."""


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace whose customers are known."""
    with workplace(endpoints, tmp_path_factory.mktemp("status")) as lent:
        lent.set_customers(CUSTOMERS)
        yield lent


@pytest.fixture(scope="module")
def well(place: Workplace, worker: WorkerProcess) -> Workplace:
    """The same with a worker that has decided something; its probe is found."""
    place.environment["HOLDFAST_HEALTH_PORT"] = str(worker.port)  # type: ignore[index]
    place.update(*CUSTOMERS)
    wait_until(lambda: not look(place).attention)
    return place


def look(place: Workplace, timeout_s: float = PATIENCE_S, **changes: str) -> Status:
    return read_status(load_settings(**{**place.environment, **changes}), timeout_s=timeout_s)


def test_a_deployment_that_is_well(well: Workplace) -> None:
    """Every service, worker, topic and definition is shown; exit code 0."""
    done = well.holdfast("status", "--json", *PATIENTLY)
    found = json.loads(done.stdout)
    assert (done.returncode, found["attention"]) == (0, []), found
    assert [each["name"] for each in found["services"]] == ["Kafka", "ledger", "warehouse", "Redis"]
    assert all(each["seconds"] is not None for each in found["services"])
    (worker,) = found["workers"]["value"]["workers"]
    expected = {"name": well.environment["HOLDFAST_INSTANCE_ID"], "health": "ok", "partitions": [0, 1]}
    assert worker | expected == worker
    assert {each["topic"]: each["events"] for each in found["lag"]["value"]} == {
        f"{well.prefix}{topic}": 0 for topic in ("customer-updates", "conversations", "outcomes", "evaluations")
    }
    assert found["outbox"]["value"] == {"messages": 0, "oldest": None}
    assert {(each["kind"], each["key"]) for each in found["definitions"]["value"]} >= {
        ("segment", "lapsing"),
        ("campaign", "win-back"),
    }
    page = well.holdfast("status", *PATIENTLY)
    assert (page.returncode, "all is fine" in page.stdout) == (0, True)
    assert "password" not in page.stdout


def test_the_rate_is_that_between_two_looks(well: Workplace) -> None:
    """Of events that were committed and triggers that were decided."""
    before = look(well)
    well.set_customers(CUSTOMERS, days=90)
    well.update(*CUSTOMERS)
    after = read_status(load_settings(**well.environment), former=before.marks, timeout_s=PATIENCE_S)
    assert after.rate.events == pytest.approx(len(CUSTOMERS) / after.rate.over_s, rel=0.01)
    assert after.rate.triggers is not None
    assert after.rate.triggers * after.rate.over_s == pytest.approx(len(CUSTOMERS), rel=0.1)


def test_faults_are_named_with_what_to_do(well: Workplace) -> None:
    """A dead letter, a stopped campaign, a definition that no worker has, and another one of a segment."""
    well.publish("outcomes", well.event("c1", "outcome.opened", trigger_id="7"))
    well.settle()
    well.do("campaigns", "stop", "thank-you", "--why", "wrong prices", "--by", "ann")
    folder = ROOT / well.environment["HOLDFAST_DEFINITIONS_DIR"]
    write_json(folder / "campaigns" / "late.json", campaign("late", "lapsing", "on_enter"))
    rule = {">": [{"var": "days_since_last_transaction"}, 61]}
    lapsing = folder / "segments" / "lapsing.json"
    former = lapsing.read_text()
    write_json(lapsing, {"key": "lapsing", "name": "lapsing", "rule": rule})
    try:
        done = well.holdfast("status", *PATIENTLY)
    finally:
        lapsing.write_text(former)
        (folder / "campaigns" / "late.json").unlink()
        well.do("campaigns", "resume", "thank-you", "--why", "right")
        (letter,) = json.loads(well.do("dead-letters", "list", "--json").splitlines()[0])["letters"][:1]
        well.do("dead-letters", "discard", letter["id"], "--why", "a test")
    assert done.returncode == 1
    for said in (
        "! 1 open dead letter: holdfast dead-letters list",
        "! campaign thank-you is stopped by ann: wrong prices; holdfast campaigns resume thank-you --why …",
        "definitions folder: segment lapsing, campaign late; restart the workers",
        "under changed segments: lapsing (200); holdfast segments reevaluate",
        "open dead letters: 1 invalid_event",
        "late: ",
        "segment lapsing: 200 of 200 known customers wait",
    ):
        assert said in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "service", "unknown"),
    [
        ("HOLDFAST_BROKER", "127.0.0.1:1", "Kafka", {"workers", "lag"}),
        ("HOLDFAST_REDIS_URL", "redis://127.0.0.1:1/0", "Redis", set()),
        ("HOLDFAST_WAREHOUSE_URL", "postgresql://u:secret@127.0.0.1:1/none", "warehouse", set()),
        (
            "HOLDFAST_LEDGER_URL",
            "postgresql://u:secret@127.0.0.1:1/none",
            "ledger",
            {"outbox", "dead_letters", "stops", "definitions", "waiting"},
        ),
        ("HOLDFAST_SCHEMA_REGISTRY_URL", "http://u:secret@127.0.0.1:1", "schema registry", set()),
    ],
)
def test_a_service_that_is_away_costs_its_own_lines(
    well: Workplace, variable: str, value: str, service: str, unknown: set[str]
) -> None:
    """It says what that means; everything else is shown."""
    found = look(well, AWAY_S if service == "Kafka" else PATIENCE_S, **{variable: value})
    assert len(found.attention) == 1, found.attention
    (sentence,) = found.attention
    assert sentence.startswith(f"{service}: ")
    assert "without it: " in sentence
    assert [each.name for each in found.services if each.problem] == [service]
    parts: dict[str, Any] = {
        name: getattr(found, name)
        for name in ("workers", "lag", "outbox", "dead_letters", "stops", "definitions", "waiting")
    }
    assert {name for name, part in parts.items() if part.problem} == unknown
    assert "secret" not in str(found)


def test_no_part_waits_longer_than_the_time_that_it_is_given(well: Workplace) -> None:
    """For services that take connections and never answer."""
    with ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(1)) for _ in range(3)]
        for each in proxies:
            each.hold()
        kafka, redis, ledger = (each.port for each in proxies)
        settings = load_settings(
            **{
                **well.environment,
                "HOLDFAST_BROKER": f"127.0.0.1:{kafka}",
                "HOLDFAST_REDIS_URL": f"redis://127.0.0.1:{redis}/0",
                "HOLDFAST_LEDGER_URL": f"postgresql://u:p@127.0.0.1:{ledger}/none",
            }
        )
        begun = time.monotonic()
        found = read_status(settings, timeout_s=1.0, pause_s=0.5)
        assert time.monotonic() - begun < 4.0
    assert {each.name for each in found.services if each.problem} == {"Kafka", "Redis", "ledger"}


def test_a_mistake_has_exit_code_2(well: Workplace) -> None:
    assert well.holdfast("status", "--json", "--watch").returncode == 2
    mistaken = well.holdfast("status", HOLDFAST_PARTITIONER="random")
    assert (mistaken.returncode, mistaken.stderr.count("\n")) == (2, 1)


def test_a_live_view_into_a_pipe_is_printed_once(well: Workplace) -> None:
    done = well.holdfast("status", "--watch", *PATIENTLY)
    assert (done.returncode, done.stdout.count("all is fine")) == (0, 1)
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("ending", ["q", "ctrl-C"])
def test_a_live_view_refreshes_and_ends_as_it_is_told(well: Workplace, ending: str) -> None:
    """On a terminal of 80 columns, which is left as it was."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    before = termios.tcgetattr(terminal)
    with (
        subprocess.Popen(
            [sys.executable, "-m", "console", "status", "--watch", "--every", "0.5", *PATIENTLY],
            env={**os.environ, **well.environment, "TERM": "xterm"},
            cwd=ROOT,
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as viewer,
        ExitStack() as stack,
    ):
        stack.callback(viewer.kill)
        read_until_drawn(main, times=3)
        if ending == "q":
            os.write(main, b"q")
        else:
            viewer.send_signal(signal.SIGINT)
        _, errors = viewer.communicate(timeout=60)
    assert (viewer.returncode, errors) == (0, b"")
    assert termios.tcgetattr(terminal) == before
    os.close(main)
    os.close(terminal)


def read_until_drawn(terminal: int, times: int) -> None:
    """Return when the page was drawn so often."""
    drawn, until = b"", time.monotonic() + 120
    while drawn.count(b"all is fine") < times:
        assert time.monotonic() < until, drawn[-2_000:]
        if select.select([terminal], [], [], 1.0)[0]:
            drawn += os.read(terminal, 65_536)


def test_what_waits_has_an_age_and_a_group_without_workers_is_named(well: Workplace, worker: WorkerProcess) -> None:
    """The last test: it stops the worker."""
    worker.stop()
    # The group keeps the place of a static member for the time of a session.
    wait_until(lambda: look(well).workers == Part(Workers("empty", [])))
    well.publish("customer-updates", *(well.event(each) for each in CUSTOMERS[:7]))
    time.sleep(1.0)
    found = look(well, HOLDFAST_STUCK_AFTER_S="1")
    (updates, *others) = found.lag.value or ()
    assert updates.events == 7
    assert updates.oldest is not None
    assert 1.0 <= (found.at - updates.oldest).total_seconds() < 60
    assert {each.events for each in others} == {0}
    assert "no worker is in the consumer group (empty); start one: holdfast worker" in found.attention
    assert any("customer-updates: 7 events wait, the oldest longer than" in each for each in found.attention)
