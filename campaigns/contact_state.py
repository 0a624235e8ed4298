"""The state of a contact: one transition table and the fold that applies it. Pure.

The fold takes each outcome event once. Every part of a state is a maximum, a minimum, a count or an exact sum, so order
and batching of the outcomes make no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

# From the first to the furthest: a contact moves to the right only.
STATUSES = ("reserved", "failed", "bounced", "delivered", "opened", "clicked", "converted")
# The status that each outcome moves a contact to, where that is further than the present one.
TRANSITIONS: Mapping[str, str] = {
    "bounced": "bounced",
    "failed": "failed",
    "delivered": "delivered",
    "opened": "opened",
    "clicked": "clicked",
    "converted": "converted",
}
_RANKS = {status: rank for rank, status in enumerate(STATUSES)}
# Enough digits for the exact sum of any two float64: rounding would make a sum depend on its order.
_EXACT = Context(prec=700)


@dataclass(frozen=True, slots=True)
class ContactState:
    """The state of a contact.

    Attributes:
        status: the furthest of `STATUSES` reached.
        value: the sum of the values of all conversions, None before the first that has one.
        conversions: number of conversions.
        first_at: the event time of the first outcome of each kind, by outcome: a bounce stays visible in it.
    """

    status: str = STATUSES[0]
    value: Decimal | None = None
    conversions: int = 0
    first_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contact:
    """A trigger or a control exposure in the ledger."""

    channel: str
    state: ContactState


@dataclass(frozen=True, slots=True)
class ContactOutcome:
    """One outcome event of a contact; `outcome` is a key of `TRANSITIONS`."""

    outcome: str
    occurred_at: datetime
    value: float | None = None


def fold(state: ContactState, outcomes: Iterable[ContactOutcome]) -> ContactState:
    """Return the state after more outcomes, each of which is new."""
    for each in outcomes:
        state = _apply(state, each)
    return state


def _apply(state: ContactState, event: ContactOutcome) -> ContactState:
    status = max(state.status, TRANSITIONS[event.outcome], key=_RANKS.__getitem__)
    first = min(state.first_at.get(event.outcome, event.occurred_at), event.occurred_at)
    state = replace(state, status=status, first_at={**state.first_at, event.outcome: first})
    if event.outcome != "converted":
        return state
    return replace(state, conversions=state.conversions + 1, value=_add(state.value, event.value))


def _add(total: Decimal | None, value: float | None) -> Decimal | None:
    if value is None:
        return total
    return _EXACT.add(total or Decimal(0), Decimal(repr(value)))
