"""`holdfast campaigns list`, `stop` and `resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from campaigns.definition import load_definitions
from campaigns.errors import LedgerUnavailableError
from console.printable import printable
from console.tables import print_table
from console.use_cases.campaign_stops import find_stops, resume_campaign, stop_campaign
from models.current_user import current_user
from streams.settings import load_settings

if TYPE_CHECKING:
    from campaigns.records import StopRecord


def _reject_blank(_context: click.Context, _parameter: click.Parameter, why: str) -> str:
    if not why.strip():
        raise click.BadParameter("say why, in a few words")
    return why.strip()


_why = click.option("--why", required=True, callback=_reject_blank, help="Reason recorded with your name.")
_by = click.option("--by", default=current_user, help="Name recorded; default: the current user.")


@click.command("list")
def list_campaigns() -> None:
    """Show every campaign, and which are stopped."""
    settings = load_settings()
    defined = load_definitions(settings.definitions_dir).campaigns
    try:
        stops = {key: _describe(each) for key, each in find_stops(settings).items()}
        otherwise = "runs"
    except LedgerUnavailableError as error:
        click.echo(f"holdfast: which campaigns are stopped is unknown: {error}", err=True)
        stops, otherwise = {}, "unknown"
    print_table(
        ("campaign", "segment", "launch", "holdout", "cooldown", "state"),
        [
            (
                c.key,
                c.segment,
                c.launch,
                f"{c.holdout_percent:g} %",
                f"{c.cooldown_days} d",
                stops.get(c.key, otherwise),
            )
            for c in defined
        ],
    )
    known = {each.key for each in defined}
    for key in sorted(stops.keys() - known):
        click.echo(f"{key}, which is not defined now: {stops[key]}")


@click.command("stop")
@click.argument("key")
@_why
@_by
def stop(key: str, why: str, by: str) -> None:
    """Let a campaign contact nobody until it is resumed.

    Workers withhold its contacts as `stopped`, from the next batch of events on.
    """
    already = stop_campaign(load_settings(), key, reason=why, actor=by)
    if already is not None:
        click.echo(f"{key} is {_describe(already)}; nothing was changed")
        return
    click.echo(f"{key} is stopped; to let it contact customers again: holdfast campaigns resume {key} --why …")


@click.command("resume")
@click.argument("key")
@_why
@_by
def resume(key: str, why: str, by: str) -> None:
    """Let a stopped campaign contact customers again.

    Its breaker counts from 0. Customers who were withheld meanwhile are not contacted by this, but on their next
    occasion: an entry, an event, or a launch.
    """
    if resume_campaign(load_settings(), key, reason=why, actor=by):
        click.echo(f"{key} is resumed")
    else:
        click.echo(f"{key} is not stopped; nothing was changed")


def _describe(stopped: StopRecord) -> str:
    return printable(f"stopped since {stopped.stopped_at:%Y-%m-%d %H:%M} by {stopped.actor}: {stopped.reason}")
