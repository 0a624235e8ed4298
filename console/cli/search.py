"""`holdfast search`: messages and customers, by what was said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from console.printable import printable
from console.tables import print_table
from console.use_cases.searches import search_customers, search_messages
from intelligence.message_search import MOST_HITS, Filters
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intelligence.message_search import CustomerHit, Hit

SHOWN_CHARACTERS = 160
_TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"])


@click.command()
@click.argument("query")
@click.option("--customer", metavar="ID", help="Only messages of this customer's conversations.")
@click.option("--since", type=_TIMES, help="Only messages of this day, 0:00 UTC, or time, and later.")
@click.option("--until", type=_TIMES, help="Only messages before this day or time.")
@click.option("--concern", help="Only messages with this concern, as delivery.")
@click.option("--role", type=click.Choice(["customer", "agent"]), help="Only messages of customers, or of agents.")
@click.option("--customers", is_flag=True, help="Find customers by their messages.")
@click.option("--limit", type=click.IntRange(1, MOST_HITS), default=10, show_default=True, help="The most to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def search(  # noqa: PLR0913 - one parameter for each option
    query: str,
    customer: str | None,
    since: datetime | None,
    until: datetime | None,
    concern: str | None,
    role: str | None,
    customers: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Find messages that mean what QUERY says, or have its words: holdfast search "wants a refund for late delivery".

    It searches the message store, which `holdfast messages sync` fills; see docs/search.md.
    """
    filters = Filters(customer, _utc(since), _utc(until), concern, role)
    if customers:
        found = search_customers(load_settings(), query, filters, limit=limit)
        headings, rows = ("customer", "score", "messages", "nearest message"), list(map(_customer_row, found))
    else:
        hits = search_messages(load_settings(), query, filters, limit=limit)
        found, headings, rows = hits, ("customer", "time", "role", "similarity", "message"), list(map(_row, hits))
    show(found, headings, rows, as_json=as_json)


def show(
    found: Sequence[Hit] | Sequence[CustomerHit],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    as_json: bool,
) -> None:
    """Print what was found."""
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif not found:
        click.echo("nothing is found; `holdfast messages sync` copies new messages into the store")
    else:
        print_table(headings, rows)


def _row(hit: Hit) -> tuple[str, ...]:
    similarity = "words" if hit.similarity is None else f"{hit.similarity:.2f}"
    return hit.customer_id, f"{hit.occurred_at.astimezone(UTC):%Y-%m-%d %H:%M}", hit.role, similarity, _cut(hit.text)


def _customer_row(hit: CustomerHit) -> tuple[str, ...]:
    return hit.customer_id, f"{hit.score:.3f}", str(hit.messages), _cut(hit.best.text)


def _cut(text: str) -> str:
    line = " ".join(printable(text[: 4 * SHOWN_CHARACTERS]).split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None
