"""Checks that every event passes, in any format: size, type, key, times and ids. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from campaigns.consent import CONSENT_OUTCOMES
from streams.formats.events import OversizedRecord, Reject, RejectReason
from streams.formats.feedback_checks import find_feedback_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.formats.events import Record, WireEvent
    from streams.formats.schemas import Schemas

# Control characters stay out: PostgreSQL's text takes no NUL, and no id needs the others. Not as a pattern of the
# event's fields: msgspec calls Python's re for each, which took three quarters of the time of decoding.
_NAMES = ("id", "customer_id", "campaign", "launch", "occasion")
_WITHOUT_CONTROLS = re.compile(r"^[^\x00-\x1f\x7f]*\Z")
# Event times outside these years are mistakes, and arithmetic on them overflows.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# Kinds of events that have no fields of their own.
_OF_ROWS = frozenset({"customer", "snapshot", "deletion"})
_timestamp = attrgetter("timestamp")
# Consent is revoked and given without a contact, too: these events count with any trigger id.
_WITHOUT_TRIGGER = {f"outcome.{outcome}" for outcome in CONSENT_OUTCOMES}
ID_FIELD = "customer_id"
MAX_EVENT_BYTES = 262_144
MAX_BATCH_BYTES = 33_554_432
"""Of a compressed batch of records, when decompressed: 32 times what a topic takes by default."""
MAX_FUTURE_S = 86_400.0
"""Clocks that are wrong, and local times sent as UTC, are at most 14 hours ahead."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an event may be.

    Attributes:
        max_bytes: largest value.
        max_future_s: an event may be dated so many seconds after its record's Kafka timestamp.
        sure_until: an event dated earlier is not in the future, in any record of the batch.
        id_field: the field of the customer id in formats other than Holdfast's own JSON.
        schemas: those of the batch's records; None without a schema registry.
    """

    max_bytes: int
    max_future_s: float
    sure_until: datetime
    id_field: str = ID_FIELD
    schemas: Schemas | None = None


def limit(
    records: Sequence[Record],
    *,
    max_bytes: int,
    max_future_s: float,
    id_field: str = ID_FIELD,
    schemas: Schemas | None = None,
) -> Limits:
    """Return the limits of the events of a batch."""
    earliest = min(map(_timestamp, records), default=0)
    sure_until = _latest_time(earliest, max_future_s) if earliest > 0 else EARLIEST
    return Limits(max_bytes, max_future_s, sure_until, id_field, schemas)


def find_problem(wire: WireEvent, kind: str, record: Record, limits: Limits) -> Reject | None:
    """Return why an event of a known kind cannot be decided, None when it can."""
    # Runs for every event: what is printable has no control characters; the reverse does not hold.
    if not f"{wire.id}{wire.customer_id}{wire.campaign}{wire.launch}{wire.occasion}".isprintable() and (
        problem := find_control({name: getattr(wire, name) for name in _NAMES})
    ):
        return reject(record, RejectReason.INVALID_EVENT, problem)
    if found := check_time(wire.occurred_at, record, limits):
        return found
    if kind not in _OF_ROWS and (problem := _check_kind(wire, kind)):
        return reject(record, RejectReason.INVALID_EVENT, problem)
    return None


def _check_kind(wire: WireEvent, kind: str) -> str | None:
    if kind == "conversation" and wire.text is None:
        return "Object missing required field `text`"
    if kind == "conversation" and wire.role not in ("customer", "agent"):
        return f"role is {wire.role!r}; it must be 'customer' or 'agent'"
    if kind == "feedback":
        return find_feedback_problem(wire)
    if kind == "outcome" and wire.type not in _WITHOUT_TRIGGER and not _is_uuid(wire.trigger_id):
        return f"trigger_id is {wire.trigger_id!r}; it must be the UUID of a trigger"
    return None


def reject_size(record: Record, max_bytes: int) -> Reject:
    """Reject a record whose value is empty or too large."""
    if isinstance(record, OversizedRecord):
        return reject(record, RejectReason.TOO_LARGE, record.problem)
    if not record.value:
        return reject(record, RejectReason.EMPTY_VALUE, "the record has no value")
    return reject(record, RejectReason.TOO_LARGE, describe_size(len(record.value), max_bytes))


def reject_content(record: Record, error: Exception) -> Reject:
    """Reject a record whose value is no JSON, or not that of an event."""
    is_json = isinstance(error, msgspec.ValidationError)
    return reject(record, RejectReason.INVALID_EVENT if is_json else RejectReason.NOT_JSON, str(error))


def describe_size(size: int, max_bytes: int) -> str:
    """Return the detail of a record that is too large."""
    return f"{size:,} bytes; {max_bytes:,} are allowed"


def reject_type(record: Record, name: str, types: Mapping[str, str]) -> Reject:
    """Reject an event of a type that its topic does not carry."""
    carries = f"type {name!r} on topic {record.topic}, which carries {' or '.join(map(repr, types))}"
    return reject(record, RejectReason.WRONG_TYPE, carries)


def reject(record: Record, reason: RejectReason, detail: str) -> Reject:
    """Reject a record that cannot be decoded."""
    return Reject(record, "decode", reason, detail)


def check_time(occurred_at: datetime, record: Record, limits: Limits) -> Reject | None:
    """Return why an event cannot have happened at this time, None when it can."""
    if EARLIEST <= occurred_at < limits.sure_until:
        return None
    if not EARLIEST <= occurred_at < LATEST:
        years = f"it must lie in the years {EARLIEST.year} to {LATEST.year - 1}"
        return reject(record, RejectReason.INVALID_EVENT, f"occurred_at is {occurred_at}; {years}")
    if occurred_at < _latest_time(record.timestamp, limits.max_future_s):
        return None
    stamped = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    detail = (
        f"occurred_at is {occurred_at}, more than {limits.max_future_s:g} s after the record's Kafka timestamp "
        f"{stamped}; correct the producer's clock, or raise HOLDFAST_MAX_FUTURE_S"
    )
    return reject(record, RejectReason.FUTURE_TIME, detail)


def _latest_time(timestamp_ms: int, max_future_s: float) -> datetime:
    """Return the first time that is too late for a record; one without a timestamp has only the general limit."""
    seconds = timestamp_ms / 1000 + max_future_s
    if timestamp_ms <= 0 or seconds >= LATEST.timestamp():
        return LATEST
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def find_control(ids: Mapping[str, str]) -> str | None:
    """Return that an id has a control character, as the decoder says that a field is wrong; None where none has."""
    name = next((name for name, each in ids.items() if not _WITHOUT_CONTROLS.match(each)), None)
    return name and f"Expected `str` matching regex {_WITHOUT_CONTROLS.pattern!r} - at `$.{name}`"


def _is_uuid(text: str | None) -> bool:
    try:
        msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        return False
    return True


def reject_key(record: Record, key: str, field: str = "customer_id") -> Reject:
    """Reject a record that is not keyed by its customer, or another field."""
    found = "no key" if record.key is None else f"key {record.key[:80]!r}"
    who = field.removesuffix("_id")
    lost = f"key every event by its {field}, or one {who}'s events lose their order"
    return reject(record, RejectReason.WRONG_KEY, f"{found}, {field} {key!r}: {lost}")
