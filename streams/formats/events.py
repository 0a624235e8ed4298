"""The types of decoding: records, events, and records rejected with a reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from msgspec import UNSET, Meta, Struct, UnsetType

from campaigns.consent import CONSENT_OUTCOMES
from campaigns.contact_state import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.formats.leads import LeadEvent

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(max_length=200)]
PREFIX_BYTES = 65_536
"""Bytes kept of a value that is too large."""
OUTCOMES = (*TRANSITIONS, *CONSENT_OUTCOMES)


class Record(Protocol):
    """A Kafka record as the consumer delivers it."""

    @property
    def topic(self) -> str:
        """Topic, by its full name."""

    @property
    def partition(self) -> int:
        """Number of the partition."""

    @property
    def offset(self) -> int:
        """Offset in the partition."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970, set by the producer or the broker; -1 when missing."""

    @property
    def key(self) -> bytes | None:
        """Key, unchanged."""

    @property
    def value(self) -> bytes | None:
        """Value, unchanged."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Headers in their order; names may repeat."""


class RejectReason(StrEnum):
    """Why an event can never be decided as it stands."""

    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    INVALID_EVENT = "invalid_event"
    WRONG_TYPE = "wrong_type"
    WRONG_KEY = "wrong_key"
    FUTURE_TIME = "future_time"
    UNKNOWN_CUSTOMER = "unknown_customer"
    DUPLICATE_CUSTOMER = "duplicate_customer"
    UNKNOWN_TRIGGER = "unknown_trigger"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is kept of a value that is too large: its prefix, its size in bytes, and its SHA-256 in hexadecimal."""

    prefix: bytes
    size: int
    sha256: str


def take_excerpt(value: bytes | memoryview) -> Excerpt:
    """Return the excerpt of a value."""
    return Excerpt(bytes(value[:PREFIX_BYTES]), len(value), sha256(value).hexdigest())


@dataclass(frozen=True, slots=True)
class OversizedRecord:
    """A record, or a compressed batch of them, that was too large to keep: a Record with an excerpt for its value.

    Attributes:
        offset: of a batch, its last offset.
        first_offset: of a batch, its first offset; of a record, its own.
        problem: why it cannot be decided.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes]]
    excerpt: Excerpt
    first_offset: int
    problem: str
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that becomes a dead letter."""

    record: Record
    stage: str
    reason: RejectReason
    detail: str


class WireEvent(Struct, frozen=True, gc=False):
    """Every field that any event may have; `type` determines which of them are read."""

    id: Id
    type: str
    customer_id: Id
    occurred_at: Annotated[datetime, Meta(tz=True)]
    attributes: dict[str, Any] | UnsetType = UNSET
    channel: str | None = ""
    role: str = ""
    text: str | None = None
    trigger_id: str | None = ""
    value: float | None = None
    campaign: Name = ""
    launch: Name = ""
    occasion: Name = ""
    reason: str = ""
    definitions: str = ""
    until: Annotated[datetime, Meta(tz=True)] | None = None
    by: Name = ""
    model: Name = ""
    withdraws: Name = ""


class Event(Struct, frozen=True, gc=False):
    """An event and its record; `kind` is the first part of its type."""

    wire: WireEvent
    record: Record
    customer_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class EventsByKind:
    """The events of a batch by kind, each kind in the order of arrival.

    Attributes:
        updated: customer updates.
        said: messages of conversations.
        requested: requests for evaluation.
        reported: outcomes.
        snapshots: rows of a snapshot: they set memberships, and never fire.
        deleted: deletions of rows, and records that announce them.
        reevaluated: requests to apply changed definitions to customers without an event.
        feedback: feedback of staff.
        leads: events of leads; who they are need not be a customer of the warehouse.
    """

    updated: Sequence[Event] = ()
    said: Sequence[Event] = ()
    requested: Sequence[Event] = ()
    reported: Sequence[Event] = ()
    snapshots: Sequence[Event] = ()
    deleted: Sequence[Event] = ()
    reevaluated: Sequence[Event] = ()
    feedback: Sequence[Event] = ()
    leads: Sequence[LeadEvent] = ()

    def __len__(self) -> int:
        return len(self.to_evaluate) + len(self.reported) + len(self.deleted) + len(self.feedback) + len(self.leads)

    def __iter__(self) -> Iterator[Event | LeadEvent]:
        return chain(self.to_evaluate, self.reported, self.deleted, self.feedback, self.leads)

    @property
    def to_evaluate(self) -> list[Event]:
        """Events whose customers must be evaluated; an outcome, feedback or a deletion alone changes no membership."""
        return [*self.updated, *self.said, *self.requested, *self.snapshots, *self.reevaluated]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The events of a batch, and the records that cannot be decoded.

    Attributes:
        erased: the erased customers whose events were left out.
        left_out: the number of their events and records.
    """

    events: EventsByKind
    rejects: Sequence[Reject]
    erased: frozenset[str] = frozenset()
    left_out: int = 0
