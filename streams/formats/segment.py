"""Calls of Segment's tracking API, `identify` and `track`, as its destinations write them to Kafka. Pure.

On `customer-updates` both announce that the customer changed. On `conversations` a `track` carries the message in
`properties.text`. On `outcomes` the event names are those of Segment's specification of e-mail events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.formats.documents import FIELDS, Draft, Format, FormatError, join_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.formats.documents import Document

CALLS = ("identify", "track")
_OTHER_CALLS = ("page", "screen", "group", "alias")
OUTCOMES: Mapping[str, str] = {
    "email delivered": "outcome.delivered",
    "email opened": "outcome.opened",
    "email link clicked": "outcome.clicked",
    "email bounced": "outcome.bounced",
    "email marked as spam": "outcome.complained",
    "unsubscribed": "outcome.unsubscribed",
    "order completed": "outcome.converted",
}


def recognise(document: Document) -> bool:
    """Return whether a record is a call of the tracking API."""
    content = document.content
    return isinstance(content, dict) and "messageId" in content and content.get("type") in (*CALLS, *_OTHER_CALLS)


def read(document: Document) -> Draft:
    """Return the draft of a call.

    Raises:
        FormatError: it is another call, is anonymous, or cannot be read.
        WrongKeyError: the record is not keyed by its user.
    """
    call = document.content
    if call["type"] not in CALLS:
        raise FormatError(f"type is {call['type']!r}; only {' and '.join(CALLS)} are read")
    if call.get("userId") in (None, ""):
        raise FormatError("userId is missing: an anonymous user is no customer; do not send such calls")
    own_type, others = _find_type(document, call)
    customer_id = document.read_id(call["userId"], "userId")
    document.check_key(customer_id)
    source = call.get("projectId") or call.get("writeKey") or "segment"
    moment = call.get("timestamp") or call.get("originalTimestamp")
    return Draft(
        document.types[own_type],
        own_type,
        join_id(str(source), document.read_id(call["messageId"], "messageId")),
        customer_id,
        document.read_time(moment, "timestamp"),
        others,
    )


def _find_type(document: Document, call: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    properties = call.get("properties") or {}
    if not isinstance(properties, dict):
        raise FormatError(f"properties is {type(properties).__name__}; it must be a JSON object")
    others = {name: properties[name] for name in FIELDS if name in properties}
    if "customer.updated" in document.types:
        return "customer.updated", {}
    if call["type"] != "track":
        raise FormatError(f"type is {call['type']!r}; on topic {document.record.topic} only track is read")
    if document.only_type:
        return document.only_type, {"role": "customer", **others}
    own_type = OUTCOMES.get(str(call.get("event")).lower())
    if own_type is None:
        names = ", ".join(repr(name) for name in OUTCOMES)
        raise FormatError(f"event is {call.get('event')!r}; in any case of letters it must be one of {names}")
    return own_type, {"value": properties.get("revenue"), **others}


SEGMENT = Format("Segment", recognise, read)
