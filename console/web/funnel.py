"""The funnel of a campaign's contacts as bars, in units of a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.exposures import ContactCounts

WIDTH = 480
ROW, LABEL = 34, 108
ROOM = 145
"""To the right of the longest bar, for its figures."""
STAGES = (
    ("decided", "to contact"),
    ("published", "published"),
    ("delivered", "delivered"),
    ("opened", "opened"),
    ("clicked", "clicked"),
    ("converted", "converted"),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One stage of a funnel.

    Attributes:
        y: its upper edge.
        width: of the bar.
        said: the figure and its share of the first stage.
    """

    name: str
    y: int
    width: float
    said: str


@dataclass(frozen=True, slots=True)
class Funnel:
    """The stages from the first to the last, and all of them in a sentence."""

    bars: Sequence[Bar]
    width: int
    height: int
    summary: str


def draw_funnel(contacts: ContactCounts) -> Funnel | None:
    """Return the funnel of the treated, None where there are none."""
    first = contacts.decided
    if not first:
        return None
    counts = [(name, getattr(contacts, attribute)) for attribute, name in STAGES]
    longest = WIDTH - LABEL - ROOM
    bars = [
        Bar(name, place * ROW, round(longest * min(count / first, 1), 1), f"{count:,} ({count / first:.1%})")
        for place, (name, count) in enumerate(counts)
    ]
    return Funnel(bars, WIDTH, len(bars) * ROW, ", ".join(f"{each.name} {each.said}" for each in bars))
