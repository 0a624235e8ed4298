"""What a soak plans, and what it reads from its audit."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.audit import Audit, AuditReader, count_decided, count_faults, measure_recoveries
from tests.faults.disturbances import KINDS, REST_S, SERVICES, draw_inside, plan
from tests.faults.worker_with_faults import parse
from tests.records import Arrived

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 600


def test_the_same_seed_plans_the_same_disturbances() -> None:
    """And another seed plans others."""
    assert plan(7, SECONDS) == plan(7, SECONDS) != plan(8, SECONDS)


def test_ten_minutes_have_more_than_200_disturbances_of_every_kind() -> None:
    """In order, and none after the end."""
    planned = plan(7, SECONDS)
    moments = [each.at_s for each in planned]
    assert len(planned) > 200
    assert {each.kind for each in planned} == set(KINDS)
    assert moments == sorted(moments)
    assert moments[-1] < SECONDS


def test_some_kills_are_for_measuring_a_recovery() -> None:
    """One in every 75 s, and one in a short soak."""
    assert [sum(each.is_calm for each in plan(7, seconds)) for seconds in (60, 600)] == [1, 8]


def test_a_service_rests_after_a_disturbance() -> None:
    """Or nobody would ever work."""
    for service in SERVICES:
        planned = [each for each in plan(7, SECONDS) if each.service == service]
        assert len(planned) > 20
        assert all(later.at_s >= each.at_s + each.lasts_s + REST_S for each, later in pairwise(planned))


def test_what_a_worker_does_to_itself_is_understood_by_it() -> None:
    """Whatever is drawn; often it is nothing."""
    chance = random.Random(3)
    drawn = [draw_inside(chance) for _ in range(200)]
    assert {fault.action for text in drawn for fault in parse(text)} == {"kill", "freeze", "crash", "away"}
    assert "" in drawn


def test_an_audit_is_read_as_far_as_it_is_written(tmp_path: Path) -> None:
    """A line that is half written is read when it is whole."""
    path = tmp_path / "audit.jsonl"
    audit, reader = Audit(path), AuditReader(path)
    audit.note("fault", kind="kill")
    with path.open("a") as file:
        file.write('{"what": "fault", ')
        file.flush()
        assert count_faults(reader.update()) == {"kill": 1}
        file.write('"kind": "cut"}\n')
    assert count_faults(reader.update()) == count_faults(reader.update()) == {"kill": 1, "cut": 1}
    audit.close()


def test_a_record_that_is_decided_twice_is_counted_twice(tmp_path: Path) -> None:
    """A record is known by topic, partition and offset."""
    audit, reader = Audit(tmp_path / "audit.jsonl"), AuditReader(tmp_path / "audit.jsonl")
    first, second = (Arrived(topic="t", partition=1, offset=offset) for offset in (4, 5))
    audit.note_decided([first, second])
    audit.note_decided([second])
    assert count_decided(reader.update()) == {("t", 1, 4): 1, ("t", 1, 5): 2}
    audit.close()


def decided(at: float, pid: int, *partitions: int) -> dict[str, Any]:
    """Return what a worker writes down that decides a record of each partition."""
    return {"at": at, "pid": pid, "what": "decided", "records": [["t", partition, 0] for partition in partitions]}


KILL = {"at": 10.0, "pid": 1, "what": "fault", "kind": "kill", "victim": 2, "is_calm": True}
BEFORE = [decided(2, 3, 0), decided(8, 2, 1, 2), decided(9, 3, 3), KILL, decided(11, 3, 3)]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([decided(12, 4, 1), decided(16, 3, 2)], [6.0]),
        ([decided(12, 4, 1)], []),
        ([{"at": 11.5, "pid": 1, "what": "fault", "kind": "redis-cut"}, decided(12, 4, 1, 2)], []),
        ([decided(12, 4, 1, 2), {"at": 12.5, "pid": 1, "what": "fault", "kind": "redis-cut"}], [2.0]),
    ],
)
def test_recovery_takes_until_all_partitions_of_the_killed_worker_are_decided_again(
    later: list[dict[str, Any]], expected: list[float]
) -> None:
    """By whomever; it is not measured when another fault comes in between, or the end."""
    assert measure_recoveries(BEFORE + later) == expected
