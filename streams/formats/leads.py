"""Events of leads, in Holdfast's own JSON. Pure.

A lead need not be a customer yet: its events are keyed by the lead, and who it is counts as the customer where one is
named and as the lead's own id where none is.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from campaigns.leads import OUTCOMES, UPDATED, WRONG_SCORE
from models.leads import FEATURES
from streams.formats.events import Id, Name, RejectReason
from streams.formats.feedback_checks import check_words
from streams.formats.validation import check_time, find_control, reject, reject_key, reject_size, reject_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.formats.events import Record, Reject
    from streams.formats.validation import Limits

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Days = Annotated[float, Meta(ge=0, le=100_000)]
Delta = Annotated[float, Meta(ge=-1_000_000, le=1_000_000)]
Score = Annotated[float, Meta(ge=0, le=100)]

ALIASES: Mapping[str, str] = {"skin_age": "profile_delta", "previous_treatment_count": "previous_purchase_count"}
"""Other names of features, and the feature each is."""
TYPES: Mapping[str, str] = dict.fromkeys((UPDATED, *OUTCOMES, WRONG_SCORE), "lead")
_KEY = "lead_id"


class LeadWire(Struct, frozen=True, gc=False):
    """Every field that an event of a lead may have; `type` determines which of them are read."""

    id: Id
    type: str
    lead_id: Id
    occurred_at: Annotated[datetime, Meta(tz=True)]
    customer_id: Id | None = None
    urgency_score: Share | None = None
    days_since_contact: Days | None = None
    response_rate: Share | None = None
    budget_specified: bool | None = None
    contact_completeness: Share | None = None
    profile_delta: Delta | None = None
    skin_age: Delta | None = None
    concern_count: Count | None = None
    previous_purchase_count: Count | None = None
    previous_treatment_count: Count | None = None
    by: Name = ""
    reason: str = ""
    value: Score | None = None

    @property
    def features(self) -> dict[str, float | None]:
        """The features by name; None is unknown."""
        read = {name: getattr(self, name) for name in FEATURES}
        read.update((name, getattr(self, alias)) for alias, name in ALIASES.items() if read[name] is None)
        return {name: None if value is None else float(value) for name, value in read.items()}


class LeadEvent(Struct, frozen=True, gc=False):
    """An event of a lead and its record; `customer_id` is the customer, or the lead's own id."""

    wire: LeadWire
    record: Record
    customer_id: str
    kind: str = "lead"


_decoder = msgspec.json.Decoder(LeadWire)


def lead_decoder(limits: Limits) -> Callable[[Record], LeadEvent | Reject]:
    """Return the decoder of the topic of leads.

    Args:
        limits: what an event may be.
    """

    def decode(record: Record) -> LeadEvent | Reject:
        if not record.value or len(record.value) > limits.max_bytes:
            return reject_size(record, limits.max_bytes)
        try:
            wire = _decoder.decode(record.value)
        except msgspec.ValidationError as error:
            return reject(record, RejectReason.INVALID_EVENT, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return reject(record, RejectReason.NOT_JSON, str(error))
        if wire.type not in TYPES:
            return reject_type(record, wire.type, TYPES)
        if problem := _find_problem(wire):
            return reject(record, RejectReason.INVALID_EVENT, problem)
        if found := check_time(wire.occurred_at, record, limits):
            return found
        if record.key != wire.lead_id.encode():
            return reject_key(record, wire.lead_id, _KEY)
        return LeadEvent(wire, record, wire.customer_id or wire.lead_id)

    return decode


def _find_problem(wire: LeadWire) -> str | None:
    """Return why an event cannot be used, None when it can."""
    ids = {"id": wire.id, "lead_id": wire.lead_id, "customer_id": wire.customer_id or ""}
    if problem := find_control(ids):
        return problem
    if wire.type == UPDATED:
        return _check_features(wire)
    return check_words(wire.by, wire.reason) if wire.type == WRONG_SCORE else None


def _check_features(wire: LeadWire) -> str | None:
    for alias, name in ALIASES.items():
        first, second = getattr(wire, name), getattr(wire, alias)
        if None not in (first, second) and first != second:
            return f"{name} is {first:g} and {alias}, another name of it, is {second:g}; send one of them"
    if all(value is None for value in wire.features.values()):
        return f"the update has no feature; send at least one of {', '.join(FEATURES)}"
    return None
