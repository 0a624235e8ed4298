"""What deliveries report to the workers, on the topic `outcomes`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from delivery.answers import Outcome


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a trigger; one trigger has one."""

    trigger_id: str
    customer_id: str
    channel: str
    outcome: Outcome
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OptOut:
    """A customer's opt-out by the link in an e-mail."""

    event_id: str
    customer_id: str
    channel: str
    trigger_id: str
    at: datetime


def describe_report(report: Report) -> Mapping[str, Any]:
    """Return the outcome event of a delivery; published again it is the same event, and counts once."""
    return {
        "id": f"delivery-{report.trigger_id}",
        "type": f"outcome.{report.outcome}",
        "customer_id": report.customer_id,
        "occurred_at": report.at,
        "trigger_id": report.trigger_id,
        "channel": report.channel,
        "reason": report.reason,
    }


def describe_opt_out(opt_out: OptOut) -> Mapping[str, Any]:
    """Return the outcome event of an opt-out."""
    return {
        "id": opt_out.event_id,
        "type": "outcome.unsubscribed",
        "customer_id": opt_out.customer_id,
        "occurred_at": opt_out.at,
        "trigger_id": opt_out.trigger_id,
        "channel": opt_out.channel,
    }


def name_opt_out(trigger_id: str, at: datetime) -> str:
    """Return the id of an opt-out's event.

    Not the trigger's alone: a customer who opts in again may opt out by the same e-mail once more. Requests within one
    second are one opt-out.
    """
    return f"unsubscribe-{trigger_id}-{int(at.timestamp())}"
