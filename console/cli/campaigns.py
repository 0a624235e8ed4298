"""`holdfast campaigns`: list, stop and resume campaigns, launch them, and show their effect."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from campaigns.errors import LedgerUnavailableError
from console.cli.exit_codes import INTERRUPTED
from console.cli.performance import performance
from console.cli.progress_bar import ProgressBar
from console.printable import printable
from console.tables import print_table
from console.use_cases.campaign_stops import find_stops, resume_campaign, stop_campaign
from console.use_cases.launches import count_requested, find_result, how_to_resume
from console.use_cases.launches import launch_campaign as begin_or_resume
from models.current_user import current_user
from streams.definitions import read_definitions
from streams.settings import load_settings

if TYPE_CHECKING:
    from campaigns.records import StopRecord
    from console.use_cases.launches import LaunchProgress
    from streams.settings import Settings


def _reject_blank(_context: click.Context, _parameter: click.Parameter, why: str) -> str:
    if not why.strip():
        raise click.BadParameter("say why, in a few words")
    return why.strip()


_why = click.option("--why", required=True, callback=_reject_blank, help="Reason recorded with your name.")
_by = click.option("--by", default=current_user, help="Name recorded; default: the current user.")


@click.group()
def campaigns() -> None:
    """Show campaigns and their effect, stop and resume them, and launch those that an operator launches."""


campaigns.add_command(performance)


@campaigns.command("list")
def list_campaigns() -> None:
    """Show every campaign, and which are stopped."""
    settings = load_settings()
    defined = read_definitions(settings).campaigns
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


@campaigns.command("stop")
@click.argument("key")
@_why
@_by
def stop(key: str, why: str, by: str) -> None:
    """Let a campaign contact no customer until it is resumed.

    Workers withhold its contacts as `stopped`, from the next batch of events on.
    """
    already = stop_campaign(load_settings(), key, reason=why, actor=by)
    if already is not None:
        click.echo(f"{key} is {_describe(already)}; nothing was changed")
        return
    click.echo(f"{key} is stopped; to let it contact customers again: holdfast campaigns resume {key} --why …")


@campaigns.command("resume")
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


@campaigns.command("launch")
@click.argument("key")
@click.option("--launch-id", help="Id of an interrupted launch to resume, or of a new launch.")
@click.option("--again", is_flag=True, help="Begin a new launch of a campaign that has been launched before.")
@click.option("--at", type=click.DateTime(["%Y-%m-%d"]), help="Event time of a new launch, UTC; default: now.")
@click.option("--by", default=current_user, help="Name recorded with the launch; default: the current user.")
def launch_campaign(key: str, launch_id: str | None, again: bool, at: datetime | None, by: str) -> None:
    """Contact all members of a campaign's segment, each as consent, cooldown and holdout allow.

    A launch contacts no customer twice, however often it is repeated under its id. A campaign that has been launched
    is launched again only with --again or under another --launch-id.
    """
    if again and launch_id is not None:
        raise click.UsageError("--again begins a launch under a new id; leave out --launch-id or --again")
    moment = at.replace(tzinfo=UTC) if at else None
    settings = load_settings()
    last: LaunchProgress | None = None

    def show(progress: LaunchProgress) -> None:
        nonlocal last
        last = progress
        bar.show(f"launch {progress.launch_id}", progress.members, progress.total)

    with ProgressBar() as bar:
        try:
            done = begin_or_resume(settings, key, by=by, at=moment, launch_id=launch_id, again=again, on_progress=show)
        except KeyboardInterrupt:
            bar.stop()
            click.echo(_describe_interruption(settings, key, last), err=True)
            sys.exit(INTERRUPTED)
    if done.unchecked:
        click.echo(f"holdfast: the facts that {key} reads were not checked: {done.unchecked}", err=True)
    if done.was_complete:
        click.echo(f"launch {done.launch_id} is complete: {done.members:,} members of {done.segment} were asked for")
    else:
        earlier = f", {done.earlier:,} of them earlier" if done.earlier else ""
        click.echo(f"launch {done.launch_id}: {done.members:,} members of {done.segment} asked for{earlier}")

    click.echo(
        f"the workers decide them; for the numbers sent and withheld: holdfast campaigns result {done.launch_id}"
    )


@campaigns.command("result")
@click.argument("launch_id")
def show_result(launch_id: str) -> None:
    """Show how many members a launch has contacted and how many not, by reason."""
    result = find_result(load_settings(), launch_id)
    launch = result.launch
    begun = f"{launch.started_at:%Y-%m-%d %H:%M} by {launch.actor}"
    click.echo(f"launch {launch_id} of {launch.campaign}, begun {begun}: {launch.members:,} members asked for")
    if result.decided:
        print_table(
            ("outcome", "reason", "customers"),
            [(outcome, reason, f"{count:,}") for (outcome, reason), count in result.decided.items()],
        )
    if result.undecided:
        click.echo(
            f"{result.undecided:,} are not decided: their requests wait for a worker, or became dead letters "
            "(holdfast dead-letters list --topic evaluations)"
        )


def _describe_interruption(settings: Settings, key: str, last: LaunchProgress | None) -> str:
    if last is None:
        return "holdfast: interrupted before the launch began; nothing was published"
    members = count_requested(settings, last)
    done = f"launch {last.launch_id} is interrupted after {members:,} of {last.total:,} members"
    return f"holdfast: {done}; {how_to_resume(key, last.launch_id)}"


def _describe(stopped: StopRecord) -> str:
    return printable(f"stopped since {stopped.stopped_at:%Y-%m-%d %H:%M} by {stopped.actor}: {stopped.reason}")
