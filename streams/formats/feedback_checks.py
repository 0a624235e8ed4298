"""Checks of events of feedback. Pure."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from campaigns.feedback import SCORED_MODELS, FeedbackKind
from models.tasks.churn import Churn
from models.tasks.nbo import NextBestOffer

if TYPE_CHECKING:
    from streams.formats.events import WireEvent

MAX_REASON = 2_000
_ASKED = {"by": "who gave the feedback", "reason": "why"}


def find_feedback_problem(wire: WireEvent) -> str | None:
    """Return why an event of feedback cannot be used, None when it can."""
    if problem := check_words(wire.by, wire.reason):
        return problem
    match wire.type.removeprefix("feedback."):
        case FeedbackKind.WITHDRAWN:
            return _check_withdrawal(wire)
        case FeedbackKind.WRONG_SCORE:
            return _check_score(wire)
        case FeedbackKind.DO_NOT_CONTACT if wire.until is None:
            return "until is missing; it must be the time from which the customer may be contacted again"
    if wire.until is None or wire.until > wire.occurred_at:
        return None
    return f"until is {wire.until}; it must be later than occurred_at, {wire.occurred_at}"


def check_words(by: str, reason: str) -> str | None:
    """Return why who gave feedback, or the reason, cannot be kept; None when both can."""
    for name, text in (("by", by), ("reason", reason)):
        if not text.strip() or not text.isprintable() or len(text) > MAX_REASON:
            asked = _ASKED[name]
            return f"{name} is {text[:80]!r}; it must say {asked}, in one line of at most {MAX_REASON:,} characters"
    return None


def _check_withdrawal(wire: WireEvent) -> str | None:
    if wire.withdraws and wire.withdraws.isprintable():
        return None
    return f"withdraws is {wire.withdraws!r}; it must be the id of the feedback to withdraw"


def _check_score(wire: WireEvent) -> str | None:
    value = wire.value
    if wire.model not in SCORED_MODELS:
        return f"model is {wire.model[:80]!r}; it must be one of {', '.join(SCORED_MODELS)}"
    if value is None:
        return None
    if not isfinite(value):
        return f"value is {value:g}; it must be a finite number"
    if wire.model == Churn.name and not 0 <= value <= 1:
        return f"value is {value:g}; for churn it must be a probability from 0 to 1"
    if wire.model == NextBestOffer.name and not (value >= 1 and value.is_integer()):
        return f"value is {value:g}; for nbo it must be the id of an offer"
    return None if value >= 0 else f"value is {value:g}; for {wire.model} it must be an amount of 0 or more"
