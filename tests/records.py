"""Kafka records and events for tests of the steps after the consumer; a test names only the fields it is about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from streams.formats.codecs import decode_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.formats.events import Decoded, Event

PREFIX = "p."
TRIGGER_ID = "8d6b2f4e-9d53-5c52-8f0e-2a7b3a3f9c55"
TOPICS = {
    "customer": "customer-updates",
    "conversation": "conversations",
    "outcome": "outcomes",
    "feedback": "outcomes",
    "evaluation": "evaluations",
    "lead": "leads",
}


@dataclass
class Arrived:
    """A record as it arrived; implements `streams.formats.events.Record`."""

    topic: str = f"{PREFIX}customer-updates"
    partition: int = 1
    offset: int = 7
    timestamp: int = 1_306_931_400_000
    key: bytes | None = b"ann"
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def body(**changes: Any) -> dict[str, Any]:
    """Return the body of an update of ann; a change to None removes the field."""
    event = {
        "id": "e1",
        "type": "customer.updated",
        "customer_id": "ann",
        "occurred_at": "2011-06-01T12:30:00Z",
        **changes,
    }
    return {name: part for name, part in event.items() if part is not None}


def message(**changes: Any) -> dict[str, Any]:
    """Return the body of a message from ann."""
    return body(**{"type": "conversation.message", "role": "customer", "text": "hello", **changes})


def outcome(kind: str = "delivered", **changes: Any) -> dict[str, Any]:
    """Return the body of a trigger's outcome report."""
    return body(**{"type": f"outcome.{kind}", "trigger_id": TRIGGER_ID, **changes})


def feedback(kind: str = "do_not_contact", **changes: Any) -> dict[str, Any]:
    """Return the body of feedback of staff about ann."""
    until = "2011-07-01T00:00:00Z" if kind == "do_not_contact" else None
    return body(**{"type": f"feedback.{kind}", "by": "sam", "reason": "asked by phone", "until": until, **changes})


def arrive(content: dict[str, Any], **changes: Any) -> Arrived:
    """Return the record of an event on the topic of its type, keyed by its customer."""
    topic = PREFIX + TOPICS[content["type"].partition(".")[0]]
    key = content.get("customer_id", "").encode()
    return Arrived(**{"topic": topic, "key": key, "value": msgspec.json.encode(content), **changes})


decode_batch = partial(decode_records, topic_prefix=PREFIX)


def decode(*records: Arrived, max_bytes: int = 262_144, max_future_s: float = 86_400) -> Decoded:
    """Decode records as the pipeline does."""
    return decode_batch(records, max_bytes=max_bytes, max_future_s=max_future_s)


def events(*contents: dict[str, Any]) -> list[Event]:
    """Return valid events, each from a record with its own offset."""
    decoded = decode(*(arrive(content, offset=offset) for offset, content in enumerate(contents)))
    assert not decoded.rejects, decoded.rejects
    return sorted(decoded.events, key=lambda event: event.record.offset)
