"""The judgement on what stands still: values and `now` in, words out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from faust.types import TP

from streams.observability.lag_monitor import complete
from streams.observability.liveness import (
    BLINK_S,
    CHUNKS_UNDER_WAY,
    ROUNDS,
    GroupState,
    Progress,
    begin,
    commit_ages,
    find_stuck,
    observe,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.observability.liveness import Observation

ONE, TWO = TP("updates", 0), TP("updates", 1)
AFTER_S = 120.0


def group(progress: Mapping[TP, tuple[int | None, int | None]], **more: Any) -> GroupState:
    """Return a group whose partitions are (committed, end)."""
    return GroupState(
        **{"generation": 1, "progress": {place: Progress(*each) for place, each in progress.items()}, **more}
    )


def watch(*looks: GroupState, excused: bool = False, seen: Observation | None = None) -> Observation:
    """Look once every ten seconds."""
    seen = seen or begin(0.0)
    for look in looks:
        seen = observe(seen, look, now=seen.at + 10, excused=excused)
    return seen


def test_lag_that_does_not_shrink_is_stuck() -> None:
    """Not before the time is over, and told with what is behind and for how long."""
    look = group({ONE: (3, 10), TWO: (5, 5)})
    assert find_stuck(watch(*[look] * 13), AFTER_S) == []
    assert find_stuck(watch(*[look] * 14), AFTER_S) == ["updates[0]: 7 events behind, nothing committed for 130 s"]


@pytest.mark.parametrize(
    ("progress", "reason"),
    [
        ({ONE: (10, 10)}, "no lag"),
        ({ONE: (3, None)}, "the end is not known"),
        ({ONE: (None, 10)}, "the beginning is not known"),
        ({}, "no partition is ours"),
    ],
)
def test_without_lag_nothing_is_stuck(progress: dict[TP, tuple[int | None, int | None]], reason: str) -> None:
    """However long nothing is committed."""
    assert find_stuck(watch(*[group(progress)] * 50), AFTER_S) == [], reason


def test_what_moves_is_not_stuck_however_long_its_lag() -> None:
    """A backlog is no standstill."""
    seen = watch(*(group({ONE: (offset, 10_000)}) for offset in range(50)))
    assert (find_stuck(seen, AFTER_S), commit_ages(seen)) == ([], {ONE: 0.0})


def test_lag_counts_from_when_it_came() -> None:
    """The time without events before it is no standstill."""
    seen = watch(*[group({ONE: (3, 3)})] * 50, *[group({ONE: (3, 4)})] * 5)
    assert (find_stuck(seen, AFTER_S), commit_ages(seen)) == ([], {ONE: 50.0})


@pytest.mark.parametrize(("chunks", "stuck"), [(CHUNKS_UNDER_WAY + ROUNDS * 2, False), (200, True)])
def test_a_partition_is_stuck_when_its_turn_came_and_went(chunks: int, *, stuck: bool) -> None:
    """While others move it may just have to wait, when the ledger is slow and partitions are many."""
    looks = [group({ONE: (3, 10), TWO: (offset, 900)}, chunks=0 if offset == 0 else chunks) for offset in range(20)]
    found = find_stuck(watch(*looks), AFTER_S)
    assert found == (["updates[0]: 7 events behind, nothing committed for 190 s"] if stuck else [])


def test_the_time_in_which_a_service_was_away_does_not_count() -> None:
    """Nor does it right after, before anything could move."""
    look = group({ONE: (3, 10)})
    seen = watch(*[look] * 50, excused=True)
    assert find_stuck(seen, AFTER_S) == []
    assert find_stuck(watch(*[look] * 12, seen=seen), AFTER_S) == []
    assert find_stuck(watch(*[look] * 13, seen=seen), AFTER_S) != []


def test_the_time_in_which_nobody_looked_does_not_count() -> None:
    """A worker that was paused for an hour is given its time."""
    look = group({ONE: (3, 10)})
    seen = observe(watch(look), look, now=3600.0, excused=False)
    assert seen.at - seen.points[ONE].since > BLINK_S
    assert find_stuck(seen, AFTER_S) == []


@pytest.mark.parametrize("outside", [{"generation": 0}, {"rebalancing": True}])
def test_a_worker_that_does_not_get_into_its_group_is_stuck(outside: dict[str, Any]) -> None:
    """A rebalance that never ends is a known way for consumers to hang."""
    inside = group({ONE: (3, 3)})
    seen = watch(inside, *[replace(inside, progress={}, **outside)] * 12)
    assert find_stuck(seen, AFTER_S) == []
    assert find_stuck(watch(replace(inside, **outside), seen=seen), AFTER_S) == ["not in the consumer group for 130 s"]


@pytest.mark.parametrize(
    ("ours", "brokers", "lag"),
    [
        (Progress(5, 5), Progress(0, 9), 4),
        (Progress(5, 9), Progress(0, 7), 4),
        (Progress(5, None), Progress(0, 9), 4),
        (Progress(None, None), Progress(3, 9), 6),
        (Progress(None, None), Progress(9, 9), 0),
        (Progress(5, 9), None, 4),
        (Progress(None, 9), None, None),
    ],
)
def test_the_broker_knows_what_a_consumer_that_fetches_nothing_does_not(
    ours: Progress, brokers: Progress | None, lag: int | None
) -> None:
    """Where a partition ends, and where a group that never committed begins."""
    assert complete(ours, brokers).lag == lag
