"""Dead letters: one for each record that cannot be decided, with its key, headers and value within bounds. Pure."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from campaigns.triggers import Message, encode_headers
from streams.formats.events import OversizedRecord, RejectReason, take_excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.triggers import Headers
    from streams.formats.events import Excerpt, Record, Reject

DEAD_LETTER_NAMESPACE = uuid.UUID("0d6b2f4e-9d53-5c52-8f0e-2a7b3a3f9c55")
# Together with our own headers these stay below what the producer sends, see streams/kafka/publishing.py.
MAX_VALUE_BYTES = 3_145_728
MAX_KEY_BYTES = 65_536
MAX_HEADER_BYTES = 262_144
HEADER_OVERHEAD_BYTES = 16
"""A header takes more than its name and value, in the message and in the ledger."""


def dead_letter(reject: Reject) -> Message:
    """Return a rejected record as a message: its bytes, key and headers, then our headers with the reason.

    A value that is too large is cut to its beginning, and so are keys and headers that no producer's limit allows: our
    headers then name what was cut, and the size and the SHA-256 digest of the whole value.
    """
    record = reject.record
    letter_id = dead_letter_id(record)
    value, excerpt = _keep_value(reject)
    theirs = keep_headers(record.headers or ())
    cut = {
        "batch": isinstance(record, OversizedRecord) and record.first_offset != record.offset,
        "value": excerpt is not None,
        "key": record.key is not None and len(record.key) > MAX_KEY_BYTES,
        "headers": len(theirs) < len(record.headers or ()),
    }
    ours = {
        "holdfast_dead_letter_id": letter_id,
        "holdfast_stage": reject.stage,
        "holdfast_reason": reject.reason,
        "holdfast_detail": reject.detail[:1000],
        "holdfast_topic": record.topic,
        "holdfast_partition": str(record.partition),
        "holdfast_offset": str(record.offset),
        "holdfast_timestamp_ms": str(record.timestamp),
    }
    if any(cut.values()):
        ours["holdfast_truncated"] = ",".join(name for name, is_cut in cut.items() if is_cut)
    if excerpt is not None:
        ours |= {"holdfast_sha256": excerpt.sha256, "holdfast_size": str(excerpt.size)}
    key = None if record.key is None else record.key[:MAX_KEY_BYTES]
    return Message(letter_id, "", "dead_letters", key, (*theirs, *encode_headers(ours)), value, record.partition)


def dead_letter_id(record: Record) -> str:
    """UUIDv5 of the record's place and timestamp, so that a redelivery makes the same one.

    The timestamp distinguishes it from a record at the same place of an earlier topic of that name.
    """
    place = [record.topic, record.partition, record.offset, record.timestamp]
    return str(uuid.uuid5(DEAD_LETTER_NAMESPACE, json.dumps(place)))


def keep_headers(headers: Sequence[tuple[str, bytes]]) -> Headers:
    """Return the headers up to the first that does not fit the bound; only the first ones, so that order is kept."""
    kept: list[tuple[str, bytes]] = []
    room = MAX_HEADER_BYTES
    for name, value in headers:
        room -= len(name.encode()) + len(value or b"") + HEADER_OVERHEAD_BYTES
        if room < 0:
            break
        kept.append((name, value))
    return tuple(kept)


def _keep_value(reject: Reject) -> tuple[bytes | None, Excerpt | None]:
    """Return the value to keep, and the excerpt when that is not the whole value."""
    record = reject.record
    if isinstance(record, OversizedRecord):
        return record.excerpt.prefix, record.excerpt
    if record.value is None or (reject.reason != RejectReason.TOO_LARGE and len(record.value) <= MAX_VALUE_BYTES):
        return record.value, None
    excerpt = take_excerpt(record.value)
    return excerpt.prefix, excerpt
