"""The JSON Schemas of events in Holdfast's own JSON, made from the types that decode them. Pure.

A schema says what a producer may rely on: an event that it accepts is decoded, apart from what compares two fields
(`until` after `occurred_at`, the range of `value` by `model`). The decoder takes a little more, such as an UUID without
hyphens. Fields that no schema names are ignored.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.consent import CONSENT_OUTCOMES
from campaigns.contact_state import TRANSITIONS
from campaigns.feedback import SCORED_MODELS, FeedbackKind
from campaigns.leads import OUTCOMES as LEAD_OUTCOMES
from campaigns.leads import UPDATED, WRONG_SCORE
from models.leads import ALIASES, FEATURES
from streams.formats.events import WireEvent
from streams.formats.feedback_checks import MAX_REASON
from streams.formats.leads import LeadWire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Schema = dict[str, Any]

PLAIN = r"^[^\u0000-\u001f\u007f]*$"
"""Without control characters."""
LINE = r"^[^\u0000-\u001f\u007f]*\S[^\u0000-\u001f\u007f]*$"
"""One line that is not blank."""
MEANINGS = {
    "id": "Id of the event, unique among the customer's events: an event that is sent twice counts once.",
    "type": "What happened.",
    "customer_id": "Id of the customer in the warehouse; also the record's key.",
    "occurred_at": "Event time, RFC 3339 with a zone, in the years 1970 to 2199.",
    "attributes": "Not read: the customer's row in the warehouse counts.",
    "channel": "Channel of the message or the opt-out.",
    "role": "Who wrote the message.",
    "text": "What was written.",
    "trigger_id": "trigger_id of the campaign trigger or the control exposure.",
    "value": "Amount.",
    "campaign": "Key of the campaign.",
    "launch": "Id of the launch: a customer is decided once for each.",
    "occasion": "In place of `launch`: the opportunity that was missed, whose trigger is decided now.",
    "reason": "Why; `due` where time alone may have changed a segment.",
    "definitions": "Fingerprint of the segments' versions; workers with others ignore the request.",
    "until": "Event time from which the feedback no longer counts.",
    "by": "Who gave the feedback.",
    "model": "The model whose score is wrong.",
    "withdraws": "Id of the feedback that no longer counts.",
}
LEAD_MEANINGS = {
    "id": "Id of the event, unique among the lead's events: an event that is sent twice counts once.",
    "lead_id": "Id of the lead; also the record's key.",
    "customer_id": "Id of the customer, where the lead is one.",
    "urgency_score": "How urgent the inquiry is, 0 to 1.",
    "days_since_contact": "Days since the last contact, at the event time.",
    "response_rate": "Share of our messages that were answered, 0 to 1.",
    "budget_specified": "Whether a budget was named.",
    "contact_completeness": "Share of the contact's fields that are filled, 0 to 1.",
    "profile_delta": "A number of your own: how much the lead needs you, as the skin age above the age.",
    "skin_age": "Another name of profile_delta.",
    "concern_count": "Number of concerns known.",
    "previous_purchase_count": "Number of earlier purchases.",
    "previous_treatment_count": "Another name of previous_purchase_count.",
    "by": "Who gave the feedback.",
    "reason": "Why.",
    "value": "What the score should be, 0 to 100; null where it is only wrong.",
}
_EVERY_EVENT = ("id", "type", "customer_id", "occurred_at")


def update_schema() -> Schema:
    """Return the schema of `customer.updated`."""
    return _event("Customer update", ["customer.updated"], optional=["attributes"])


def message_schema() -> Schema:
    """Return the schema of `conversation.message`."""
    roles: Schema = {"role": {"enum": ["customer", "agent"]}, "text": {"type": "string"}}
    return _event("Message of a conversation", ["conversation.message"], ["role", "text"], ["channel"], roles)


def outcome_schema() -> Schema:
    """Return the schema of what became of a contact."""
    types = [f"outcome.{each}" for each in TRANSITIONS]
    trigger: Schema = {"trigger_id": {"type": "string", "format": "uuid"}}
    return _event("Outcome of a contact", types, ["trigger_id"], ["value", "channel"], trigger)


def consent_schema() -> Schema:
    """Return the schema of a change of consent."""
    types = [f"outcome.{each}" for each in CONSENT_OUTCOMES]
    return _event("Change of consent", types, optional=["channel", "trigger_id"])


def feedback_schemas() -> Mapping[FeedbackKind, Schema]:
    """Return the schema of each kind of feedback."""
    until: Schema = {"until": {"type": "string", "format": "date-time"}}
    score: Schema = {"model": {"enum": list(SCORED_MODELS)}, "value": {"type": ["number", "null"], "minimum": 0}}
    withdrawn: Schema = {"withdraws": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": PLAIN}}
    return {
        FeedbackKind.DO_NOT_CONTACT: _feedback(FeedbackKind.DO_NOT_CONTACT, ["until"], [], until),
        FeedbackKind.ALWAYS_VIP: _feedback(FeedbackKind.ALWAYS_VIP, [], ["until"], {}),
        FeedbackKind.WRONG_SCORE: _feedback(FeedbackKind.WRONG_SCORE, ["model"], ["value", "until"], score),
        FeedbackKind.WITHDRAWN: _feedback(FeedbackKind.WITHDRAWN, ["withdraws"], [], withdrawn),
    }


def request_schema() -> Schema:
    """Return the schema of `evaluation.requested`."""
    optional = ["reason", "campaign", "launch", "occasion"]
    return _event("Request for an evaluation", ["evaluation.requested"], optional=optional)


def definitions_changed_schema() -> Schema:
    """Return the schema of `evaluation.definitions_changed`."""
    return _event("Request to apply changed segments", ["evaluation.definitions_changed"], ["definitions"])


def lead_schemas() -> Mapping[str, Schema]:
    """Return the schema of each event of a lead."""
    names = [*FEATURES, *ALIASES]
    said: Schema = {
        "by": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": LINE},
        "reason": {"type": "string", "minLength": 1, "maxLength": MAX_REASON, "pattern": LINE},
    }
    updated = _lead("Update of a lead", [UPDATED], [], names, {})
    # Any of them, not all: what is left out is unknown.
    updated["anyOf"] = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]
    # Not both names of a feature: they might disagree.
    updated["allOf"] = [{"not": {"required": [alias, name]}} for alias, name in ALIASES.items()]
    return {
        UPDATED: updated,
        "lead.closed": _lead("What became of a lead", list(LEAD_OUTCOMES), [], [], {}),
        WRONG_SCORE: _lead("Feedback of staff: wrong score of a lead", [WRONG_SCORE], [*said], ["value"], said),
    }


def _lead(
    title: str, types: Sequence[str], required: Sequence[str], optional: Sequence[str], changes: Schema
) -> Schema:
    always = ("id", "type", "lead_id", "occurred_at")
    fields = {**_fields(LeadWire), **changes, "type": {"enum": list(types)}}
    names = (*always, *required, "customer_id", *optional)
    meanings = {**MEANINGS, **LEAD_MEANINGS}
    return {
        "title": title,
        "type": "object",
        "required": [*always, *required],
        "properties": {name: {**fields[name], "description": meanings[name]} for name in names},
    }


def _feedback(kind: FeedbackKind, required: Sequence[str], optional: Sequence[str], changes: Schema) -> Schema:
    said: Schema = {
        "by": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": LINE},
        "reason": {"type": "string", "minLength": 1, "maxLength": MAX_REASON, "pattern": LINE},
    }
    title = f"Feedback of staff: {kind.replace('_', ' ')}"
    return _event(title, [f"feedback.{kind}"], ["by", "reason", *required], optional, {**said, **changes})


def _event(
    title: str,
    types: Sequence[str],
    required: Sequence[str] = (),
    optional: Sequence[str] = (),
    changes: Mapping[str, Schema] | None = None,
) -> Schema:
    """Return the schema of an event.

    Args:
        title: what it is.
        types: its values of `type`.
        required: fields besides those of every event.
        optional: other fields that are read.
        changes: fields that this event describes otherwise than the type of all events does.
    """
    names = (*_EVERY_EVENT, *required, *optional)
    own: Schema = {"type": {"enum": list(types)}, **(changes or {})}
    return {
        "title": title,
        "type": "object",
        "required": [*_EVERY_EVENT, *required],
        "properties": {
            name: {**(own.get(name) or _fields(WireEvent)[name]), "description": MEANINGS[name]}
            for name in dict.fromkeys(names)
        },
    }


@cache
def _fields(wire: type[msgspec.Struct]) -> Mapping[str, Schema]:
    """Return the schema of each field as the decoder's type declares it."""
    declared = msgspec.json.schema(wire)["$defs"][wire.__name__]["properties"]
    fields = {name: _simplify(each) for name, each in declared.items()}
    for name in ("id", "customer_id", "lead_id", "campaign", "launch", "occasion"):
        if name in fields:
            fields[name]["pattern"] = PLAIN
    return fields


def _simplify(declared: Mapping[str, Any]) -> Schema:
    """Return a field's schema without its default and with a list of types in place of alternatives."""
    kept = {name: each for name, each in declared.items() if name not in ("default", "anyOf")}
    for alternative in declared.get("anyOf", ()):
        types = [*kept.get("type", ()), alternative["type"]]
        kept |= {**alternative, "type": types}
    return kept
