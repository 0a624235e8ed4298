"""`holdfast search`: messages and customers, by what was said."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import click
import msgspec

from console.printable import printable
from console.tables import print_table
from console.use_cases.searches import search_customers, search_messages
from intelligence.message_search import MOST_HITS, Filters
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
def search(query: str, customers: bool, limit: int, as_json: bool, **filters: Any) -> None:
    """Find messages that mean what QUERY says, or have its words: holdfast search "wants a refund for late delivery".

    It searches the message store, which `holdfast messages sync` fills; see docs/search.md.
    """
    for name in ("since", "until"):
        filters[name] = filters[name].replace(tzinfo=UTC) if filters[name] else None
    settings, chosen = load_settings(), Filters(**filters)
    if customers:
        found = search_customers(settings, query, chosen, limit=limit)
        _show(found, ("customer", "score", "messages", "nearest message"), map(_customer_row, found), as_json=as_json)
        return
    hits = search_messages(settings, query, chosen, limit=limit)
    _show(hits, ("customer", "time", "role", "similarity", "message"), map(_row, hits), as_json=as_json)


def _show(
    found: Sequence[Hit | CustomerHit], headings: Sequence[str], rows: Iterable[Sequence[str]], *, as_json: bool
) -> None:
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
    line = printable(" ".join(text[: 4 * SHOWN_CHARACTERS].split()))
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"
