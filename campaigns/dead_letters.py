"""Dead letters: records that could not be decided, messages that could not be published. Pure.

A letter is written in the transaction of its batch and stays, independent of the outbox. Operators resolve it. A
letter that goes back to its topic is `requeueing` until it is certain that Kafka has it, so it carries the number of
the Kafka transaction, its run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from campaigns.triggers import Headers, Message

DESTINATION = "dead_letters"
FIRST_OF_OURS = "holdfast_dead_letter_id"
"""The first of Holdfast's headers on a dead letter; all after it are Holdfast's, too."""
TRUNCATED = "holdfast_truncated"
SIZE = "holdfast_size"
DIGEST = "holdfast_sha256"
PUBLISH_STAGE = "publish"


class Resolution(StrEnum):
    """The resolution of a dead letter."""

    OPEN = "open"
    REQUEUEING = "requeueing"
    REQUEUED = "requeued"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter without its value.

    Attributes:
        number: grows in the order of writing.
        key: the producer's.
        headers: the producer's.
        size: bytes of the original value, None when it has none.
        digest: SHA-256 of the original value in hexadecimal, when only a prefix of it is kept.
        truncated: what was cut, comma-separated (value, key, headers, batch); empty when all is kept.
        topic: where the record was read, or the topic that refused a message.
        partition: where the record was read; None for a message that was not published.
        offset: as partition.
        actor: who resolved it.
        why: the reason that the actor gave.
    """

    letter_id: str
    number: int
    created_at: datetime
    stage: str
    reason: str
    detail: str
    topic: str
    partition: int | None
    offset: int | None
    key: bytes | None
    headers: Headers
    size: int | None
    digest: str | None = None
    truncated: str = ""
    resolution: Resolution = Resolution.OPEN
    resolved_at: datetime | None = None
    actor: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """A filter of dead letters; None leaves a field open.

    Attributes:
        customer: the key of the original record.
        since: letters written then or later.
    """

    ids: Sequence[str] | None = None
    resolution: Resolution | None = Resolution.OPEN
    reason: str | None = None
    topic: str | None = None
    customer: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewDeadLetter:
    """A dead letter as a batch writes it. See DeadLetter."""

    letter_id: str
    stage: str
    reason: str
    detail: str
    topic: str
    partition: int | None
    offset: int | None
    key: bytes | None
    headers: Headers
    value: bytes | None
    size: int | None
    digest: str | None
    truncated: str


def read_message(message: Message) -> NewDeadLetter:
    """Return the letter that a message to the dead-letters topic holds."""
    theirs, ours = part_headers(message.headers)
    value = message.value
    size = ours.get(SIZE)
    return NewDeadLetter(
        letter_id=message.message_id,
        stage=_storable(ours["holdfast_stage"]),
        reason=_storable(ours["holdfast_reason"]),
        detail=_storable(ours["holdfast_detail"]),
        topic=_storable(ours["holdfast_topic"]),
        partition=_number(ours.get("holdfast_partition")),
        offset=_number(ours.get("holdfast_offset")),
        key=message.key,
        headers=theirs,
        value=value,
        size=int(size) if size is not None else None if value is None else len(value),
        digest=ours.get(DIGEST),
        truncated=ours.get(TRUNCATED, ""),
    )


def part_headers(headers: Headers) -> tuple[Headers, dict[str, str]]:
    """Split a dead letter's headers into the producer's and Holdfast's.

    Holdfast's begin at the last `holdfast_dead_letter_id`: a producer that sent a dead letter back by hand, with all
    its headers, has such headers of its own, and they are kept.
    """
    names = [name for name, _ in headers]
    first = len(names) - 1 - names[::-1].index(FIRST_OF_OURS)
    return headers[:first], {name: (value or b"").decode() for name, value in headers[first:]}


def refuse_requeue(letter: DeadLetter) -> str | None:
    """Return why a letter cannot be requeued, None when it can."""
    if letter.stage == PUBLISH_STAGE:
        return (
            f"{letter.letter_id} is a message that {letter.topic} refused, not an input record: its event has been "
            "decided, and requeueing cannot publish it"
        )
    if letter.truncated:
        size = "" if letter.size is None else f" of {letter.size:,} bytes"
        return (
            f"{letter.letter_id} holds only the beginning of a record{size} (cut: {letter.truncated}): it was too "
            "large to keep; its producer must send it again, in smaller parts"
        )
    return None


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _storable(text: str) -> str:
    """Return text as PostgreSQL can hold it."""
    return text.replace("\0", "\\0")
