"""A backtest as one HTML file: no script, no network, the same bytes for the same figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.backtest_views import (
    ESTIMATE_HEADINGS,
    METHODS,
    SENT_HEADINGS,
    estimate_rows,
    headline,
    method_rows,
    sent_rows,
    sentences,
    tone,
    unsupported_rows,
)
from console.performance_page import TEMPLATES, choose_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.use_cases.backtests import Backtest

WIDTH, ROW, LEFT, RIGHT, BOTTOM = 720, 54, 24, 24, 28


@dataclass(frozen=True, slots=True)
class Interval:
    """The difference of a campaign's net revenue with its interval, in units of the drawing."""

    name: str
    y: float
    low: float
    middle: float
    high: float
    label: str


@dataclass(frozen=True, slots=True)
class Intervals:
    """The intervals of the campaigns on one scale."""

    rows: Sequence[Interval]
    ticks: Sequence[tuple[float, str]]
    zero: float
    height: int
    summary: str


def render_page(found: Backtest) -> str:
    """Return the page."""
    estimated = found.estimate
    shown = "none" if not estimated.is_enough else f"{estimated.effective:,.0f}"
    return TEMPLATES.get_template("backtest.html").render(
        found=found.replay,
        headline=headline(found),
        tone=tone(estimated),
        tiles=[
            ("contacts", f"{found.planned.contacts:,}", f"recorded: {found.recorded.contacts:,}"),
            ("contact cost", f"{found.planned.contact_cost:,.2f}", f"recorded: {found.recorded.contact_cost:,.2f}"),
            ("offer cost", f"{found.planned.offer_cost:,.2f}", "at most, if every offer is accepted"),
            ("effective sample", shown, f"of {estimated.opportunities:,} opportunities"),
            ("without an estimate", f"{estimated.unsupported_share:.0%}", "of the opportunities"),
        ],
        chart=draw_intervals(found),
        width=WIDTH,
        left=LEFT,
        right=WIDTH - RIGHT,
        sent=(SENT_HEADINGS, sent_rows(found)),
        estimates=(ESTIMATE_HEADINGS, estimate_rows(found)),
        methods=(METHODS, method_rows(estimated)),
        unsupported=(("no estimate is possible, because", "opportunities", "share"), unsupported_rows(estimated)),
        sentences=list(sentences(found)),
    )


def draw_intervals(found: Backtest) -> Intervals | None:
    """Return the chart of the differences in net revenue, None where no campaign has one."""
    named = [(each.campaign, each.estimate) for each in found.campaigns]
    if len(named) > 1:
        named.append(("all", found.estimate))
    known = [(name, each.earned) for name, each in named if each.earned is not None and each.is_enough]
    if not known:
        return None
    low = min(0.0, *(each.difference_low for _, each in known))
    high = max(0.0, *(each.difference_high for _, each in known))
    ticks = choose_ticks(low, high if high > low else low + 1)
    first, last = ticks[0], ticks[-1]

    def x(value: float) -> float:
        return round(LEFT + (value - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    rows = [
        Interval(
            name,
            ROW * place + 36,
            x(each.difference_low),
            x(each.difference),
            x(each.difference_high),
            f"{name}: {each.difference:+,.2f} ({each.difference_low:+,.2f} to {each.difference_high:+,.2f})",
        )
        for place, (name, each) in enumerate(known)
    ]
    height = ROW * len(rows) + BOTTOM
    labels = [(x(each), f"{each:+,g}" if each else "0") for each in ticks]
    return Intervals(rows, labels, x(0), height, "; ".join(each.label for each in rows))
