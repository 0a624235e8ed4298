"""Holdfast's own JSON: one event in each record. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from streams.formats.events import Event, WireEvent
from streams.formats.foreign import read_foreign
from streams.formats.validation import find_problem, reject_content, reject_key, reject_size, reject_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.formats.documents import Format
    from streams.formats.events import Record, Reject
    from streams.formats.validation import Limits

_decoder = msgspec.json.Decoder(WireEvent)


def native_decoder(
    types: Mapping[str, str], limits: Limits, others: Sequence[Format] = ()
) -> Callable[[Record], Event | Reject]:
    """Return the decoder of one topic's records.

    Args:
        types: the kind of each type that the topic carries.
        limits: what an event may be.
        others: formats that a record may have instead.
    """
    max_bytes = limits.max_bytes

    def decode(record: Record) -> Event | Reject:
        # Runs for every event: rare cases are in functions of their own.
        value = record.value
        if not value or len(value) > max_bytes:
            return (read_foreign(record, types, limits, others) if value is None else None) or reject_size(
                record, max_bytes
            )
        try:
            wire = _decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return read_foreign(record, types, limits, others) or reject_content(record, error)
        kind = types.get(wire.type)
        if kind is None:
            return reject_type(record, wire.type, types)
        if problem := find_problem(wire, kind, record, limits):
            return problem
        if record.key != wire.customer_id.encode():
            return read_foreign(record, types, limits, others) or reject_key(record, wire.customer_id)
        return Event(wire, record, wire.customer_id, kind)

    return decode
