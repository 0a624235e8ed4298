"""The operator's view of dead letters: `holdfast dead-letters`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

import click

from campaigns.dead_letters import Resolution
from console.dead_letter_views import SHOWN, as_object, build_filter, describe, render, report, summarize, tabulate
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
    from collections.abc import Callable

    Command = TypeVar("Command", bound=Callable[..., Any])

CUT_BYTES = 4_096

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
    wanted = build_filter(settings.topic_prefix, resolution=None if status == "all" else Resolution(status), **filters)
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
    wanted = build_filter(settings.topic_prefix, ids=None if all_matching else letter_ids, **filters)
    click.echo("\n".join(report(requeue(settings, wanted, by=by, limit=limit))))


@dead_letters.command()
@click.argument("letter_ids", nargs=-1, required=True)
@click.option("--why", required=True, help="Reason recorded with the action.")
@_BY
def discard(letter_ids: tuple[str, ...], why: str, by: str) -> None:
    """Mark open dead letters as discarded; they stay in the ledger and cannot be requeued."""
    done = discard_dead_letters(load_settings(), letter_ids, by=by, why=why)
    click.echo("\n".join([f"discarded {len(done.ids)}", *map(describe_resolution, done.others)]))
