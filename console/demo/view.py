"""The terminal view of the running demo."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.panel import Panel
from rich.table import Table

from console.performance_views import headline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from rich.console import RenderableType

    from console.use_cases.performance import CampaignPerformance


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the demo at one moment."""

    day: date
    sent: int
    done: int
    segments: Mapping[str, int]
    outcomes: Mapping[str, Mapping[str, int]]

    @property
    def lag(self) -> int:
        """Number of published events not yet decided, folded or dead-lettered."""
        return max(0, self.sent - self.done)


@dataclass(slots=True)
class Speed:
    """Events per second over about the last second."""

    _last: tuple[float, int] = field(default_factory=lambda: (time.monotonic(), 0))
    _rate: float = 0.0

    def update(self, done: int) -> float:
        """Record the number of processed events and return the rate."""
        then, before = self._last
        now = time.monotonic()
        if now - then >= 1:
            self._rate = (done - before) / (now - then)
            self._last = (now, done)
        return self._rate


def render(snapshot: Snapshot, events_per_second: float) -> RenderableType:
    """Render a snapshot."""
    speed = f"{events_per_second:,.0f} events/s   lag {snapshot.lag:,}"
    title = f"[bold]Holdfast[/]  simulated date {snapshot.day}   {snapshot.done:,} events done   {speed}"
    return Panel(draw_tables(snapshot), title=title, title_align="left")


def draw_tables(snapshot: Snapshot) -> RenderableType:
    """Render segment sizes next to the decisions of each campaign."""
    return Columns([_segments(snapshot), _triggers(snapshot)], padding=(1, 4))


def describe(snapshot: Snapshot) -> str:
    """Describe a snapshot in one line, for output without a terminal."""
    fired = sum(count.get("fired", 0) for count in snapshot.outcomes.values())
    sizes = ", ".join(f"{name} {size:,}" for name, size in snapshot.segments.items())
    return f"{snapshot.day}  events {snapshot.done:,}  triggers {fired:,}  {sizes}"


def describe_effect(found: CampaignPerformance) -> list[str]:
    """Describe whether a campaign has an effect, and the figures of its arms."""
    effect = found.effect
    if effect is None:
        return [headline(found)]
    arms = [
        f"{arm.customers:,} {name}, {share:.1%} converted"
        for arm, name, share in (
            (effect.treated, "customers contacted", effect.conversion.treated),
            (effect.control, "held out", effect.conversion.control),
        )
    ]
    return [headline(found), "; ".join(arms)]


def _segments(snapshot: Snapshot) -> Table:
    table = Table("segment", "members", box=None)
    table.columns[1].justify = "right"
    for name, size in snapshot.segments.items():
        table.add_row(name, f"{size:,}")
    return table


def _triggers(snapshot: Snapshot) -> Table:
    table = Table("campaign", "triggers", "control", "withheld", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for campaign, counts in snapshot.outcomes.items():
        table.add_row(campaign, *(f"{counts.get(outcome, 0):,}" for outcome in ("fired", "control", "withheld")))
    return table
