"""Records in other formats than Holdfast's own JSON: which format each has, and its event or why it has none. Pure.

A format is one file with a `Format`, and one line in FORMATS. Runs only for records that are not Holdfast's own JSON.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import msgspec

from streams.formats.cloudevents import CLOUDEVENTS
from streams.formats.debezium import DEBEZIUM
from streams.formats.documents import FormatError, WrongKeyError, parse
from streams.formats.events import Event, OversizedRecord, RejectReason, WireEvent
from streams.formats.rows import ROWS
from streams.formats.schemas import SchemaError, find_schema_id
from streams.formats.segment import SEGMENT
from streams.formats.validation import find_problem, reject, reject_key, reject_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.formats.documents import Document, Draft, Format
    from streams.formats.events import Record, Reject
    from streams.formats.validation import Limits

FORMATS: Mapping[str, Format] = {
    "cloudevents": CLOUDEVENTS,
    "debezium": DEBEZIUM,
    "segment": SEGMENT,
    "json": ROWS,
}
"""By their names in HOLDFAST_FORMATS, in the order in which a record is compared with them."""


def foreign_decoder(types: Mapping[str, str], limits: Limits, form: Format) -> Callable[[Record], Event | Reject]:
    """Return the decoder of the records of a topic that has one of these formats.

    Args:
        types: the kind of each type that the topic carries.
        limits: what an event may be.
        form: the format.
    """

    def decode(record: Record) -> Event | Reject:
        value = record.value
        if value is not None and not 0 < len(value) <= limits.max_bytes:
            return reject_size(record, limits.max_bytes)
        detail = f"not {form.title}, which is the topic's format in HOLDFAST_FORMATS"
        return read_foreign(record, types, limits, (form,)) or reject(record, RejectReason.INVALID_EVENT, detail)

    return decode


def read_foreign(
    record: Record, types: Mapping[str, str], limits: Limits, formats: Sequence[Format]
) -> Event | Reject | None:
    """Return the event of a record, or why it has none; None when it has none of the formats.

    Args:
        record: the record.
        types: the types that its topic carries, and the kind of each.
        limits: what an event may be.
        formats: those that its topic may have.
    """
    if isinstance(record, OversizedRecord):
        return reject_size(record, limits.max_bytes)
    if formats and limits.schemas is None and find_schema_id(record.value) is not None:
        detail = "the value begins with a zero byte and a schema id; set HOLDFAST_SCHEMA_REGISTRY_URL, or send JSON"
        return reject(record, RejectReason.NOT_JSON, detail)
    try:
        document = parse(record, types, limits.id_field, limits.schemas)
    except SchemaError as error:
        return reject(record, RejectReason.INVALID_EVENT, f"Confluent's wire format: {error}")
    if document is None:
        return None
    found = next((each for each in formats if each.recognise(document)), None)
    return _read(found, document, limits) if found else None


def _read(form: Format, document: Document, limits: Limits) -> Event | Reject:
    record = document.record
    try:
        draft = form.read(document)
        wire = _make_wire(draft)
    except (FormatError, msgspec.ValidationError) as error:
        return reject(record, RejectReason.INVALID_EVENT, f"{form.title}: {error}")
    except WrongKeyError as error:
        return reject_key(record, str(error))
    return find_problem(wire, draft.kind, record, limits) or Event(wire, record, wire.customer_id, draft.kind)


def _make_wire(draft: Draft) -> WireEvent:
    fields = asdict(draft)
    del fields["kind"]
    return msgspec.convert({**fields.pop("others"), **fields}, WireEvent)
