"""Leads: what the ledger holds of each, how events change it, and the alert of a lead that becomes hot. Pure.

Events are applied in the order of event time; the ledger remembers the id of each, so one that is delivered again
changes nothing. An update that is older than the lead's latest one is kept for training and changes nothing else. An
alert is raised when a lead becomes hot, once for each time that it does; none for a lead that is converted or lost.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.triggers import RECEIVED_HEADER, Message, describe_cause, describe_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from models.leads import LeadReason, LeadScore

UPDATED, CONVERTED, LOST, WRONG_SCORE = "lead.updated", "lead.converted", "lead.lost", "lead.wrong_score"
OUTCOMES = (CONVERTED, LOST)
HOT = "hot"
ALERT_TYPE = b"holdfast.lead.alert.v1"
DESTINATION = "lead_alerts"
# Never change it: every alert id derives from it.
ALERT_NAMESPACE = uuid.UUID("7a1f5d0e-52f3-5c0b-8d7a-0d6a9b1c3e44")


@dataclass(frozen=True, slots=True)
class LeadState:
    """A lead, as the ledger holds it.

    Attributes:
        lead_id: its id.
        customer_id: the customer of the latest event; the lead's own id while none is named.
        updated_at: event time of the latest update; None before the first.
        features: those of that update.
        score: from 0 to 100; None before the first update.
        tier: `hot`, `warm` or `cold`; None before the first update.
        basis: `points` or `model`: what gave the score.
        version: of the points or of the model.
        probability: that it converts, by a model.
        crossings: how often it became hot.
        outcome: `lead.converted` or `lead.lost`, of the latest such event; None while it is open.
        outcome_at: event time of that event.
    """

    lead_id: str
    customer_id: str
    updated_at: datetime | None = None
    features: Mapping[str, float | None] = field(default_factory=dict)
    score: float | None = None
    tier: str | None = None
    basis: str | None = None
    version: str | None = None
    probability: float | None = None
    crossings: int = 0
    outcome: str | None = None
    outcome_at: datetime | None = None

    def update(self, at: datetime, features: Mapping[str, float | None], score: LeadScore, tier: str) -> LeadState:
        """Return the lead after an update; the same if a later one is known."""
        if self.updated_at is not None and at < self.updated_at:
            return self
        becomes_hot = tier == HOT and self.tier != HOT
        return replace(
            self,
            updated_at=at,
            features=features,
            score=score.score,
            tier=tier,
            basis=score.basis,
            version=score.version,
            probability=score.probability,
            crossings=self.crossings + becomes_hot,
        )

    def close(self, at: datetime, outcome: str) -> LeadState:
        """Return the lead after it was converted or lost; the same if a later outcome is known."""
        if self.outcome_at is not None and at < self.outcome_at:
            return self
        return replace(self, outcome=outcome, outcome_at=at)


@dataclass(frozen=True, slots=True)
class LeadRecord:
    """An event of a lead, as the ledger keeps it for training and for people.

    Attributes:
        lead_id: the lead.
        event_id: its id.
        customer_id: the customer, or the lead's own id.
        type: of the event.
        occurred_at: event time.
        content: the features of an update with its score, who said what of a score; empty of an outcome.
    """

    lead_id: str
    event_id: str
    customer_id: str
    type: str
    occurred_at: datetime
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AlertContext:
    """The event at which a lead became hot.

    Attributes:
        event_id: its id.
        received_ms: Kafka timestamp of its record, milliseconds since 1970.
        partition: of its record.
    """

    event_id: str
    received_ms: int
    partition: int


def alert_message(
    lead: LeadState, before: float | None, context: AlertContext, reasons: Sequence[LeadReason]
) -> Message:
    """Return the alert of a lead that has become hot.

    Args:
        lead: as it is now.
        before: its score before; None at the first update.
        context: the event that made it hot.
        reasons: of its score, the largest first.
    """
    if lead.updated_at is None:
        raise ValueError(f"lead {lead.lead_id!r} has no update to alert of")
    alert_id = str(uuid.uuid5(ALERT_NAMESPACE, json.dumps([lead.lead_id, context.event_id])))
    body = {
        "alert_id": alert_id,
        "lead_id": lead.lead_id,
        "customer_id": None if lead.customer_id == lead.lead_id else lead.customer_id,
        "score": lead.score,
        "score_before": before,
        "tier": lead.tier,
        "crossing": lead.crossings,
        "as_of": lead.updated_at,
        "caused_by": context.event_id,
        "basis": lead.basis,
        "version": lead.version,
        "probability": lead.probability,
        "reasons": reasons,
    }
    key = lead.lead_id.encode()
    headers = (
        *describe_event(alert_id, ALERT_TYPE),
        *describe_cause(key, lead.updated_at, context.event_id.encode()),
        ("content-type", b"application/json"),
        (RECEIVED_HEADER, b"%d" % context.received_ms),
    )
    return Message(alert_id, lead.customer_id, DESTINATION, key, headers, msgspec.json.encode(body), context.partition)
