"""The operator's view of dead letters: `holdfast dead-letters`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from campaigns.dead_letters import DeadLetterFilter, Resolution
from console.printable import printable
from console.use_cases.dead_letters import (
    describe_resolution,
    discard_dead_letters,
    list_dead_letters,
    read_dead_letter,
    requeue,
)
from models.current_user import current_user
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from campaigns.dead_letters import DeadLetter
    from console.use_cases.dead_letters import DeadLetterList, Requeued
    from streams.settings import Settings

    Command = TypeVar("Command", bound=Callable[..., Any])

CUT_BYTES = 4_096
SHOWN = 100
BYTES_IN_A_LINE = 16

_FILTERS = (
    click.option("--reason", help="Only this reason, for example unknown_customer."),
    click.option("--topic", help="Only from this topic, with or without the prefix."),
    click.option("--customer", help="Only records with this key."),
    click.option(
        "--since",
        type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
        help="Only dead letters written at this time or later, UTC.",
    ),
)
_BY = click.option("--by", default=current_user, help="Name recorded with the action; default: the current user.")


def _filters(command: Command) -> Command:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show, requeue or discard records that could not be decided or published."""


@dead_letters.command("list")
@_filters
@click.option(
    "--status",
    type=click.Choice([*(each.value for each in Resolution), "all"]),
    default=Resolution.OPEN.value,
    show_default=True,
    help="Only dead letters with this status.",
)
@click.option(
    "--limit", type=click.IntRange(0), default=SHOWN, show_default=True, help="Maximum number shown, newest first."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_letters(status: str, limit: int, as_json: bool, **filters: Any) -> None:
    """Show dead letters, newest first, and how many there are for each reason."""
    settings = load_settings()
    wanted = _wanted(settings, resolution=None if status == "all" else Resolution(status), **filters)
    found = list_dead_letters(settings, wanted, limit=limit)
    if as_json:
        click.echo(json.dumps(as_object(found)))
        return
    if found.letters:
        click.echo("\n".join(tabulate(found.letters)))
        click.echo()
    click.echo(summarize(found))


@dead_letters.command()
@click.argument("letter_id")
@click.option("--full", is_flag=True, help=f"Show the whole value, not its first {CUT_BYTES:,} bytes.")
def show(letter_id: str, full: bool) -> None:
    """Show a dead letter with its headers and value."""
    letter, value = read_dead_letter(load_settings(), letter_id)
    click.echo("\n".join([*describe(letter), "value", render(value, None if full else CUT_BYTES)]))


@dead_letters.command("requeue")
@click.argument("letter_ids", nargs=-1)
@click.option("--all-matching", is_flag=True, help="Every open dead letter that matches the filters.")
@_filters
@click.option("--limit", type=click.IntRange(1), help="With --all-matching: maximum number, oldest first.")
@_BY
def requeue_letters(
    letter_ids: tuple[str, ...], all_matching: bool, limit: int | None, by: str, **filters: Any
) -> None:
    """Send open dead letters unchanged to their original topic and partition, each once.

    An event that fails again makes a new dead letter. `list` with the same filters shows what --all-matching takes.
    """
    filtered = limit is not None or any(value is not None for value in filters.values())
    if bool(letter_ids) == all_matching or (letter_ids and filtered):
        raise click.UsageError("give ids of dead letters, or --all-matching with filters")
    settings = load_settings()
    wanted = _wanted(settings, ids=None if all_matching else letter_ids, **filters)
    click.echo("\n".join(report(requeue(settings, wanted, by=by, limit=limit))))


@dead_letters.command()
@click.argument("letter_ids", nargs=-1, required=True)
@click.option("--why", required=True, help="Reason recorded with the action.")
@_BY
def discard(letter_ids: tuple[str, ...], why: str, by: str) -> None:
    """Mark open dead letters as discarded; they stay in the ledger and cannot be requeued."""
    done = discard_dead_letters(load_settings(), letter_ids, by=by, why=why)
    click.echo("\n".join([f"discarded {len(done.ids)}", *map(describe_resolution, done.others)]))


def _wanted(
    settings: Settings, *, topic: str | None = None, since: datetime | None = None, **more: Any
) -> DeadLetterFilter:
    prefix = settings.topic_prefix
    full = topic if topic is None or topic.startswith(prefix) else prefix + topic
    return DeadLetterFilter(topic=full, since=since.replace(tzinfo=UTC) if since else None, **more)


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
    return (letter.letter_id, letter.resolution, letter.reason, _source(letter), moment(letter.created_at), size)


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
        "letters": [_as_object(letter) for letter in found.letters],
    }


def _as_object(letter: DeadLetter) -> dict[str, Any]:
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
        f"source   {_source(letter)}",
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
    text = _as_text(value)
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
    text = _as_text(value)
    return f"0x{value.hex()}" if text is None else printable(text)


def moment(at: datetime) -> str:
    """Return a time in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _source(letter: DeadLetter) -> str:
    if letter.partition is None:
        return f"to {letter.topic}"
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def _as_text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
