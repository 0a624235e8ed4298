"""From bytes on a topic to typed events, or to a reason why not. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from campaigns.consent import CONSENT_OUTCOMES
from campaigns.contact_state import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(max_length=200)]
# Control characters stay out: PostgreSQL's text takes no NUL, and no id needs the others. Not as a pattern of the
# fields above: msgspec calls Python's re for each, which took three quarters of the time of decoding.
_NAMES = ("id", "customer_id", "campaign", "launch")
_WITHOUT_CONTROLS = re.compile(r"^[^\x00-\x1f\x7f]*\Z")
# Event times outside these years are mistakes, and arithmetic on them overflows.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
OUTCOMES = (*TRANSITIONS, *CONSENT_OUTCOMES)


class Record(Protocol):
    """A Kafka record as the consumer delivers it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class RejectReason(StrEnum):
    """Why an event can never be decided as it stands."""

    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    INVALID_EVENT = "invalid_event"
    WRONG_TYPE = "wrong_type"
    WRONG_KEY = "wrong_key"
    UNKNOWN_CUSTOMER = "unknown_customer"
    UNKNOWN_TRIGGER = "unknown_trigger"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that becomes a dead letter."""

    record: Record
    stage: str
    reason: RejectReason
    detail: str


class WireEvent(Struct, frozen=True):
    """Every field that any event may have; `type` says which of them count."""

    id: Id
    type: str
    customer_id: Id
    occurred_at: Annotated[datetime, Meta(tz=True)]
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    channel: str | None = ""
    role: str = ""
    text: str | None = None
    trigger_id: str | None = ""
    value: float | None = None
    campaign: Name = ""
    launch: Name = ""
    reason: str = ""


class Event(Struct, frozen=True):
    """An event and the record it came in; `kind` is the first part of its type."""

    wire: WireEvent
    record: Record
    customer_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """The events of a batch in the order of their records, and the records that are none."""

    events: Sequence[Event]
    rejects: Sequence[Reject]


_decoder = msgspec.json.Decoder(WireEvent)
# Consent is revoked and given without a contact, too: whatever their trigger id is, these events count.
_WITHOUT_TRIGGER = {f"outcome.{outcome}" for outcome in CONSENT_OUTCOMES}
# The types that each topic carries, and the kind of each.
_TYPES = {
    "customer-updates": {"customer.updated": "customer"},
    "conversations": {"conversation.message": "conversation"},
    "outcomes": {f"outcome.{outcome}": "outcome" for outcome in OUTCOMES},
    "evaluations": {"evaluation.requested": "evaluation"},
}


def decode_records(records: Sequence[Record], *, topic_prefix: str, max_bytes: int) -> Decoded:
    """Decode a batch; each record ends as one event or one reject."""
    types = {topic: _TYPES[topic.removeprefix(topic_prefix)] for topic in {record.topic for record in records}}
    events: list[Event] = []
    rejects: list[Reject] = []
    for record in records:
        outcome = _decode(record, types[record.topic], max_bytes)
        if isinstance(outcome, Event):
            events.append(outcome)
        else:
            rejects.append(outcome)
    return Decoded(events, rejects)


def _decode(record: Record, types: Mapping[str, str], max_bytes: int) -> Event | Reject:
    # Runs for every event: what is seldom needed is in functions of its own, what always is stands here.
    value = record.value
    if not value or len(value) > max_bytes:
        return _refuse_size(record, max_bytes)
    try:
        wire = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        is_json = isinstance(error, msgspec.ValidationError)
        return _reject(record, RejectReason.INVALID_EVENT if is_json else RejectReason.NOT_JSON, str(error))
    kind = types.get(wire.type)
    if kind is None:
        return _refuse_type(record, wire, types)
    if problem := _find_problem(wire, kind):
        return _reject(record, RejectReason.INVALID_EVENT, problem)
    if record.key != wire.customer_id.encode():
        return _refuse_key(record, wire)
    return Event(wire, record, wire.customer_id, kind)


def _find_problem(wire: WireEvent, kind: str) -> str | None:
    # What is printable has no control characters; the reverse does not hold.
    if not f"{wire.id}{wire.customer_id}{wire.campaign}{wire.launch}".isprintable() and (name := _find_control(wire)):
        return f"Expected `str` matching regex {_WITHOUT_CONTROLS.pattern!r} - at `$.{name}`"
    if not EARLIEST <= wire.occurred_at < LATEST:
        return f"occurred_at is {wire.occurred_at}; it must lie in the years {EARLIEST.year} to {LATEST.year - 1}"
    if kind == "conversation" and wire.text is None:
        return "Object missing required field `text`"
    if kind == "conversation" and wire.role not in ("customer", "agent"):
        return f"role is {wire.role!r}; it must be 'customer' or 'agent'"
    if kind == "outcome" and wire.type not in _WITHOUT_TRIGGER and not _is_uuid(wire.trigger_id):
        return f"trigger_id is {wire.trigger_id!r}; it must be the UUID of a trigger"
    return None


def _find_control(wire: WireEvent) -> str | None:
    return next((name for name in _NAMES if not _WITHOUT_CONTROLS.match(getattr(wire, name))), None)


def _is_uuid(text: str | None) -> bool:
    try:
        msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        return False
    return True


def _refuse_size(record: Record, max_bytes: int) -> Reject:
    if not record.value:
        return _reject(record, RejectReason.EMPTY_VALUE, "the record has no value")
    return _reject(record, RejectReason.TOO_LARGE, f"{len(record.value):,} bytes; {max_bytes:,} are allowed")


def _refuse_type(record: Record, wire: WireEvent, types: Mapping[str, str]) -> Reject:
    carries = f"type {wire.type!r} on topic {record.topic}, which carries {' or '.join(map(repr, types))}"
    return _reject(record, RejectReason.WRONG_TYPE, carries)


def _refuse_key(record: Record, wire: WireEvent) -> Reject:
    key = "no key" if record.key is None else f"key {record.key[:80]!r}"
    lost = "key every event by its customer_id, or one customer's events lose their order"
    return _reject(record, RejectReason.WRONG_KEY, f"{key}, customer_id {wire.customer_id!r}: {lost}")


def _reject(record: Record, reason: RejectReason, detail: str) -> Reject:
    return Reject(record, "decode", reason, detail)
