"""Decisions as CloudEvents: what campaign systems and auditors read. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.channels import STAFF
from campaigns.decide import Outcome
from campaigns.sms import count_segments
from features.times import STALE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.channels import Channel
    from campaigns.decide import Candidate, Decision

TRIGGER_TYPE = b"holdfast.campaign.trigger.v1"
DECISION_TYPE = b"holdfast.campaign.decision.v1"
SOURCE = b"/holdfast/worker"
RECEIVED_HEADER = "holdfast_received_ms"

Headers = tuple[tuple[str, bytes | None], ...]


class Message(msgspec.Struct, frozen=True):
    """A record to publish. `message_id` is its permanent id, `destination` the settings' name of its topic.

    `partition` is the partition of the input record that caused it: its outbox is published in that order.
    """

    message_id: str
    customer_id: str
    destination: str
    key: bytes | None
    headers: Headers
    value: bytes | None
    partition: int


def outgoing(decisions: Sequence[Decision]) -> list[Message]:
    """Return what is published of decisions: the trigger of each that makes one, and the record of each."""
    causes = [_describe_cause(each.candidate) for each in decisions]
    described = list(zip(decisions, causes, strict=True))
    triggers = [trigger_message(each, cause) for each, cause in described if each.outcome is not Outcome.WITHHELD]
    return triggers + [decision_message(each, cause) for each, cause in described]


def trigger_message(decision: Decision, cause: Headers | None = None) -> Message:
    """Return the trigger of a fired decision, or the exposure record of a control one.

    Args:
        decision: the decision.
        cause: the headers that it shares with the decision's other message; made here when left out.
    """
    destination = "campaign_triggers" if decision.outcome is Outcome.FIRED else "control"
    return _message(decision, TRIGGER_TYPE, decision.candidate.trigger_id, destination, trigger_body(decision), cause)


def decision_message(decision: Decision, cause: Headers | None = None) -> Message:
    """Return the record of a decision, fired or not, with its reason and facts.

    Args:
        decision: the decision.
        cause: the headers that it shares with the decision's other message; made here when left out.
    """
    candidate = decision.candidate
    body = {
        **_who(decision),
        "outcome": decision.outcome,
        "reason": decision.reason,
        "detail": decision.detail,
        "net_value": decision.net_value,
        "facts": decision.facts,
        "versions": candidate.versions,
        **({} if decision.variant is None else {"campaign_variant": decision.variant}),
        **({"experiments": decision.inputs.experiments} if decision.inputs and decision.inputs.experiments else {}),
    }
    return _message(decision, DECISION_TYPE, decision_message_id(candidate.trigger_id), "decisions", body, cause)


def decision_message_id(trigger_id: str) -> str:
    """Return the id of the message that records a decision; the trigger's message has the trigger's id."""
    return f"{trigger_id}/decision"


def trigger_body(decision: Decision) -> dict[str, Any]:
    """Return the trigger's value as campaigns/schemas/trigger.schema.json describes it."""
    candidate, facts = decision.candidate, decision.facts
    if decision.offer is None or decision.channel is None:
        raise ValueError(
            f"decision {candidate.trigger_id} carries no offer: only fired and control decisions make triggers"
        )
    channel = candidate.campaign.channels_by_key[decision.channel]
    return {
        **_who(decision),
        "variant": "treatment" if decision.outcome is Outcome.FIRED else "control",
        "campaign_name": candidate.campaign.name,
        "channel": decision.channel,
        "offer": {
            "id": decision.offer.offer.id,
            "key": decision.offer.offer.key,
            "name": decision.offer.offer.name,
            "score": decision.offer.score,
            "propensity": decision.propensity,
            "basis": facts.get("offer_basis"),
        },
        "net_value": decision.net_value,
        "message": decision.message,
        "message_format": channel.message_format,
        "expires_at": candidate.expires_at,
        "churn_probability": facts.get("churn_probability"),
        "churn_risk": facts.get("churn_risk"),
        "predicted_ltv": facts.get("predicted_ltv"),
        "decision_basis": facts.get("decision_basis"),
        "versions": candidate.versions,
        **({} if decision.subject is None else {"subject": decision.subject}),
        **({} if decision.variant is None else {"campaign_variant": decision.variant}),
        **_describe_quiet_hours(channel, decision),
        **({"recipient": STAFF} if channel.recipient == STAFF else {}),
        **({STALE: True} if facts.get(STALE) else {}),
        **({"reasons": decision.inputs.reasons} if decision.inputs and decision.inputs.reasons else {}),
        **({} if channel.max_segments is None else {"message_segments": count_segments(decision.message or "")}),
    }


def _describe_quiet_hours(channel: Channel, decision: Decision) -> dict[str, Any]:
    """Return the channel's quiet hours: the trigger may be delivered later than it was decided."""
    quiet = channel.quiet_hours
    if quiet is None:
        return {}
    zone = quiet.choose_zone(decision.facts.get(quiet.zone_column or ""))
    hours: dict[str, Any] = {"from": quiet.begin, "to": quiet.end, "zone": zone.key}
    arrived = datetime.fromtimestamp(decision.candidate.received_ms / 1000, UTC)
    if days := quiet.find_holidays(arrived, decision.candidate.expires_at, zone):
        hours["holidays"] = days
    described = {"quiet_hours": hours}
    return {**described, "deliver_after": decision.deferred_to} if decision.deferred_to else described


def _who(decision: Decision) -> dict[str, Any]:
    candidate = decision.candidate
    return {
        "trigger_id": candidate.trigger_id,
        "customer_id": candidate.customer_id,
        "campaign": candidate.campaign.key,
        "segment": candidate.campaign.segment,
        "occasion": candidate.occasion,
        "as_of": candidate.as_of,
        "caused_by": candidate.event_id,
    }


def _message(
    decision: Decision, kind: bytes, message_id: str, destination: str, body: Mapping[str, Any], cause: Headers | None
) -> Message:
    candidate = decision.candidate
    headers = (*describe_event(message_id, kind), *(cause or _describe_cause(candidate)))
    key, value = candidate.customer_id.encode(), msgspec.json.encode(body)
    return Message(message_id, candidate.customer_id, destination, key, headers, value, candidate.partition)


def _describe_cause(candidate: Candidate) -> Headers:
    return (
        *describe_cause(candidate.customer_id.encode(), candidate.as_of, candidate.event_id.encode()),
        ("ce_expirytime", candidate.expires_at.isoformat().encode()),
        ("content-type", b"application/json"),
        (RECEIVED_HEADER, b"%d" % candidate.received_ms),
    )


def describe_event(message_id: str, kind: bytes) -> Headers:
    """Return the headers that tell a message from others, as a CloudEvent."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", message_id.encode()),
        ("ce_type", kind),
    )


def describe_cause(customer: bytes, as_of: datetime, event: bytes) -> Headers:
    """Return the headers that say what a message is about and which event caused it, as a CloudEvent."""
    return (
        ("ce_source", SOURCE),
        ("ce_subject", customer),
        ("ce_time", as_of.isoformat().encode()),
        ("ce_correlationid", event),
        ("ce_causationid", event),
    )


def encode_headers(headers: Mapping[str, str]) -> Headers:
    """Return headers as Kafka carries them."""
    return tuple((name, value.encode()) for name, value in headers.items())
