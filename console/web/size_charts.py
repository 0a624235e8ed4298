"""The sizes of a segment over time as lines, in units of a drawing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from console.performance_page import Tick, choose_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from campaigns.records import ActivationRecord, SizeRecord

    Place = Callable[[datetime], float]

SPARK = (120, 28)
"""Width and height of a small line."""
MARGIN = 2
SIZE = (720, 260)
"""Width and height of a chart."""
FRAME = (72, 10, 636, 224)
"""Left, top, width and height of the part within the labels; a label of 1,000,000 has room on the left."""
LONGEST_GAP = 2
"""A line has a gap where more steps than this are without a size: workers did not run."""
HOUR = timedelta(hours=1)
X_TICKS = 5
LEAST_RANGE = 5
"""Members from the lowest to the highest label: so that labels are whole numbers."""
SHORT = timedelta(days=3)
"""Of a shorter time the labels say the hour, too."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A small line without axes, from the least to the most.

    Attributes:
        lines: points of each uninterrupted part.
        last: place of the last point.
        summary: first, last, least and most.
    """

    lines: Sequence[str]
    last: tuple[float, float]
    summary: str


@dataclass(frozen=True, slots=True)
class VersionMark:
    """A version of the segment came into force.

    Attributes:
        place: of its line.
        number: its label, which the text below the chart explains.
    """

    place: float
    number: int
    at: datetime
    version: str


@dataclass(frozen=True, slots=True)
class SizeChart:
    """The sizes of a segment with axes.

    Attributes:
        lines: points of each uninterrupted part.
        last: place of the last point.
        marks: versions that came into force meanwhile.
        summary: first, last, least and most.
    """

    lines: Sequence[str]
    last: tuple[float, float]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    marks: Sequence[VersionMark]
    summary: str


def draw_sparkline(sizes: Sequence[SizeRecord], step: timedelta) -> Sparkline | None:
    """Return the line of sizes at most `step` apart; None where there are fewer than two."""
    if len(sizes) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    width, height = SPARK
    counts = [each.members for each in sizes]
    least, span = min(counts), (max(counts) - min(counts)) or 1
    x = _place_times(sizes, MARGIN, width - 2 * MARGIN)

    def y(members: int) -> float:
        # Without a change the line is in the middle.
        share = (members - least) / span if max(counts) > least else 0.5
        return round(height - MARGIN - share * (height - 2 * MARGIN), 1)

    return Sparkline(_draw(sizes, step, x, y), (x(sizes[-1].at), y(counts[-1])), summarize(sizes))


def draw_sizes(
    sizes: Sequence[SizeRecord], step: timedelta, activations: Sequence[ActivationRecord]
) -> SizeChart | None:
    """Return the chart of sizes, with the versions that came into force; None where there are fewer than two sizes.

    The scale begins at 0 unless the least size is more than half of the most.

    Args:
        sizes: in order.
        step: how far they are apart at most.
        activations: of the segment, the latest first.
    """
    if len(sizes) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    left, top, width, height = FRAME
    counts = [each.members for each in sizes]
    least, most = min(counts), max(counts)
    low = least if least > most / 2 else 0
    ticks = choose_ticks(low, max(most, low + LEAST_RANGE))
    bottom, upper = ticks[0], ticks[-1]
    x = _place_times(sizes, left, width)

    def y(members: float) -> float:
        return round(top + (upper - members) / (upper - bottom) * height, 1)

    return SizeChart(
        _draw(sizes, step, x, y),
        (x(sizes[-1].at), y(counts[-1])),
        _label_times(sizes[0].at, sizes[-1].at, x),
        [Tick(y(value), f"{value:,.0f}") for value in ticks],
        _mark_versions(activations, sizes[0].at, sizes[-1].at, x),
        summarize(sizes),
    )


def summarize(sizes: Sequence[SizeRecord]) -> str:
    """Return first, last, least and most in a sentence."""
    first, last = sizes[0], sizes[-1]
    counts = [each.members for each in sizes]
    return (
        f"Members from {_say(first.at)} to {_say(last.at)} (UTC): first {first.members:,}, last {last.members:,}, "
        f"least {min(counts):,}, most {max(counts):,}."
    )


def _place_times(sizes: Sequence[SizeRecord], left: float, width: float) -> Place:
    first, last = sizes[0].at, sizes[-1].at
    return lambda at: round(left + (at - first) / (last - first) * width, 1)


def _draw(sizes: Sequence[SizeRecord], step: timedelta, x: Place, y: Callable[[int], float]) -> list[str]:
    parts = [[sizes[0]]]
    for before, each in pairwise(sizes):
        if each.at - before.at > LONGEST_GAP * step:
            parts.append([])
        parts[-1].append(each)
    # A line from a point to itself is drawn as a dot.
    return [
        " ".join(f"{x(each.at)},{y(each.members)}" for each in (part * 2 if len(part) == 1 else part)) for part in parts
    ]


def _label_times(first: datetime, last: datetime, x: Place) -> list[Tick]:
    is_short = last - first < SHORT
    ticks: dict[str, Tick] = {}
    for n in range(X_TICKS):
        at = first + n / (X_TICKS - 1) * (last - first)
        label = _say(at) if is_short else f"{at.astimezone(UTC):%Y-%m-%d}"
        ticks.setdefault(label, Tick(x(at), label))
    return list(ticks.values())


def _mark_versions(
    activations: Sequence[ActivationRecord], first: datetime, last: datetime, x: Place
) -> list[VersionMark]:
    """Return a mark for each version that came into force; another mode of the same version is none."""
    in_order = activations[::-1]
    changed = [
        each
        for before, each in zip([None, *in_order], in_order, strict=False)
        if before is None or before.version != each.version
    ]
    # The last size is of an hour that may not be over.
    shown = [each for each in changed if first <= each.activated_at < last + HOUR]
    return [
        VersionMark(x(min(each.activated_at, last)), place, each.activated_at, each.version)
        for place, each in enumerate(shown, start=1)
    ]


def _say(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
