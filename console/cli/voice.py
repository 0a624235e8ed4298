"""`holdfast voice`: what customers say, from the message store."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import structlog

from console.cli.exit_codes import ALERT, REFUSED
from console.printable import printable
from console.tables import print_table
from console.use_cases.concern_proposals import write_proposals
from console.use_cases.voice import (
    DISCOVERY_WEEKS,
    TREND_WEEKS,
    discover,
    follow_trends,
    list_conversations,
    report_week,
)
from console.voice_metrics import write_concern_metrics
from console.voice_page import render_page
from console.voice_views import (
    CONVERSATION_HEADINGS,
    DISCOVERY_HEADINGS,
    TREND_HEADINGS,
    conversation_rows,
    conversations_object,
    describe_examples,
    discovery_headline,
    discovery_object,
    discovery_rows,
    trend_rows,
    trends_headline,
    trends_object,
    week_object,
)
from intelligence.weeks import read_week
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import Processor

    from console.use_cases.voice import Trends

FALSE_ALERTS = 0.05
WORST = 10
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_WEEK = click.option("--week", help="ISO week to judge, as 2011-W24; default: the last that has ended.")
_FALSE_ALERTS = click.option(
    "--false-alerts",
    type=click.FloatRange(0.0001, 0.5),
    default=FALSE_ALERTS,
    show_default=True,
    help="Probability that a week without any change has an alert, over all concerns.",
)
_SHOWN = click.option(
    "--weeks", type=click.IntRange(1, 104), default=TREND_WEEKS, show_default=True, help="Weeks to show."
)


@click.group()
def voice() -> None:
    """The voice of the customer: conversations, concerns, trends and the weekly report."""


@voice.command("conversations")
@click.argument("customer")
@_JSON
def conversations(customer: str, as_json: bool) -> None:
    """Show the conversations of a customer: sentiment, satisfaction, concerns, urgency, intent to cancel."""
    found = list_conversations(load_settings(), customer)
    if as_json:
        click.echo(msgspec.json.encode(conversations_object(customer, found)))
        return
    if not found:
        click.echo(f"the message store has no message of {printable(customer)}")
        return
    print_table(CONVERSATION_HEADINGS, [tuple(map(printable, row)) for row in conversation_rows(found)])


@voice.command("discover")
@click.option(
    "--weeks",
    type=click.IntRange(1, 520),
    default=DISCOVERY_WEEKS,
    show_default=True,
    help="Weeks before the newest message that are read.",
)
@click.option(
    "--write",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a file of concerns with those found added, to check and use as HOLDFAST_CONCERNS_FILE.",
)
@_JSON
def discover_command(weeks: int, path: Path | None, as_json: bool) -> None:
    """Find concerns in the messages in which the taxonomy finds none."""
    settings = load_settings()
    with _needing_packages():
        found = discover(settings, datetime.now(UTC), weeks=weeks)
    added = write_proposals(settings, path, found.concerns) if path else []
    if as_json:
        click.echo(msgspec.json.encode(discovery_object(found)))
        return
    click.echo(discovery_headline(found))
    if found.concerns:
        print_table(DISCOVERY_HEADINGS, [tuple(map(printable, row)) for row in discovery_rows(found)])
        click.echo("\nexamples")
        for line in describe_examples(found):
            click.echo(line)
    if path:
        said = f"with {', '.join(added)}" if added else "without a new concern"
        click.echo(f"wrote {path} {said}; check its words before you set HOLDFAST_CONCERNS_FILE")


@voice.command("trends")
@_WEEK
@_SHOWN
@_FALSE_ALERTS
@click.option("--metrics", type=click.Path(dir_okay=False, path_type=Path), help="Write figures for Prometheus here.")
@_JSON
def trends(week: str | None, weeks: int, false_alerts: float, metrics: Path | None, as_json: bool) -> None:
    """Show the rate of each concern in the last complete week, and the band expected from the weeks before.

    Exit code 3 and a line of the log for each concern outside its band.
    """
    settings, now = load_settings(), datetime.now(UTC)
    with _needing_packages():
        found = follow_trends(settings, read_week(week) if week else None, now, shown=weeks, false_alerts=false_alerts)
    _log(found)
    if metrics is not None:
        write_concern_metrics(found, metrics, now)
    if as_json:
        click.echo(msgspec.json.encode(trends_object(found)))
    else:
        click.echo(printable(trends_headline(found)))
        if found.concerns and found.conversations:
            print_table(TREND_HEADINGS, [tuple(map(printable, row)) for row in trend_rows(found)])
    sys.exit(ALERT if found.alerts else 0)


@voice.command("report")
@_WEEK
@_SHOWN
@_FALSE_ALERTS
@click.option("--worst", type=click.IntRange(0, 1_000), default=WORST, show_default=True, help="Conversations to list.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The HTML file to write.")
def report(week: str | None, weeks: int, false_alerts: float, worst: int, out: Path) -> None:
    """Write the report of a week as one HTML page, without scripts. It names customers by their ids."""
    settings = load_settings()
    with _needing_packages():
        found = report_week(
            settings,
            read_week(week) if week else None,
            datetime.now(UTC),
            shown=weeks,
            false_alerts=false_alerts,
            worst=worst,
        )
    try:
        out.write_text(render_page(found), encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.BadParameter(f"{out} cannot be written: {error.strerror}", param_hint="--out") from error
    click.echo(printable(trends_headline(found.trends)))
    click.echo(f"wrote {out}")


def _log(found: Trends) -> None:
    """Write a JSON line for each alert to the standard error, for a log collector."""
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ]
    log = structlog.wrap_logger(structlog.WriteLogger(sys.stderr), processors)
    for each in found.alerts:
        log.warning("concern_alert", concern=each.concern, discovered=each.discovered, **week_object(each.latest))


@contextmanager
def _needing_packages() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        click.echo(f"error: this needs the package {error.name}; install Holdfast with the extra `training`", err=True)
        sys.exit(REFUSED)
