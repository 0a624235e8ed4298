"""Whether a trigger is delivered now, later or never. Pure: the time is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from delivery.trigger import Trigger

EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Now:
    """Deliver it now."""


@dataclass(frozen=True, slots=True)
class Later:
    """Deliver it at this time, not before."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Never:
    """Do not deliver it, for this reason."""

    reason: str


Plan = Now | Later | Never


def plan(trigger: Trigger, now: datetime) -> Plan:
    """Return when a trigger may be delivered.

    It is held back until `deliver_after`, and to the end of quiet hours if it would arrive within them. A trigger that
    would have expired by then is never delivered, so that none is held back in vain.
    """
    at = max(now, trigger.deliver_after or now)
    quiet = trigger.read_quiet_hours()
    if quiet is not None:
        at = quiet.find_end(at, quiet.choose_zone(None)) or at
    if at >= trigger.expires_at:
        return Never(EXPIRED)
    return Now() if at <= now else Later(at)
