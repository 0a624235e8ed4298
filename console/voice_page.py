"""The weekly report of the voice of the customer as one HTML file: no script, no network, the same bytes each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.performance_page import TEMPLATES, choose_ticks
from console.voice_views import (
    CONVERSATION_HEADINGS,
    STATES,
    TREND_HEADINGS,
    band,
    conversation_rows,
    share,
    summary_tiles,
    trend_rows,
    trends_headline,
)
from intelligence.weeks import write_week

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.use_cases.voice import VoiceReport
    from intelligence.concern_trends import ConcernTrend, WeekRate

WIDTH, HEIGHT = 360, 170
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 24
CHARTS_AT_MOST = 24
TICKS_AT_MOST = 5
_LEAST_TOP = 0.01
WORST_HEADINGS = ("customer", *CONVERSATION_HEADINGS)
DISCOVERED_HEADINGS = ("concern", "words", "state")


@dataclass(frozen=True, slots=True)
class RateChart:
    """The rate of a concern by week, in units of the drawing.

    Attributes:
        concern: its id.
        tone: bad for an alert above the band, good below it, open otherwise.
        state: the rate of the last week, and where it is.
        bands: corners of each run of weeks with a band, as SVG writes them.
        lines: points of each run of weeks with a rate.
        dots: place of each week outside its band.
        last: place of the last week; None without a rate.
        x_ticks: place, label and text anchor of the first and the last week.
        y_ticks: place and label.
        summary: in words, for those who do not see the drawing.
    """

    concern: str
    tone: str
    state: str
    bands: Sequence[str]
    lines: Sequence[str]
    dots: Sequence[tuple[float, float]]
    last: tuple[float, float] | None
    x_ticks: Sequence[tuple[float, str, str]]
    y_ticks: Sequence[tuple[float, str]]
    summary: str


def render_page(found: VoiceReport) -> str:
    """Return the page."""
    trends = found.trends
    discovered = [
        (each.concern, ", ".join(found.words[each.concern]), "emerging" if each.concern in found.emerging else "known")
        for each in trends.concerns
        if each.concern in found.words
    ]
    return TEMPLATES.get_template("voice.html").render(
        week=write_week(trends.week),
        begins=trends.week,
        headline=trends_headline(trends),
        tone="bad" if trends.alerts else "open" if not trends.conversations else "good",
        tiles=summary_tiles(found.week, found.before) if trends.conversations else [],
        charts=[draw_chart(each) for each in trends.concerns[:CHARTS_AT_MOST]],
        left_out=max(len(trends.concerns) - CHARTS_AT_MOST, 0),
        false_alerts=share(trends.false_alerts),
        width=WIDTH,
        height=HEIGHT,
        frame=(LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM),
        trends=(TREND_HEADINGS, trend_rows(trends)) if trends.concerns else None,
        discovered=(DISCOVERED_HEADINGS, discovered) if discovered else None,
        moods=[(mood, count, _percent(count, found.week.conversations)) for mood, count in found.week.moods.items()],
        languages=", ".join(f"{name} {count:,}" for name, count in found.week.languages.items()),
        worst=(
            (WORST_HEADINGS, [(each.customer_id, *row) for each, row in zip(found.worst, rows, strict=True)])
            if (rows := conversation_rows(found.worst))
            else None
        ),
    )


def draw_chart(trend: ConcernTrend) -> RateChart:
    """Return the chart of a concern's weeks."""
    weeks = trend.weeks
    highest = max((max(each.rate or 0.0, each.band.high if each.band else 0.0) for each in weeks), default=0.0)
    ticks = choose_ticks(0.0, max(highest, _LEAST_TOP))
    ticks = ticks[:: 1 + len(ticks) // TICKS_AT_MOST]
    top = max(ticks[-1], highest)

    def x(place: int) -> float:
        return round(LEFT + (place + 0.5) / len(weeks) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (top - value) / top * (HEIGHT - TOP - BOTTOM), 1)

    bands = []
    for run in _runs([each.band is not None for each in weeks]):
        known = [(place, found) for place in run if (found := weeks[place].band)]
        edge = [(x(place), y(found.high)) for place, found in known] + [
            (x(place), y(found.low)) for place, found in reversed(known)
        ]
        bands.append(_points(_widened(edge) if len(known) == 1 else edge))
    rates = [(place, rate) for place, each in enumerate(weeks) if (rate := each.rate) is not None]
    shown = dict(rates)
    lines = [
        _points([(x(place), y(shown[place])) for place in run])
        for run in _runs([each.rate is not None for each in weeks])
    ]
    outside = [place for place, rate in rates if weeks[place].direction in {"above", "below"}]
    latest = trend.latest
    return RateChart(
        trend.concern,
        {"above": "bad", "below": "good"}.get(latest.direction, "open"),
        f"{share(latest.rate)}, {STATES[latest.direction]}",
        bands,
        lines,
        [(x(place), y(shown[place])) for place in outside],
        (x(rates[-1][0]), y(rates[-1][1])) if rates and rates[-1][0] == len(weeks) - 1 else None,
        _week_labels(weeks, x(0), x(len(weeks) - 1)),
        [(y(value), f"{value * 100:g} %") for value in ticks],
        f"{trend.concern}, {write_week(weeks[0].week)} to {write_week(latest.week)}: {share(latest.rate)} in the last "
        f"week, band {band(latest)}, {STATES[latest.direction]}.",
    )


def _week_labels(weeks: Sequence[WeekRate], first: float, last: float) -> list[tuple[float, str, str]]:
    if len(weeks) == 1:
        return [(first, write_week(weeks[0].week), "middle")]
    return [(first, write_week(weeks[0].week), "start"), (last, write_week(weeks[-1].week), "end")]


def _runs(known: Sequence[bool]) -> list[list[int]]:
    """Return the positions of each run of what is known."""
    found: list[list[int]] = []
    for place, each in enumerate(known):
        if each:
            if not place or not known[place - 1]:
                found.append([])
            found[-1].append(place)
    return found


def _widened(edge: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the band of a single week as an area."""
    (x, high), (_, low) = edge
    return [(x - 4, high), (x + 4, high), (x + 4, low), (x - 4, low)]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0
