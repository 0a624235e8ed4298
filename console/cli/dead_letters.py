"""The operator's view of dead letters: `holdfast dead-letters`."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from campaigns.actor import name_actor
from campaigns.dead_letters import DeadLetterFilter, Status, open_dead_letters
from campaigns.errors import DeadLetterError
from console.requeue import requeue
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from campaigns.dead_letters import DeadLetter
    from console.requeue import Requeued
    from streams.settings import Settings

    Command = TypeVar("Command", bound=Callable[..., Any])

CUT_BYTES = 4_096
SHOWN = 50
BYTES_IN_A_LINE = 16

_FILTERS = (
    click.option("--reason", help="Only this reason, for example unknown_customer."),
    click.option("--topic", help="Only from this topic, with or without the prefix."),
    click.option("--customer", help="Only records with this key."),
    click.option(
        "--since",
        type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
        help="Only letters written at this time or later, UTC.",
    ),
)
_BY = click.option("--by", default=name_actor, help="Who does it, for the record; you, when left out.")


def _filters(command: Command) -> Command:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """Events that could not be decided: look at them, send them back, or discard them."""


@dead_letters.command("list")
@_filters
@click.option(
    "--status",
    type=click.Choice([*(each.value for each in Status), "all"]),
    default=Status.OPEN.value,
    show_default=True,
    help="Only letters that stand so.",
)
@click.option("--limit", type=click.IntRange(0), default=SHOWN, show_default=True, help="Show so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_letters(status: str, limit: int, as_json: bool, **filters: Any) -> None:
    """Show dead letters, oldest first, and how many there are for each reason."""
    settings = load_settings()
    wanted = _wanted(settings, status=None if status == "all" else Status(status), **filters)
    with open_dead_letters(settings.ledger_url) as letters:
        found = letters.find(wanted)
    if as_json:
        click.echo(json.dumps(as_object(found, limit)))
        return
    if found:
        click.echo("\n".join(tabulate(found[:limit])))
        click.echo()
    click.echo(summarize(found, shown=min(limit, len(found))))


@dead_letters.command()
@click.argument("letter_id")
@click.option("--full", is_flag=True, help=f"Show the whole value, not its first {CUT_BYTES:,} bytes.")
def show(letter_id: str, full: bool) -> None:
    """Show all there is of a dead letter."""
    with open_dead_letters(load_settings().ledger_url) as letters:
        (letter,) = letters.name([letter_id])
        value = letters.read_values([letter_id])[letter_id]
    click.echo("\n".join([*describe(letter), "value", render(value, None if full else CUT_BYTES)]))


@dead_letters.command("requeue")
@click.argument("letter_ids", nargs=-1)
@click.option("--all-matching", is_flag=True, help="Every open letter that the filters leave.")
@_filters
@click.option("--limit", type=click.IntRange(1), help="With --all-matching: the oldest so many.")
@_BY
def requeue_letters(
    letter_ids: tuple[str, ...], all_matching: bool, limit: int | None, by: str, **filters: Any
) -> None:
    """Send open dead letters back, as they came, to the topic and partition they came from, each once.

    An event that fails again makes a new dead letter. `list` with the same filters shows what --all-matching takes.
    """
    filtered = limit is not None or any(value is not None for value in filters.values())
    if bool(letter_ids) == all_matching or (letter_ids and filtered):
        raise click.UsageError("name the letters, or give --all-matching and filters")
    settings = load_settings()
    with open_dead_letters(settings.ledger_url) as letters:
        _refuse_settled(letters.name(letter_ids), Status.DISCARDED)
        ids = None if all_matching else letter_ids
        done = requeue(settings, letters, _wanted(settings, ids=ids, **filters), by=by, limit=limit)
        sent = {letter.letter_id for letter in done.sent}
        others = [letter for letter in letters.name(letter_ids) if letter.letter_id not in sent]
    click.echo("\n".join([*report(done), *map(tell_fate, others)]))


@dead_letters.command()
@click.argument("letter_ids", nargs=-1, required=True)
@click.option("--why", required=True, help="The reason, for the record.")
@_BY
def discard(letter_ids: tuple[str, ...], why: str, by: str) -> None:
    """Mark open dead letters as never to be sent again; they are kept."""
    with open_dead_letters(load_settings().ledger_url) as letters:
        _refuse_settled(letters.name(letter_ids), Status.REQUEUED, Status.REQUEUEING)
        marked = letters.discard(letter_ids, by=by, why=why)
        others = [letter for letter in letters.name(letter_ids) if letter.letter_id not in marked]
    click.echo("\n".join([f"discarded {len(marked)}", *map(tell_fate, others)]))


def _wanted(
    settings: Settings, *, topic: str | None = None, since: datetime | None = None, **more: Any
) -> DeadLetterFilter:
    prefix = settings.topic_prefix
    full = topic if topic is None or topic.startswith(prefix) else prefix + topic
    return DeadLetterFilter(topic=full, since=since.replace(tzinfo=UTC) if since else None, **more)


def _refuse_settled(letters: Iterable[DeadLetter], *statuses: Status) -> None:
    for letter in letters:
        if letter.status in statuses:
            raise DeadLetterError(f"{tell_fate(letter)}; nothing was done")


def tell_fate(letter: DeadLetter) -> str:
    """Return in one line what became of a letter, and who did it when."""
    if letter.settled_at is None:
        return f"{letter.letter_id} is {letter.status}"
    because = f": {printable(letter.why)}" if letter.why else ""
    by = printable(letter.settled_by or "")
    return f"{letter.letter_id} is {letter.status} since {moment(letter.settled_at)} by {by}{because}"


def report(done: Requeued) -> list[str]:
    """Tell what a requeue did, and what it found of one before it that was interrupted."""
    lines = [f"requeued {len(done.sent)}"]
    if done.found_sent:
        lines.append(f"an interrupted requeue had sent {done.found_sent}: they count as requeued now")
    if done.reopened:
        lines.append(f"an interrupted requeue had not sent {done.reopened}: they were opened again first")
    return lines


def tabulate(letters: Sequence[DeadLetter]) -> list[str]:
    """Return a heading and one line for each letter, in columns."""
    headings = ("id", "status", "reason", "topic/partition/offset", "written", "bytes")
    rows = [headings, *map(_cells, letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    size = "none" if letter.size is None else str(letter.size)
    return (letter.letter_id, letter.status, letter.reason, _source(letter), moment(letter.written_at), size)


def summarize(letters: Sequence[DeadLetter], *, shown: int) -> str:
    """Return how many letters there are, of which reasons, most frequent first."""
    counts = ", ".join(f"{number:,} {reason}" for reason, number in count_reasons(letters).items())
    total = f"{len(letters):,} dead letter{'' if len(letters) == 1 else 's'}"
    partly = f", {shown:,} shown" if shown < len(letters) else ""
    return f"{total}{partly}: {counts}" if letters else "no dead letters"


def count_reasons(letters: Iterable[DeadLetter]) -> dict[str, int]:
    """Return the number of letters by reason, most frequent first."""
    return dict(Counter(letter.reason for letter in letters).most_common())


def as_object(letters: Sequence[DeadLetter], limit: int) -> dict[str, Any]:
    """Return a list of letters as JSON has it; the counts are of all, shown or not."""
    return {
        "matching": len(letters),
        "by_reason": count_reasons(letters),
        "letters": [_as_object(letter) for letter in letters[:limit]],
    }


def _as_object(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.letter_id,
        "status": letter.status,
        "reason": letter.reason,
        "stage": letter.stage,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": None if letter.key is None else inline(letter.key),
        "bytes": letter.size,
        "written_at": moment(letter.written_at),
        "settled_at": moment(letter.settled_at) if letter.settled_at else None,
        "settled_by": letter.settled_by,
        "why": letter.why or None,
    }


def describe(letter: DeadLetter) -> list[str]:
    """Return all there is of a letter but its value, one line each."""
    size = "no value" if letter.size is None else f"{letter.size:,} bytes"
    lines = [
        tell_fate(letter),
        f"reason   {letter.reason}",
        f"stage    {letter.stage}",
        f"detail   {printable(letter.detail)}",
        f"source   {_source(letter)}",
        f"written  {moment(letter.written_at)}",
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


def printable(text: str, keep: str = "") -> str:
    """Escape what a terminal might obey: whoever wrote the event is not trusted with it."""
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode() for each in text
    )


def moment(at: datetime) -> str:
    """Return a time in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _source(letter: DeadLetter) -> str:
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def _as_text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
