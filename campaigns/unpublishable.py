"""Messages that Kafka can never accept, such as one that is too large: a dead letter is published in place of each.

The letter has the sequence of the message, so what is published stays in the order of sequences, and the letter is
published once for the same reason as any message. It fits wherever anything fits: it holds a prefix of the value, the
value's digest, and no headers that a producer wrote. Pure.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from msgspec.structs import replace

from campaigns.dead_letters import DESTINATION, DIGEST, FIRST_OF_OURS, PUBLISH_STAGE, SIZE, TRUNCATED
from campaigns.ports import OutboxRow, Refusal
from campaigns.triggers import Message, encode_headers

if TYPE_CHECKING:
    from campaigns.triggers import Headers

PREFIX_BYTES = 1_000
PART_BYTES = 500
REASON = "unpublishable"
NAMESPACE = uuid.UUID("5d0f6cf4-2f0c-5f3a-9a39-3c1c0b8d7f21")


def set_aside(row: OutboxRow, refusal: Refusal) -> OutboxRow:
    """Return the row that is published in place of one that a topic refused.

    A dead letter that its topic refused becomes a shorter one with the same id: the ledger keeps all of it.
    """
    shorten = _shorten_letter if row.message.destination == DESTINATION else _write_letter
    return OutboxRow(row.sequence, shorten(row.message, refusal), refusal)


def _write_letter(message: Message, refusal: Refusal) -> Message:
    letter_id = str(uuid.uuid5(NAMESPACE, f"{message.customer_id}\n{message.message_id}"))
    ours = {
        FIRST_OF_OURS: letter_id,
        "holdfast_stage": PUBLISH_STAGE,
        "holdfast_reason": REASON,
        "holdfast_detail": f"message {message.message_id}: {refusal.reason}",
        "holdfast_topic": refusal.topic,
        **_describe_value(message.value),
    }
    return Message(
        message_id=letter_id,
        customer_id="",
        destination=DESTINATION,
        key=_cut(message.key),
        headers=_cut_values(encode_headers(ours)),
        value=_prefix(message.value),
        partition=message.partition,
    )


def _shorten_letter(message: Message, refusal: Refusal) -> Message:
    names = [name for name, _ in message.headers]
    ours = message.headers[len(names) - 1 - names[::-1].index(FIRST_OF_OURS) :]
    described = {} if TRUNCATED in names else _describe_value(message.value)
    added = encode_headers({**described, "holdfast_refused": refusal.reason})
    return replace(message, key=_cut(message.key), headers=_cut_values((*ours, *added)), value=_prefix(message.value))


def _describe_value(value: bytes | None) -> dict[str, str]:
    """Return headers with the size and digest of a value, and whether it was cut."""
    if value is None:
        return {}
    size = {SIZE: str(len(value))}
    if len(value) <= PREFIX_BYTES:
        return size
    return {**size, DIGEST: hashlib.sha256(value).hexdigest(), TRUNCATED: "value"}


def _prefix(value: bytes | None) -> bytes | None:
    return None if value is None else value[:PREFIX_BYTES]


def _cut_values(headers: Headers) -> Headers:
    return tuple((name, _cut(value)) for name, value in headers)


def _cut(part: bytes | None) -> bytes | None:
    """Return the beginning of a text, whole characters."""
    return part if part is None or len(part) <= PART_BYTES else part[:PART_BYTES].decode(errors="ignore").encode()
