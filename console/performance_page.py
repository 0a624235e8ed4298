"""A campaign's performance as one HTML file: no script, no network, the same bytes for the same figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from console.performance_views import (
    CONTACT_HEADINGS,
    EFFECT_HEADINGS,
    LEVEL,
    VARIANT_HEADINGS,
    VERSION_HEADINGS,
    comparison_headings,
    comparison_rows,
    contact_rows,
    describe_measured,
    effect_rows,
    find_tone,
    headline,
    interval,
    key_figures,
    points,
    sentences,
    variant_rows,
    version_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.use_cases.performance import CampaignPerformance, DayEffect

TEMPLATES = Environment(
    loader=PackageLoader("console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 26
FRAME = (LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)
MOST_POINTS = 400
X_TICKS = 5
Y_TICKS = 6


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis, and its place in units of the drawing."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The difference of the conversion rates over time, in units of the drawing.

    Attributes:
        band: corners of the area between the bounds of the intervals, as SVG writes them.
        line: points of the difference.
        zero: height of no difference.
        last: place of the last point.
    """

    band: str
    line: str
    zero: float
    last: tuple[float, float]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    summary: str


def render_page(found: CampaignPerformance) -> str:
    """Return the page."""
    return TEMPLATES.get_template("performance.html").render(
        campaign=found.campaign,
        described=describe_measured(found),
        until=found.days[-1].day if found.days else None,
        tone=find_tone(found),
        headline=headline(found),
        sentences=sentences(found),
        tiles=key_figures(found),
        chart=draw_chart(found.days),
        level=LEVEL,
        width=WIDTH,
        height=HEIGHT,
        frame=FRAME,
        contacts=(CONTACT_HEADINGS, contact_rows(found)) if found.customers else None,
        effect=(EFFECT_HEADINGS, effect_rows(found.effect)) if found.effect else None,
        versions=(VERSION_HEADINGS, version_rows(found)) if len(found.versions) > 1 else None,
        variants=(VARIANT_HEADINGS, variant_rows(found)) if found.variants else None,
        comparison=(comparison_headings(found), rows) if (rows := comparison_rows(found)) else None,
    )


def draw_chart(days: Sequence[DayEffect]) -> Chart | None:
    """Return the chart of the days that have an interval, None where fewer than two have one.

    The first quarter of the days does not set the scale, because its intervals are wide: they are cut at the edge.
    """
    known = [
        (each.day, each.conversion.difference, each.conversion.low, each.conversion.high)
        for each in days
        if each.conversion.low is not None and each.conversion.high is not None
    ]
    if len(known) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    step = math.ceil(len(known) / MOST_POINTS)
    shown = known[::-step][::-1]
    settled = shown[len(shown) // 4 :]
    ticks = choose_ticks(min(0.0, *(low for *_, low, _ in settled)), max(0.0, *(high for *_, high in settled)))
    first, last = shown[0][0], shown[-1][0]
    days_shown = (last - first).days or 1
    bottom, top = ticks[0], ticks[-1]

    def x(place: float) -> float:
        return round(LEFT + place / days_shown * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        cut = min(max(value, bottom), top)
        return round(TOP + (top - cut) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    places = [x((day - first).days) for day, *_ in shown]
    upper = [f"{place},{y(high)}" for place, (*_, high) in zip(places, shown, strict=True)]
    lower = [f"{place},{y(low)}" for place, (*_, low, _) in zip(places, shown, strict=True)]
    line = [f"{place},{y(difference)}" for place, (_, difference, *_) in zip(places, shown, strict=True)]
    labelled = dict.fromkeys(round(n * days_shown / (X_TICKS - 1)) for n in range(X_TICKS))
    return Chart(
        " ".join([*upper, *reversed(lower)]),
        " ".join(line),
        y(0),
        (places[-1], y(shown[-1][1])),
        [Tick(x(place), f"{first + timedelta(days=place)}") for place in labelled],
        [Tick(y(value), f"{value * 100:g}" if value <= 0 else f"+{value * 100:g}") for value in ticks],
        f"From {first} to {last}: on the last day {points(shown[-1][1])} percentage points, {LEVEL} interval "
        f"{interval(days[-1].conversion)}.",
    )


def choose_ticks(low: float, high: float) -> list[float]:
    """Return round values from below the low to above the high, 0 among them."""
    rough = (high - low) / (Y_TICKS - 1) or 0.01
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * each for each in (1, 2, 5, 10) if scale * each >= rough)
    return [round(n * step, 12) for n in range(math.floor(low / step), math.ceil(high / step) + 1)]
