"""Events of leads, in Holdfast's own JSON. Pure.

A lead need not be a customer yet: its events are keyed by the lead, and who it is counts as the customer where one is
named and as the lead's own id where none is.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the types of fields
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from campaigns.leads import OUTCOMES, UPDATED, WRONG_SCORE
from models.leads import FULL, LeadFeatures
from streams.formats.events import Id, Name, Record, RejectReason
from streams.formats.feedback_checks import check_words
from streams.formats.validation import (
    check_time,
    find_control,
    reject,
    reject_content,
    reject_key,
    reject_size,
    reject_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.formats.events import Reject
    from streams.formats.validation import Limits

TYPES: Mapping[str, str] = dict.fromkeys((UPDATED, *OUTCOMES, WRONG_SCORE), "lead")
_KEY = "lead_id"


class LeadWire(LeadFeatures, frozen=True, kw_only=True, gc=False):
    """Every field that an event of a lead may have; `type` determines which of them are read."""

    id: Id
    type: str
    lead_id: Id
    occurred_at: Annotated[datetime, Meta(tz=True)]
    customer_id: Id | None = None
    by: Name = ""
    reason: str = ""
    value: Annotated[float, Meta(ge=0, le=FULL)] | None = None


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
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return reject_content(record, error)
        return _check(wire, record, limits) or LeadEvent(wire, record, wire.customer_id or wire.lead_id)

    return decode


def _check(wire: LeadWire, record: Record, limits: Limits) -> Reject | None:
    if wire.type not in TYPES:
        return reject_type(record, wire.type, TYPES)
    if problem := _find_problem(wire):
        return reject(record, RejectReason.INVALID_EVENT, problem)
    if found := check_time(wire.occurred_at, record, limits):
        return found
    return None if record.key == wire.lead_id.encode() else reject_key(record, wire.lead_id, _KEY)


def _find_problem(wire: LeadWire) -> str | None:
    """Return why an event cannot be used, None when it can."""
    if problem := find_control({"id": wire.id, "lead_id": wire.lead_id, "customer_id": wire.customer_id or ""}):
        return problem
    if wire.type == UPDATED:
        return wire.find_problem()
    return check_words(wire.by, wire.reason) if wire.type == WRONG_SCORE else None
