"""A replay as one HTML file: no script, no network, the same bytes for the same figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.performance_page import TEMPLATES, choose_ticks
from console.replay_views import (
    COUNT_HEADINGS,
    REASON_HEADINGS,
    count_rows,
    describe_side,
    headline,
    reason_rows,
    sentences,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from console.use_cases.replay import Replayed

WIDTH, HEIGHT = 720, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 26
MOST_BARS = 62
UPWARDS = ("same", "changed", "added")
EXAMPLE_HEADINGS = ("customer", "kind", "campaign", "replay", "live")
MEANINGS = {
    "same": "sent by both",
    "changed": "another offer, channel or message",
    "added": "sent by the replay only",
    "removed": "sent then, and not by the replay",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a day's bar, in units of the drawing."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Triggers by day: what the replay sends upwards, what it no longer sends downwards."""

    bars: Sequence[Bar]
    zero: float
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    summary: str


def render_page(found: Replayed) -> str:
    """Return the page."""
    differs = any(found.total(kind) for kind in ("changed", "added", "removed"))
    return TEMPLATES.get_template("replay.html").render(
        found=found,
        headline=headline(found),
        tone="open" if differs else "good",
        tiles=[(kind, f"{found.total(kind):,}", meaning) for kind, meaning in MEANINGS.items()],
        sentences=list(sentences(found)),
        chart=draw_bars(found.days),
        kinds=list(MEANINGS),
        width=WIDTH,
        height=HEIGHT,
        frame=(LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM),
        counts=(COUNT_HEADINGS, count_rows(found)),
        reasons=(REASON_HEADINGS, reason_rows(found)),
        examples=(
            EXAMPLE_HEADINGS,
            [
                (each.customer_id, each.kind, each.campaign, describe_side(each.replayed), describe_side(each.live))
                for each in found.examples
            ],
        ),
    )


def draw_bars(days: Sequence[tuple[str, str, int]]) -> Bars | None:
    """Return the chart of triggers by day, None without any; consecutive days share a bar where there are many."""
    by_day: dict[str, Counter[str]] = defaultdict(Counter)
    for day, kind, count in days:
        by_day[day][kind] += count
    if not by_day:
        return None
    names = sorted(by_day)
    together = -(-len(names) // MOST_BARS)
    groups = [names[first : first + together] for first in range(0, len(names), together)]
    counted = [(group[0], sum((by_day[day] for day in group), Counter())) for group in groups]
    high = max(sum(each[kind] for kind in UPWARDS) for _, each in counted)
    ticks = choose_ticks(-float(max(each["removed"] for _, each in counted)), float(high or 1))
    bottom, top = ticks[0], ticks[-1]
    step = (WIDTH - LEFT - RIGHT) / len(counted)

    def y(value: float) -> float:
        return round(TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    bars = [
        bar
        for place, (day, each) in enumerate(counted)
        for bar in _stack(day, each, LEFT + place * step, step, y(0), y)
    ]
    labelled = sorted({0, len(counted) // 2, len(counted) - 1})
    totals = {kind: sum(each[kind] for _, each in counted) for kind in MEANINGS}
    return Bars(
        bars,
        y(0),
        [(round(LEFT + (place + 0.5) * step, 1), counted[place][0]) for place in labelled],
        [(y(value), f"{abs(value):,g}") for value in ticks if value == int(value)],
        f"From {names[0]} to {names[-1]}: " + ", ".join(f"{count:,} {kind}" for kind, count in totals.items()),
    )


def _stack(
    day: str, counts: Mapping[str, int], x: float, step: float, zero: float, y: Callable[[float], float]
) -> list[Bar]:
    width = round(min(step * 0.8, 48.0), 1)
    left = round(x + (step - width) / 2, 1)
    bars, below = [], 0
    for kind in UPWARDS:
        if counts[kind]:
            upper, lower = y(below + counts[kind]), y(below)
            bars.append(Bar(kind, left, upper, width, round(lower - upper, 1), f"{day}: {counts[kind]:,} {kind}"))
            below += counts[kind]
    if counts["removed"]:
        height = round(y(-counts["removed"]) - zero, 1)
        bars.append(Bar("removed", left, zero, width, height, f"{day}: {counts['removed']:,} removed"))
    return bars
