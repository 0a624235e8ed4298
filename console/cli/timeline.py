"""`holdfast timeline`: everything of one customer in order, for people who care for customers."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from console.printable import printable
from console.tables import print_table
from console.timeline_views import as_object, describe_entry
from console.use_cases.timelines import find_timeline
from streams.settings import load_settings

SHOWN = 100


@click.command("timeline")
@click.argument("customer_id")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="Leave out what happened before this day, 0:00 UTC, or this time.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=SHOWN,
    show_default=True,
    help="Show at most so many entries, the latest ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def timeline(customer_id: str, since: datetime | None, limit: int, as_json: bool) -> None:
    """Show everything that happened to a customer, in order: events, segments, decisions, contacts, outcomes.

    Times are event times; of events that were processed and of deliveries, when they were.
    """
    begin = since.replace(tzinfo=UTC) if since else None
    found = find_timeline(load_settings(), customer_id, since=begin, limit=limit)
    if as_json:
        click.echo(json.dumps(as_object(found)))
        return
    after = f" since {begin:%Y-%m-%d %H:%M}" if begin else ""
    if not found.entries:
        click.echo(printable(f"customer {customer_id}: nothing happened{after}"))
        return
    shown = f"the latest {len(found.entries):,} entries" if found.is_cut else f"{len(found.entries):,} entries"
    more = "; --limit shows more" if found.is_cut else ""
    click.echo(printable(f"customer {customer_id}: {shown}{after}{more}"))
    rows = [
        (f"{each.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", each.kind, printable(describe_entry(each, found.offers)))
        for each in found.entries
    ]
    print_table(("time (UTC)", "what", "details"), rows)
