"""Leads of a batch: the new state of each, what the ledger keeps of their events, and the alerts. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from campaigns.leads import OUTCOMES, UPDATED, AlertContext, LeadRecord, LeadState, alert_message

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from campaigns.ports import CustomerKey
    from campaigns.triggers import Message
    from models.leads import LeadScore, LeadScorer
    from streams.formats.leads import LeadEvent


@dataclass(slots=True)
class FoldedLeads:
    """The changes that the new events of leads in a batch make.

    Attributes:
        event_ids: the events folded.
        states: the new state of each lead.
        records: the events as the ledger keeps them.
        alerts: of the leads that became hot.
    """

    event_ids: list[CustomerKey] = field(default_factory=list)
    states: dict[str, LeadState] = field(default_factory=dict)
    records: list[LeadRecord] = field(default_factory=list)
    alerts: list[Message] = field(default_factory=list)


def lead_ids(events: Sequence[LeadEvent]) -> list[str]:
    """Return the leads of a batch, each once."""
    return list(dict.fromkeys(event.wire.lead_id for event in events))


def lead_key(event: LeadEvent) -> CustomerKey:
    """Return the key under which the ledger remembers an event; ids are unique among a lead's events."""
    # No event id has a control character: nothing else uses such a key.
    return event.wire.lead_id, f"lead\x1f{event.wire.id}"


def fold_leads(
    events: Sequence[LeadEvent], held: Mapping[str, LeadState], seen: Collection[CustomerKey], scorer: LeadScorer
) -> FoldedLeads:
    """Apply the events that the ledger has not seen, each lead's in the order of event time.

    Args:
        events: of the batch.
        held: the leads that the ledger has, by id.
        seen: the keys of events that were folded before.
        scorer: scores the updates.
    """
    folded = FoldedLeads()
    fresh = _order(events, seen)
    if not fresh:
        return folded
    updates = [event for event in fresh if event.wire.type == UPDATED]
    scores = dict(zip(map(id, updates), scorer.score([event.wire.features for event in updates]), strict=True))
    for event in fresh:
        wire = event.wire
        before = folded.states.get(wire.lead_id) or held.get(wire.lead_id) or LeadState(wire.lead_id, wire.lead_id)
        is_stale = before.updated_at is not None and wire.occurred_at < before.updated_at
        lead = replace(before, customer_id=wire.customer_id) if wire.customer_id and not is_stale else before
        score = scores.get(id(event))
        if score is not None:
            lead = lead.update(wire.occurred_at, wire.features, score, scorer.tier(score.score))
            if lead.crossings > before.crossings and lead.outcome is None:
                folded.alerts.append(_alert(event, lead, before.score, scorer))
        elif wire.type in OUTCOMES:
            lead = lead.close(wire.occurred_at, wire.type)
        folded.states[wire.lead_id] = lead
        folded.event_ids.append(lead_key(event))
        folded.records.append(_record(event, score))
    return folded


def _order(events: Sequence[LeadEvent], seen: Collection[CustomerKey]) -> list[LeadEvent]:
    """Return the events not seen, each once, in the order of event time; of equal times in that of arrival."""
    fresh: dict[CustomerKey, LeadEvent] = {}
    for event in events:
        if (key := lead_key(event)) not in seen:
            fresh.setdefault(key, event)
    return sorted(fresh.values(), key=lambda event: event.wire.occurred_at)


def _alert(event: LeadEvent, lead: LeadState, before: float | None, scorer: LeadScorer) -> Message:
    record = event.record
    reasons = scorer.explain(lead.features, lead.basis or "")
    return alert_message(lead, before, AlertContext(event.wire.id, record.timestamp, record.partition), reasons)


def _record(event: LeadEvent, score: LeadScore | None) -> LeadRecord:
    wire = event.wire
    content: dict[str, Any] = {}
    if score is not None:
        content = {"features": wire.features, **asdict(score)}
    elif wire.type not in OUTCOMES:
        content = {"by": wire.by, "reason": wire.reason, "value": wire.value}
    return LeadRecord(wire.lead_id, wire.id, event.customer_id, wire.type, wire.occurred_at, content)
