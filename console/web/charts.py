"""Places of the marks of charts that the server draws as SVG. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from campaigns.postgres_risk import RiskHistory
    from intelligence.cohorts import CohortRow

BANDS = ("low", "medium", "high", "critical")
DARKEST = 0.55
"""The opacity of the strongest cell: text on it must stay readable."""
BAR, GAP, HEIGHT = 36, 8, 140


@dataclass(frozen=True, slots=True)
class HeatCell:
    """A cell of a heatmap.

    Attributes:
        share: of the row, 0 to 1.
        opacity: of its colour.
    """

    count: int
    share: float
    opacity: float


@dataclass(frozen=True, slots=True)
class BarPart:
    """A part of a stacked bar, in units of the drawing."""

    x: int
    y: float
    height: float
    band: str
    count: int
    week: date


def shade_cohorts(rows: Sequence[CohortRow]) -> list[tuple[CohortRow, list[HeatCell]]]:
    """Return the cells of each cohort: the share of its customers who buy so many months later."""
    shares = [[count / row.size if row.size else 0.0 for count in row.active] for row in rows]
    largest = max((share for row in shares for share in row[1:]), default=0.0) or 1.0
    return [
        (
            row,
            [
                HeatCell(count, share, round(DARKEST * min(share / largest, 1.0), 3))
                for count, share in zip(row.active, of_row, strict=True)
            ],
        )
        for row, of_row in zip(rows, shares, strict=True)
    ]


def shade_counts(counts: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], HeatCell]:
    """Return a cell for each count, as strong as its share of the largest."""
    largest, total = max(counts.values(), default=1), sum(counts.values()) or 1
    return {
        place: HeatCell(count, count / total, round(DARKEST * count / largest, 3)) for place, count in counts.items()
    }


def stack_weeks(history: RiskHistory) -> tuple[list[BarPart], list[date]]:
    """Return the parts of a bar for each week, the highest risk on top, and the weeks."""
    weeks = sorted({week for week, _, _ in history.weeks})
    totals = {week: sum(count for each, _, count in history.weeks if each == week) for week in weeks}
    largest = max(totals.values(), default=1)
    counts = {(week, risk): count for week, risk, count in history.weeks}
    parts = []
    for place, week in enumerate(weeks):
        top = float(HEIGHT)
        for band in BANDS:
            count = counts.get((week, band), 0)
            height = round(HEIGHT * count / largest, 1)
            top -= height
            if count:
                parts.append(BarPart(place * (BAR + GAP), round(top, 1), height, band, count, week))
    return parts, weeks


def draw_line(values: Sequence[float | None], width: int, height: int) -> str:
    """Return the points of a line through values, for `points` of a polyline; unknown ones are left out."""
    known = [each for each in values if each is not None]
    largest = max(known, default=0.0) or 1.0
    step = width / max(len(values) - 1, 1)
    return " ".join(
        f"{place * step:.1f},{height - height * value / largest:.1f}"
        for place, value in enumerate(values)
        if value is not None
    )
