"""How far the partitions of this worker are, and whether they still move. Pure: values and `now` in.

Faust's consumers are known to stop in silence (its issues 175, 523, 532, 602): the process lives, heartbeats go out,
and nothing is committed any more. Neither the consumer nor the group can tell, so it is judged by what counts: lag
that does not shrink. Whoever judges must know where the partitions end from somebody else than the consumer, for one
that fetches nothing sees no lag.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust.types import TP

# Chunks wait in two queues of 16 and in the batches under way; a partition that has room is read by turns.
CHUNKS_UNDER_WAY = 64
ROUNDS = 4
# Who was not looking for so long (asleep, a blocked event loop) knows nothing of the time in between.
BLINK_S = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one partition is: the offset committed, or where a group without one begins, and the end."""

    committed: int | None
    end: int | None

    @property
    def lag(self) -> int | None:
        """Offsets not yet committed; None is unknown."""
        return None if self.end is None or self.committed is None else max(0, self.end - self.committed)


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the consumer knows of its place in the group.

    Attributes:
        generation: the group's generation; 0 before the worker has joined.
        rebalancing: partitions were taken and none given yet.
        progress: how far each partition of this worker is.
        chunks: how many chunks were acknowledged since the start.
    """

    generation: int = 0
    rebalancing: bool = False
    progress: Mapping[TP, Progress] = field(default_factory=lambda: MappingProxyType({}))
    chunks: int = 0

    @property
    def joined(self) -> bool:
        """Whether the group has given out partitions, be it none to us."""
        return self.generation > 0 and not self.rebalancing


@dataclass(frozen=True, slots=True)
class ProgressPoint:
    """When a partition last moved, or had nothing left to do, and how many chunks were acknowledged by then."""

    committed: int | None
    since: float
    chunks: int


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of the group up to a moment; times are seconds of one monotonic clock.

    Attributes:
        at: when.
        group: as it was then.
        marks: one for each partition.
        moved_at: when any of them last moved, or none had anything to do.
        joined_at: when the worker was last seen in the group.
        excused_at: until when standing still has another reason: a service that is away, or nobody looked.
    """

    at: float
    group: GroupState
    points: Mapping[TP, ProgressPoint]
    moved_at: float
    joined_at: float
    excused_at: float


def begin(now: float) -> Observation:
    """Return what is known before anything was seen."""
    return Observation(now, GroupState(), {}, now, now, now)


def observe(before: Observation, group: GroupState, *, now: float, excused: bool) -> Observation:
    """Return what is known after one more look.

    Args:
        before: what was known.
        group: what is seen.
        now: seconds of a monotonic clock.
        excused: whether a service is away, so that nothing can move.
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
    """Return in words what has not moved for too long.

    Nothing is stuck for less than `stuck_after_s`. Then the worker is, when it has lag and none of its partitions
    moved, or when it is not in its group. A single partition is, when its turn must have come several times: a store
    that is slow makes many partitions wait for each other.
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
