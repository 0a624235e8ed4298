"""Every message that Holdfast reads or publishes, with its version, topic and schemas. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from campaigns.feedback import SCORED_MODELS
from campaigns.leads import ALERT_TYPE, UPDATED, WRONG_SCORE
from campaigns.transition_messages import TRANSITION_TYPE
from campaigns.triggers import DECISION_TYPE, RECEIVED_HEADER, SOURCE, TRIGGER_TYPE, decision_message_id
from campaigns.unpublishable import REASON
from streams.contracts.input_schemas import (
    consent_schema,
    definitions_changed_schema,
    feedback_schemas,
    lead_schemas,
    message_schema,
    outcome_schema,
    request_schema,
    update_schema,
)
from streams.formats.events import RejectReason
from streams.topic_descriptions import REPLAY_HEADER, SHADOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.contracts.compatibility import Direction, Schema

TRACE_PARENT = {
    "type": "string",
    "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
    "description": "W3C trace context, with HOLDFAST_TRACES=true.",
}
_EVENT_HEADERS: Schema = {
    "type": "object",
    "properties": {
        "traceparent": {"type": "string", "description": "W3C trace context; one that cannot be read is ignored."},
        "ce_traceparent": {"type": "string", "description": "The same, as an extension of CloudEvents."},
        "tracestate": {"type": "string"},
    },
}


@dataclass(frozen=True, slots=True)
class MessageContract:
    """A message as others may rely on it.

    Attributes:
        name: unique with the version.
        version: grows with each change that breaks those who rely on the message.
        topic: without the prefix.
        direction: whether Holdfast reads or writes it.
        payload: the schema of its value; without any keyword, the value is any bytes.
        headers: the schema of its headers as an object of texts.
        examples: headers and value.
    """

    name: str
    version: int
    topic: str
    direction: Direction
    payload: Schema
    headers: Schema
    examples: Sequence[tuple[Mapping[str, str], Any]] = field(default=())

    @property
    def key(self) -> str:
        """Name and version."""
        return f"{self.name}.v{self.version}"


@cache
def all_messages() -> tuple[MessageContract, ...]:
    """Return every message, inputs first."""
    return (*_inputs(), *_outputs())


def _inputs() -> list[MessageContract]:
    feedback, leads = feedback_schemas(), lead_schemas()
    schemas: dict[str, tuple[str, Schema, Mapping[str, Any]]] = {
        "customer.updated": ("customer-updates", update_schema(), {"attributes": {}}),
        "conversation.message": (
            "conversations",
            message_schema(),
            {"channel": "email", "role": "customer", "text": "Please cancel my account."},
        ),
        "outcome": ("outcomes", outcome_schema(), {"trigger_id": _EXAMPLE_TRIGGER, "value": 25.0}),
        "consent": ("outcomes", consent_schema(), {"channel": "email"}),
        **{f"feedback.{kind}": ("outcomes", feedback[kind], _FEEDBACK[kind]) for kind in feedback},
        **{name: ("leads", leads[name], {"lead_id": "lead-7", **_LEADS[name]}) for name in leads},
        "evaluation.requested": (
            "evaluations",
            request_schema(),
            {"reason": "launch", "campaign": "vip-offers", "launch": "june"},
        ),
        "evaluation.definitions_changed": ("evaluations", definitions_changed_schema(), {"definitions": "9f86d081"}),
    }
    return [
        MessageContract(name, 1, topic, "read", schema, _EVENT_HEADERS, [({}, _event(schema, fields))])
        for name, (topic, schema, fields) in schemas.items()
    ]


def _event(schema: Schema, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of the schema's last type."""
    kind = schema["properties"]["type"]["enum"][-1]
    return {"id": "e-1", "type": kind, "customer_id": "17850", "occurred_at": "2011-06-01T09:30:00Z", **fields}


_EXAMPLE_TRIGGER = "f2d3be09-ab30-5dda-bed6-671f5904b5a3"
_BY = {"by": "sam", "reason": "asked by phone"}
_FEEDBACK: dict[str, dict[str, Any]] = {
    "do_not_contact": {**_BY, "until": "2011-07-01T00:00:00Z"},
    "always_vip": _BY,
    "wrong_score": {**_BY, "model": SCORED_MODELS[0], "value": 0.05},
    "withdrawn": {**_BY, "withdraws": "f-1"},
}


_LEADS: dict[str, dict[str, Any]] = {
    UPDATED: {"urgency_score": 0.9, "days_since_contact": 1, "response_rate": 0.8, "budget_specified": True},
    "lead.closed": {},
    WRONG_SCORE: {**_BY, "value": 20},
}


def _outputs() -> list[MessageContract]:
    names = ("trigger", "decision", "transition", "lead_alert")
    trigger, decision, transition, alert = (read_schema(name) for name in names)
    lead = {"ce_subject": {"type": "string", "minLength": 1, "description": "The lead; also the record's key."}}
    replay = {"type": "string", "minLength": 1, "description": "Id of the replay."}
    expires = {"ce_expirytime": {"type": "string", "format": "date-time", "description": "Do not act on it later."}}
    return [
        _output("trigger", "campaign-triggers", trigger, TRIGGER_TYPE, expires),
        _output("control", "campaign-triggers.control", trigger, TRIGGER_TYPE, expires),
        _output("shadow", SHADOW, trigger, TRIGGER_TYPE, {**expires, REPLAY_HEADER: replay}),
        _output("decision", "decisions", decision, DECISION_TYPE, expires),
        _output("transition", "segment-transitions", transition, TRANSITION_TYPE, {}),
        _output("lead-alert", "lead-alerts", alert, ALERT_TYPE, lead),
        MessageContract("dead-letter", 1, "dead-letters", "write", {}, _letter_headers(), [(_LETTER, '{"id": "e-1"')]),
    ]


def read_schema(name: str) -> Schema:
    """Return a published schema of what workers write."""
    text = files("campaigns").joinpath(f"schemas/{name}.schema.json").read_text(encoding="utf-8")
    schema: Schema = json.loads(text)
    return schema


def _output(name: str, topic: str, schema: Schema, kind: bytes, more: Mapping[str, Any]) -> MessageContract:
    constants = {"ce_specversion": "1.0", "ce_type": kind.decode(), "ce_source": SOURCE.decode()}
    headers = {
        **{each: {"const": value} for each, value in constants.items()},
        "ce_id": {"type": "string", "minLength": 1, "description": "Unique; the same when it is published again."},
        "ce_subject": {"type": "string", "minLength": 1, "description": "The customer; also the record's key."},
        "ce_time": {"type": "string", "format": "date-time", "description": "Event time."},
        "ce_correlationid": {"type": "string", "description": "Id of the event that led to it."},
        "ce_causationid": {"type": "string", "description": "Id of the event that led to it."},
        **more,
        "content-type": {"const": "application/json"},
        RECEIVED_HEADER: {
            "type": "string",
            "pattern": "^-?[0-9]+$",
            "description": "Kafka timestamp of that event's record, milliseconds since 1970.",
        },
    }
    traced = {"traceparent": TRACE_PARENT, "ce_traceparent": TRACE_PARENT, "tracestate": {"type": "string"}}
    described = {"type": "object", "required": list(headers), "properties": {**headers, **traced}}
    value = schema["examples"][0]
    return MessageContract(name, 1, topic, "write", schema, described, [(_example_headers(headers, value), value)])


def _example_headers(headers: Mapping[str, Schema], value: Mapping[str, Any]) -> dict[str, str]:
    message_id = value.get("transition_id") or value.get("alert_id") or value["trigger_id"]
    examples = {
        "ce_id": decision_message_id(message_id) if "outcome" in value else message_id,
        "ce_subject": value.get("lead_id") or value["customer_id"],
        "ce_time": datetime.fromisoformat(value["as_of"]).isoformat(),
        "ce_correlationid": value["caused_by"],
        "ce_causationid": value["caused_by"],
        "ce_expirytime": "2011-06-15T12:30:00+00:00",
        RECEIVED_HEADER: "1306931400000",
        REPLAY_HEADER: "r4c1d09ab",
    }
    return {name: schema.get("const") or examples[name] for name, schema in headers.items()}


def _letter_headers() -> Schema:
    """Return the schema of Holdfast's headers on a dead letter; the producer's are before them."""
    number = {"type": "string", "pattern": "^-?[0-9]+$"}
    text = {"type": "string"}
    word = {"type": "string", "pattern": "^[a-z_]{1,64}$"}
    reasons = ", ".join([*RejectReason, REASON])
    required = {
        "holdfast_dead_letter_id": {"type": "string", "format": "uuid", "description": "The first of these headers."},
        "holdfast_stage": {**word, "description": "Step that failed: decode, refresh, fold, decide or publish."},
        "holdfast_reason": {**word, "description": f"Why: {reasons}. More words may come."},
        "holdfast_detail": {**text, "description": "Why, as a sentence for people; its wording may change."},
        "holdfast_topic": {**text, "description": "Topic of the record, or the topic that refused the message."},
    }
    optional = {
        "holdfast_partition": {**number, "description": "Absent for a message that could not be published."},
        "holdfast_offset": number,
        "holdfast_timestamp_ms": number,
        "holdfast_truncated": {**text, "description": "What was cut: value, key, headers or batch, with commas."},
        "holdfast_size": {**number, "description": "Bytes of the whole value."},
        "holdfast_sha256": {**text, "pattern": "^[0-9a-f]{64}$", "description": "Digest of the whole value."},
        "holdfast_refused": {**text, "description": "Why the topic refused the longer dead letter."},
    }
    properties = {name: dict(each) for name, each in {**required, **optional}.items()}
    return {"type": "object", "required": list(required), "properties": properties}


_LETTER = {
    "holdfast_dead_letter_id": "1b4a7d0c-7c55-5f0e-9d0e-3f2f8f1f8a11",
    "holdfast_stage": "decode",
    "holdfast_reason": "not_json",
    "holdfast_detail": "Input data was truncated",
    "holdfast_topic": "customer-updates",
    "holdfast_partition": "1",
    "holdfast_offset": "7",
    "holdfast_timestamp_ms": "1306931400000",
}
