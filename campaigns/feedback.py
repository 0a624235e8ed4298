"""What staff say about a customer: a score is wrong, do not contact until, always treat as VIP. Pure.

What is in force is a function of the set of feedback: what has not been withdrawn, and has not expired at the event
time asked for. So order, duplication and batching make no difference, and a withdrawal may arrive before what it
withdraws. As with an opt-out, the time at which it was given plays no part: an event that is decided after it and is
dated before it must not lead to a contact either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALWAYS_VIP = "always_vip"
"""The fact that rules and messages read: whether staff asked to treat the customer as VIP."""
SCORED_MODELS = tuple(sorted(name for name, task in TASKS.items() if not task.is_optional))
"""The models whose scores staff may call wrong; a score of an optional task is not shown to them."""


class FeedbackKind(StrEnum):
    """What staff say; the end of an event's type."""

    WRONG_SCORE = "wrong_score"
    DO_NOT_CONTACT = "do_not_contact"
    ALWAYS_VIP = "always_vip"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Feedback:
    """One event of feedback, as the ledger keeps it.

    Attributes:
        customer_id: the customer.
        event_id: the event that reported it; one event is one feedback.
        kind: what it says.
        given_at: event time.
        actor: who gave it.
        why: the reason.
        until: event time from which it no longer counts; None if it has no end.
        model: the model whose score is wrong, one of `SCORED_MODELS`.
        value: what the score should be: of churn a probability, of ltv an amount, of nbo the id of an offer, of
            next_purchase days.
        withdraws: the event id of the feedback that it withdraws.
    """

    customer_id: str
    event_id: str
    kind: str
    given_at: datetime
    actor: str
    why: str
    until: datetime | None = None
    model: str | None = None
    value: float | None = None
    withdraws: str | None = None


class Standing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What decisions read of one feedback: the fields of `Feedback` of the same names."""

    event_id: str
    kind: str
    until: datetime | None = None
    withdraws: str | None = None


def add_feedback(known: tuple[Standing, ...], feedback: Feedback) -> tuple[Standing, ...]:
    """Return a customer's feedback with one more; an event id counts once, and wrong scores change no decision."""
    if feedback.kind == FeedbackKind.WRONG_SCORE or any(each.event_id == feedback.event_id for each in known):
        return known
    added = Standing(feedback.event_id, feedback.kind, feedback.until, feedback.withdraws)
    return tuple(sorted((*known, added), key=lambda each: each.event_id))


def find_in_force(known: Iterable[Standing], kind: FeedbackKind, at: datetime) -> Standing | None:
    """Return the feedback of a kind that counts at an event time: of several the one that counts longest."""
    withdrawn = {each.withdraws for each in known}
    counting = [
        each
        for each in known
        if each.kind == kind and each.event_id not in withdrawn and (each.until is None or at < each.until)
    ]
    return max(counting, key=lambda each: (each.until or _FOR_EVER, each.event_id), default=None)


def find_withdrawals(feedback: Iterable[Feedback]) -> Mapping[tuple[str, str], Feedback]:
    """Return the first withdrawal of each feedback, by the customer and the event id of what it withdraws."""
    ordered = sorted(feedback, key=lambda each: (each.given_at, each.event_id), reverse=True)
    return {(each.customer_id, each.withdraws): each for each in ordered if each.withdraws}


_FOR_EVER = datetime.max.replace(tzinfo=UTC)
