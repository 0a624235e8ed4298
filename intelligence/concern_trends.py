"""The weekly rate of each concern: conversations that name it, of all conversations that began in an ISO week (UTC).

A week is judged against the weeks before it; see expected_band.py. The probability of a false alert is divided among
the concerns (Bonferroni), so it holds for all concerns of a week together.

A week outside its band does not widen the bands of later weeks, unless the next week is outside on the same side, too:
a spike is left out, and a rate that has changed for good is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from intelligence.expected_band import expect_rate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from intelligence.expected_band import Band

FALSE_ALERTS = 0.05
"""The probability that a week in which no rate has changed has an alert of any concern."""
BASELINE_WEEKS = 26
"""Weeks before a week that its band is computed from."""
_DAYS = 7
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class WeekRate:
    """One week of a concern.

    Attributes:
        week: its Monday.
        named: conversations that name the concern.
        total: all conversations.
        band: of the rate; None where the weeks before are too few, or the week has no conversation.
    """

    week: date
    named: int
    total: int
    band: Band | None

    @property
    def rate(self) -> float | None:
        """From 0 to 1; None without a conversation."""
        return self.named / self.total if self.total else None

    @property
    def direction(self) -> str:
        """Where the rate is: above, below or within its band; unknown without one."""
        rate = self.rate
        if self.band is None or rate is None:
            return "unknown"
        if rate > self.band.high + _ROUNDING:
            return "above"
        return "below" if rate < self.band.low - _ROUNDING else "within"


@dataclass(frozen=True, slots=True)
class ConcernTrend:
    """The weeks of one concern, oldest first, without a gap.

    Attributes:
        concern: its id.
        discovered: whether it comes from clustering, and not from the taxonomy.
        weeks: at least one; the last one is judged.
    """

    concern: str
    discovered: bool
    weeks: Sequence[WeekRate]

    @property
    def latest(self) -> WeekRate:
        """The week that is judged."""
        return self.weeks[-1]

    @property
    def is_alert(self) -> bool:
        """Whether the rate of the latest week has left its band."""
        return self.latest.direction in {"above", "below"}


def follow_concerns(
    named: Mapping[str, Mapping[date, int]],
    totals: Mapping[date, int],
    week: date,
    shown: int,
    discovered: Collection[str] = (),
    false_alerts: float = FALSE_ALERTS,
) -> list[ConcernTrend]:
    """Return the trend of each concern up to a week, alerts first, then the most frequent.

    Args:
        named: conversations that name a concern, by Monday.
        totals: all conversations by Monday; a week that is missing has none.
        week: the Monday of the week to judge.
        shown: the most weeks that a trend has.
        discovered: concerns that come from clustering.
        false_alerts: the probability of a false alert in a week, over all concerns.
    """
    first = min((*totals, week))
    weeks = [first + timedelta(days=days) for days in range(0, (week - first).days + 1, _DAYS)]
    alpha = false_alerts / max(len(named), 1)
    found = []
    for concern, counts in named.items():
        rates = _judge([counts.get(each, 0) for each in weeks], [totals.get(each, 0) for each in weeks], weeks, alpha)
        found.append(ConcernTrend(concern, concern in discovered, rates[-shown:]))
    return sorted(found, key=lambda each: (not each.is_alert, -(each.latest.rate or 0.0), each.concern))


def _judge(counts: Sequence[int], totals: Sequence[int], weeks: Sequence[date], alpha: float) -> list[WeekRate]:
    found: list[WeekRate] = []
    for place, week in enumerate(weeks):
        before = range(max(0, place - BASELINE_WEEKS), place)
        # A week without conversations is unknown to the band.
        known = [0 if _is_spike(found, each) else totals[each] for each in before]
        band = expect_rate([counts[each] for each in before], known, totals[place], alpha)
        found.append(WeekRate(week, counts[place], totals[place], band))
    return found


def _is_spike(weeks: Sequence[WeekRate], place: int) -> bool:
    """Return whether a week left its band and the next one, if there is one, did not do so on the same side."""
    direction = weeks[place].direction
    return direction in {"above", "below"} and (place + 1 == len(weeks) or weeks[place + 1].direction != direction)
