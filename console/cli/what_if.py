"""`holdfast what-if`: what would be decided about a customer if some facts were others."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

import click

from console.printable import printable
from console.use_cases.what_if import find_what_if
from console.what_if_views import as_object, describe_what_if
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def _split(_context: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for each in given:
        fact, sign, value = each.partition("=")
        if not sign or not fact.strip():
            raise click.BadParameter(f"{each!r} is not of the form FACT=VALUE; to make a fact null: --unset FACT")
        if fact.strip() in values:
            raise click.BadParameter(f"{fact.strip()} is set twice; leave one")
        values[fact.strip()] = value
    return values


@click.command("what-if")
@click.argument("customer_id")
@click.option(
    "--set", "values", multiple=True, metavar="FACT=VALUE", callback=_split, help="Change a fact; repeatable."
)
@click.option("--unset", "nulls", multiple=True, metavar="FACT", help="Make a fact null.")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="Time of the update, UTC, for rules that read the time; default: now.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def what_if(
    customer_id: str, values: dict[str, str], nulls: tuple[str, ...], at: datetime | None, as_json: bool
) -> None:
    """Show what an update of a customer would do if some facts were others; nothing is stored or sent.

    Today's row with the changed facts goes through the scoring, segments and decisions of a worker. Without --set and
    --unset: what an update would do now.
    """
    moment = at.replace(tzinfo=UTC) if at else None
    found = find_what_if(load_settings(), customer_id, values=values, nulls=nulls, at=moment)
    if as_json:
        click.echo(json.dumps(as_object(found)))
        return
    for line in describe_what_if(found):
        click.echo(printable(line))
