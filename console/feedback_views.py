"""Feedback of staff in words."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from campaigns.feedback import FeedbackKind

if TYPE_CHECKING:
    from campaigns.feedback import Feedback
    from console.use_cases.customer_feedback import FeedbackState


def what(said: Feedback) -> str:
    """Return what feedback says, in words."""
    until = f" until {said.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if said.until else ""
    match said.kind:
        case FeedbackKind.WRONG_SCORE:
            value = "" if said.value is None else f", should be {said.value:g}"
            return f"the {said.model} score is wrong{value}"
        case FeedbackKind.ALWAYS_VIP:
            return f"always VIP{until}"
        case _:
            return f"do not contact{until}"


def describe_feedback(found: FeedbackState) -> str:
    """Return one feedback in a line: when, what, whether it counts now, who and why."""
    said, withdrawal = found.feedback, found.withdrawal
    state = found.state
    if withdrawal:
        state = f"withdrawn {withdrawal.given_at:%Y-%m-%d} by {withdrawal.actor}: {withdrawal.why}"
    return f"{said.given_at:%Y-%m-%d} feedback {said.event_id} by {said.actor}: {what(said)} ({said.why}); {state}"


def feedback_object(found: FeedbackState) -> dict[str, Any]:
    """Return feedback as JSON values."""
    said = found.feedback
    return {
        "feedback_id": said.event_id,
        "state": found.state,
        "kind": said.kind,
        "given_at": said.given_at.isoformat(),
        "until": said.until.isoformat() if said.until else None,
        "model": said.model,
        "value": said.value,
        "by": said.actor,
        "why": said.why,
        "withdrawn_by": found.withdrawal.actor if found.withdrawal else None,
        "withdrawn_at": found.withdrawal.given_at.isoformat() if found.withdrawal else None,
    }
