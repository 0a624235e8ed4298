"""Dead letters in words, lines and JSON: the same on the terminal, in the API and on pages. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from campaigns.dead_letters import DeadLetterFilter
from console.printable import printable
from console.use_cases.dead_letters import describe_resolution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.dead_letters import DeadLetter
    from console.use_cases.dead_letters import DeadLetterList, Requeued

SHOWN = 100
BYTES_IN_A_LINE = 16


def build_filter(
    prefix: str, *, topic: str | None = None, since: datetime | None = None, **more: Any
) -> DeadLetterFilter:
    """Return a filter.

    Args:
        prefix: of the topics on the broker.
        topic: with or without the prefix.
        since: without a zone it is UTC.
        more: the other fields of the filter.
    """
    full = topic if topic is None or topic.startswith(prefix) else prefix + topic
    at = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    return DeadLetterFilter(topic=full, since=at, **more)


def report(done: Requeued) -> list[str]:
    """Return what a requeue did, and what it found of one before it that was interrupted, in lines."""
    lines = [f"requeued {len(done.sent)}"]
    if done.found_sent:
        lines.append(f"an interrupted requeue had sent {done.found_sent}: they count as requeued now")
    if done.reopened:
        lines.append(f"an interrupted requeue had not sent {done.reopened}: they were opened again first")
    lines += [f"left out: {why}" for why in done.left_out.values()][:SHOWN]
    if len(done.left_out) > SHOWN:
        lines.append(f"{len(done.left_out):,} letters were left out in all")
    return [*lines, *map(describe_resolution, done.others)]


def tabulate(letters: Sequence[DeadLetter]) -> list[str]:
    """Return a heading and one line for each letter, in columns."""
    headings = ("id", "status", "reason", "topic/partition/offset", "written", "bytes")
    rows = [headings, *map(_cells, letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    size = "none" if letter.size is None else str(letter.size)
    return (
        letter.letter_id,
        letter.resolution,
        letter.reason,
        describe_source(letter),
        moment(letter.created_at),
        size,
    )


def summarize(found: DeadLetterList) -> str:
    """Return how many letters there are, of which reasons, most frequent first."""
    if not found.matching:
        return "no dead letters"
    counts = ", ".join(f"{number:,} {reason}" for reason, number in found.by_reason.items())
    total = f"{found.matching:,} dead letter{'' if found.matching == 1 else 's'}"
    partly = f", the newest {len(found.letters):,} shown" if len(found.letters) < found.matching else ""
    return f"{total}{partly}: {counts}"


def as_object(found: DeadLetterList) -> Mapping[str, Any]:
    """Return a list of letters as JSON has it; the counts are of all, shown or not."""
    return {
        "matching": found.matching,
        "by_reason": dict(found.by_reason),
        "letters": [letter_object(letter) for letter in found.letters],
    }


def letter_object(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter as JSON has it, without headers and value."""
    return {
        "id": letter.letter_id,
        "status": letter.resolution,
        "reason": letter.reason,
        "stage": letter.stage,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": None if letter.key is None else inline(letter.key),
        "bytes": letter.size,
        "truncated": letter.truncated or None,
        "written_at": moment(letter.created_at),
        "settled_at": moment(letter.resolved_at) if letter.resolved_at else None,
        "settled_by": letter.actor,
        "why": letter.why or None,
    }


def describe(letter: DeadLetter) -> list[str]:
    """Return all there is of a letter but its value, one line each."""
    size = "no value" if letter.size is None else f"{letter.size:,} bytes"
    if letter.truncated:
        size += f", not kept whole (cut: {letter.truncated}), SHA-256 {letter.digest or 'unknown'}"
    lines = [
        describe_resolution(letter),
        f"reason   {letter.reason}",
        f"stage    {letter.stage}",
        f"detail   {printable(letter.detail)}",
        f"source   {describe_source(letter)}",
        f"written  {moment(letter.created_at)}",
        f"size     {size}",
        f"key      {inline(letter.key)}",
        "headers" if letter.headers else "headers  none",
    ]
    return [*lines, *(f"  {printable(name)}: {inline(value)}" for name, value in letter.headers)]


def render(value: bytes | None, most: int | None) -> str:
    """Return a value as text when it is UTF-8, else as a hex dump, of its first `most` bytes; all, when None."""
    if not value:
        return "(null)" if value is None else "(empty)"
    text = read_text(value)
    head = value[:most]
    # The cut may go through a character, which is left out.
    shown = hex_dump(head) if text is None else printable(head.decode(errors="ignore"), keep="\n\t")
    cut = f"\n... {len(value) - len(head):,} bytes more; --full shows them" if len(head) < len(value) else ""
    return shown + cut


def hex_dump(value: bytes) -> str:
    """Return bytes as offset, hexadecimal and ASCII, sixteen a line."""
    lines = []
    for start in range(0, len(value), BYTES_IN_A_LINE):
        part = value[start : start + BYTES_IN_A_LINE]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)  # noqa: PLR2004 - ASCII
        lines.append(f"{start:08x}  {part.hex(' '):<{BYTES_IN_A_LINE * 3 - 1}}  {letters}")
    return "\n".join(lines)


def inline(value: bytes | None) -> str:
    """Return a key or a header as text when it is UTF-8, else in hexadecimal."""
    if value is None:
        return "(null)"
    text = read_text(value)
    return f"0x{value.hex()}" if text is None else printable(text)


def moment(at: datetime) -> str:
    """Return a time in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def describe_source(letter: DeadLetter) -> str:
    """Return where a letter's record was read, or where its message could not go."""
    if letter.partition is None:
        return f"to {letter.topic}"
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def read_text(value: bytes) -> str | None:
    """Return bytes as text, None where they are no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
