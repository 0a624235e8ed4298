"""Launches by operators: large ones, interrupted ones, repeated ones."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from campaigns.errors import LaunchError
from campaigns.postgres_launches import open_launches
from console.use_cases.launches import LaunchProgress, count_requested, find_result, launch_campaign
from streams.errors import BrokerUnavailableError
from streams.settings import load_settings
from tests.builders import AS_OF
from tests.forked_process import ROOT
from tests.journey.test_worker import workplace
from tests.journey.workplace import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from streams.settings import Settings
    from tests.journey.workplace import Workplace

MEMBERS = 250_000
MEMORY_MB = 200
"""155 MB were measured for 245,000 members, most of it imports."""


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with a ledger."""
    with workplace(endpoints, tmp_path) as lent:
        yield lent


def add_members(place: Workplace, count: int) -> None:
    """Make so many customers members of the segment `big-spenders`, without any event."""
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute(
            """INSERT INTO membership (customer_id, segment, episode, is_member, entered_at, definition_version)
               SELECT 'customer-' || n, 'big-spenders', 1, true, now(), 'v' FROM generate_series(1, %s) AS n""",
            [count],
        )


def settings_of(place: Workplace) -> Settings:
    return load_settings(**place.environment)


def requested(place: Workplace) -> list[str]:
    """Return the customer of each request on the evaluations topic."""
    topic = f"{place.prefix}evaluations"
    consumer = Consumer(
        {"bootstrap.servers": place.broker, "group.id": "reader", "enable.partition.eof": True, "fetch.wait.max.ms": 10}
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    keys: list[str] = []
    ended = 0
    while ended < len(partitions):
        for record in consumer.consume(10_000, 0.2):
            if record.error() is None:
                keys.append((record.key() or b"").decode())
            else:
                ended += 1
    consumer.close()
    return keys


def begin_launch(place: Workplace, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "console", "campaigns", "launch", "thank-you", *arguments],
        env={**os.environ, **place.environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def watch_memory(process: subprocess.Popen[str]) -> float:
    """Return the peak memory of a process until it ends, MB.

    Not from the kernel's accounting of children: after a fork that begins with the memory of the parent.
    """
    peak_kb = 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(encoding="ascii"))
        peak_kb = max(peak_kb, int(found[1]) if found else 0)
        time.sleep(0.02)
    return peak_kb / 1024


def progress_of(place: Workplace) -> int:
    """Return the members that the ledger says have been asked for."""
    rows = place.ask_ledger("SELECT members FROM campaign_launch")
    return int(rows[0][0]) if rows else 0


def test_a_launch_of_250_000_members_is_bounded_and_goes_on_after_an_interruption(place: Workplace) -> None:
    """Ctrl-C in the middle is one sentence with the command that goes on; nothing but its last page is sent twice."""
    add_members(place, MEMBERS)
    interrupted = begin_launch(place)
    wait_until(lambda: progress_of(place) > 0, pause_s=0.01)
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=60)
    launch_id = place.ask_ledger("SELECT launch_id FROM campaign_launch")[0][0]
    done = progress_of(place)
    assert (interrupted.returncode, said.count("\n")) == (130, 1), said
    assert f"interrupted after {done:,} of 250,000 members" in said
    assert f"--launch-id {launch_id}" in said

    refused = place.holdfast("campaigns", "launch", "thank-you")
    assert refused.returncode == 2
    assert f"--launch-id {launch_id}" in refused.stderr
    resumed = begin_launch(place, "--launch-id", launch_id)
    memory_mb = watch_memory(resumed)
    output, errors = resumed.communicate()
    said, result = output.splitlines()
    assert said == f"launch {launch_id}: 250,000 members of big-spenders asked for, {done:,} of them earlier", errors
    assert result.endswith(f"holdfast campaigns result {launch_id}")
    assert errors == ""  # no progress bar in a pipe
    assert 0 < memory_mb < MEMORY_MB
    keys = requested(place)
    assert len(set(keys)) == MEMBERS
    assert len(keys) <= MEMBERS + 5_000


class StoppedError(Exception):
    """The operator's process ends here."""


@contextmanager
def stopping_after(members: int) -> Iterator[object]:
    """Lend what ends a launch once so many members have been asked for."""

    def stop(progress: LaunchProgress) -> None:
        if progress.members >= members:
            raise StoppedError

    with pytest.raises(StoppedError):
        yield stop


def test_a_repeated_launch_contacts_nobody_twice_without_any_cooldown(place: Workplace) -> None:
    """Cut short, continued, repeated under its id, repeated without: each member has one trigger."""
    settings = settings_of(place)
    customers = [f"v{number}" for number in range(7)]
    place.set_customers(customers, revenue=5000)
    with ExitStack() as stack:
        worker = place.start_worker()
        stack.callback(worker.stop)
        place.update(*customers)
        with stopping_after(4) as stop:
            launch_campaign(settings, "thank-you", by="olga", page=2, on_progress=stop)  # type: ignore[arg-type]
        with pytest.raises(LaunchError, match="is not complete") as refused:
            launch_campaign(settings, "thank-you", by="olga")
        launch_id = place.ask_ledger("SELECT launch_id FROM campaign_launch")[0][0]
        assert launch_id in str(refused.value)
        done = launch_campaign(settings, "thank-you", by="ann", launch_id=launch_id, page=2)
        assert (done.members, done.earlier, done.was_complete) == (7, 4, False)
        again = launch_campaign(settings, "thank-you", by="ann", launch_id=launch_id)
        assert (again.members, again.was_complete) == (7, True)
        with pytest.raises(LaunchError, match=r"has requested all 7 members.*--again"):
            launch_campaign(settings, "thank-you", by="ann")
        place.settle()
        assert {each: len(place.triggers(each)) for each in customers} == dict.fromkeys(customers, 1)
        result = find_result(settings, launch_id)
        assert (result.decided, result.undecided) == ({("fired", "launched"): 7}, 0)
        assert launch_campaign(settings, "thank-you", by="ann", again=True).members == 7
        place.settle()
        assert {each: len(place.triggers(each)) for each in customers} == dict.fromkeys(customers, 2)


def test_a_launch_keeps_its_time_and_its_campaign(place: Workplace) -> None:
    """However it is continued."""
    settings = settings_of(place)
    add_members(place, 3)
    with stopping_after(1) as stop:
        launch_campaign(settings, "thank-you", by="olga", launch_id="may", at=AS_OF, page=1, on_progress=stop)  # type: ignore[arg-type]
    launch_campaign(settings, "thank-you", by="olga", launch_id="may")
    shown = place.holdfast("campaigns", "result", "may")
    assert "launch may of thank-you" in shown.stdout, shown.stderr
    assert "3 are not decided" in shown.stdout
    with pytest.raises(LaunchError, match="there is no launch 'june'"):
        find_result(settings, "june")
    times = {each.body["occurred_at"] for each in place.see("evaluations")}
    assert times == {"2011-06-01T12:30:00Z"}
    with psycopg.connect(settings.ledger_url) as ledger:
        ledger.execute("UPDATE campaign_launch SET campaign = 'other'")
    with pytest.raises(LaunchError, match="belongs to campaign 'other'"):
        launch_campaign(settings, "thank-you", by="olga", launch_id="may")


def test_an_interrupted_launch_is_counted_by_the_ledger(place: Workplace) -> None:
    """It may be a page ahead of what the process has heard; without the ledger, that is all there is."""
    settings = settings_of(place)
    add_members(place, 3)
    with stopping_after(2) as stop:
        launch_campaign(settings, "thank-you", by="olga", launch_id="may", page=1, on_progress=stop)  # type: ignore[arg-type]
    last = LaunchProgress("may", 1, 3)
    assert count_requested(settings, last) == 2
    nowhere = load_settings(**{**place.environment, "HOLDFAST_LEDGER_URL": "postgresql://127.0.0.1:1/none"})
    assert count_requested(nowhere, last) == 1


def test_two_operators_cannot_launch_a_campaign_at_once(place: Workplace) -> None:
    settings = settings_of(place)
    with (
        open_launches(settings.ledger_url) as launches,
        launches.launch_alone("thank-you"),
        pytest.raises(LaunchError, match="another process"),
    ):
        launch_campaign(settings, "thank-you", by="olga")


def test_a_launch_of_nobody_does_not_count(place: Workplace) -> None:
    """Its segment has no members yet: the next launch needs no --again."""
    settings = settings_of(place)
    assert launch_campaign(settings, "thank-you", by="olga").members == 0
    add_members(place, 1)
    assert launch_campaign(settings, "thank-you", by="olga").members == 1


def test_a_launch_without_a_broker_says_how_to_continue(place: Workplace) -> None:
    add_members(place, 1)
    settings = load_settings(**{**place.environment, "HOLDFAST_BROKER": "127.0.0.1:1"})
    with pytest.raises(BrokerUnavailableError, match="--launch-id spring"):
        launch_campaign(settings, "thank-you", by="olga", launch_id="spring", timeout_s=0.2)
    assert launch_campaign(settings_of(place), "thank-you", by="olga", launch_id="spring").members == 1


@pytest.mark.parametrize("launch_id", ["", "a\nb", "x" * 101])
def test_a_launch_id_that_no_event_can_carry_is_refused(place: Workplace, launch_id: str) -> None:
    with pytest.raises(LaunchError, match="--launch-id"):
        launch_campaign(settings_of(place), "thank-you", by="olga", launch_id=launch_id)
