"""Bursts of bounces and opt-outs of a mail domain: the sign of a blocked sender, a bad list or a bad message. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from delivery.config import Alarm

Kind = Literal["bounced", "unsubscribed"]
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class DomainCounts:
    """What happened to the e-mails of a mail domain within the window: `settled` are delivered or bounced."""

    domain: str
    settled: int
    bounced: int
    unsubscribed: int


@dataclass(frozen=True, slots=True)
class Burst:
    """So many of `settled` e-mails of a domain."""

    kind: Kind
    domain: str
    count: int
    settled: int


def find_bursts(counts: Iterable[DomainCounts], alarm: Alarm) -> list[Burst]:
    """Return the bursts among the counts of a window."""
    found = [
        Burst(kind, each.domain, count, each.settled)
        for each in counts
        for kind, count in _counts(each).items()
        if count >= alarm.least and count * _PERCENT >= each.settled * alarm.percent
    ]
    return sorted(found, key=lambda each: (each.domain, each.kind))


def _counts(each: DomainCounts) -> Mapping[Kind, int]:
    return {"bounced": each.bounced, "unsubscribed": each.unsubscribed}
