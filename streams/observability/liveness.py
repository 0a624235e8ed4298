"""The progress of this worker's partitions, and whether they still move. Pure: values and `now` in.

Faust's consumers are known to stop silently (its issues 175, 523, 532, 602): the process lives, heartbeats go out, and
nothing is committed any more. Neither the consumer nor the group can detect it, so the criterion is lag that does not
shrink. The end offsets must not come from the consumer: one that fetches nothing sees no lag.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust.types import TP

# Chunks wait in two queues of 16 and in the batches in progress; partitions with room are read in turn.
CHUNKS_UNDER_WAY = 64
ROUNDS = 4
# After such a gap between observations (process paused, event loop blocked) nothing is known of the time in between.
BLINK_S = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """One partition: the committed offset, or where a group without one begins, and the end offset.

    `end` is the last stable offset: where the first open transaction begins. `written` is the end of what was written.
    """

    committed: int | None
    end: int | None
    written: int | None = None

    @property
    def lag(self) -> int | None:
        """Offsets not yet committed; None is unknown."""
        return None if self.end is None or self.committed is None else max(0, self.end - self.committed)


@dataclass(frozen=True, slots=True)
class GroupState:
    """The consumer's state in its group.

    Attributes:
        generation: the group's generation; 0 before the worker has joined.
        rebalancing: partitions were revoked and none assigned yet.
        progress: the progress of each partition of this worker.
        chunks: chunks acknowledged since the start.
    """

    generation: int = 0
    rebalancing: bool = False
    progress: Mapping[TP, Progress] = field(default_factory=lambda: MappingProxyType({}))
    chunks: int = 0

    @property
    def joined(self) -> bool:
        """Whether the group has assigned partitions, possibly none to this worker."""
        return self.generation > 0 and not self.rebalancing


@dataclass(frozen=True, slots=True)
class ProgressPoint:
    """The time a partition last moved or had no lag, and the chunks acknowledged by then."""

    committed: int | None
    since: float
    chunks: int


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of the group at a moment; times are seconds of one monotonic clock.

    Attributes:
        at: the time of the observation.
        group: the group's state then.
        points: the progress point of each partition.
        moved_at: when any partition last moved, or none had lag.
        joined_at: when the worker was last in the group.
        excused_at: until when standing still had another cause: an unavailable service, or a gap in the observations.
    """

    at: float
    group: GroupState
    points: Mapping[TP, ProgressPoint]
    moved_at: float
    joined_at: float
    excused_at: float


def begin(now: float) -> Observation:
    """Return the observation before the first one."""
    return Observation(now, GroupState(), {}, now, now, now)


def observe(before: Observation, group: GroupState, *, now: float, excused: bool) -> Observation:
    """Return what is known after one more observation.

    Args:
        before: the observation before.
        group: the group's present state.
        now: seconds of a monotonic clock.
        excused: whether a service is unavailable, so that nothing can move.
    """
    fresh = {place for place, each in group.progress.items() if _moved(before.points.get(place), each)}
    idle = {place for place, each in group.progress.items() if not each.lag}
    points = {
        place: ProgressPoint(each.committed, now, group.chunks) if place in fresh | idle else before.points[place]
        for place, each in group.progress.items()
    }
    return Observation(
        at=now,
        group=group,
        points=points,
        moved_at=now if fresh or len(idle) == len(group.progress) else before.moved_at,
        joined_at=now if group.joined else before.joined_at,
        excused_at=now if excused or now - before.at > BLINK_S else before.excused_at,
    )


def _moved(point: ProgressPoint | None, progress: Progress) -> bool:
    return point is None or point.committed != progress.committed


def commit_ages(seen: Observation) -> dict[TP, float]:
    """Return for each partition the seconds since its committed offset last moved, 0 where there is no lag."""
    return {
        place: seen.at - point.since if seen.group.progress[place].lag else 0.0 for place, point in seen.points.items()
    }


def find_stuck(seen: Observation, stuck_after_s: float) -> list[str]:
    """Return a sentence for each partition that has not moved for too long.

    Nothing is stuck before `stuck_after_s`. After that the worker is stuck when it has lag and none of its partitions
    moved, or when it is not in its group. A single partition is stuck when its turn must have come several times: a
    slow store makes many partitions wait for each other.
    """
    if not seen.group.joined:
        away = seen.at - max(seen.joined_at, seen.excused_at)
        return [f"not in the consumer group for {away:.0f} s"] if away > stuck_after_s else []
    still = seen.at - max(seen.moved_at, seen.excused_at) > stuck_after_s
    lagging = {place: progress.lag for place, progress in seen.group.progress.items() if progress.lag}
    turns = CHUNKS_UNDER_WAY + ROUNDS * len(lagging)
    return [
        f"{place.topic}[{place.partition}]: {lag} events behind, nothing committed for {seen.at - point.since:.0f} s"
        for place, lag in sorted(lagging.items())
        if seen.at - max((point := seen.points[place]).since, seen.excused_at) > stuck_after_s
        and (still or seen.group.chunks - point.chunks > turns)
    ]
