"""Dead letters: one for each record that will never work, with all it came with. Pure."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from campaigns.triggers import Message, encode_headers

if TYPE_CHECKING:
    from streams.formats.events import Record, Reject

DEAD_LETTER_NAMESPACE = uuid.UUID("0d6b2f4e-9d53-5c52-8f0e-2a7b3a3f9c55")


def dead_letter(reject: Reject) -> Message:
    """Return a record that cannot be decided: bytes, key and headers as they came, the reason in headers of ours."""
    record = reject.record
    letter_id = dead_letter_id(record)
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
    theirs = tuple(record.headers or ())
    headers = (*theirs, *encode_headers(ours))
    return Message(letter_id, "", "dead_letters", record.key, headers, record.value, record.partition)


def dead_letter_id(record: Record) -> str:
    """UUIDv5 of the record's place, so that a redelivery makes the same one."""
    return str(uuid.uuid5(DEAD_LETTER_NAMESPACE, json.dumps([record.topic, record.partition, record.offset])))
