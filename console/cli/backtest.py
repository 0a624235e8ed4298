"""`holdfast backtest`: other definitions or models on the recorded past, before they are activated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from console.backtest_page import render_page
from console.backtest_views import (
    ESTIMATE_HEADINGS,
    SENT_HEADINGS,
    as_object,
    estimate_rows,
    headline,
    sent_rows,
    sentences,
    unsupported_rows,
)
from console.cli.exit_codes import INTERRUPTED
from console.cli.progress_bar import ProgressBar
from console.cli.replay import Moment, read_models
from console.printable import printable
from console.tables import print_table
from console.use_cases.backtests import backtesting
from console.use_cases.replay import ReplayPlan
from models.current_user import current_user
from streams.observability.logs import configure_logs
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from console.use_cases.backtests import Backtest


@click.command("backtest")
@click.option("--from", "begin", type=Moment(), required=True, help="Records of this time and later.")
@click.option("--to", "end", type=Moment(), required=True, help="Records before this time.")
@click.option(
    "--definitions",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with the new segments and campaigns; default: HOLDFAST_DEFINITIONS_DIR.",
)
@click.option("--models", multiple=True, callback=read_models, help="The new version of a model: churn=VERSION.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backtest(
    begin: datetime,
    end: datetime,
    definitions: Path | None,
    models: Mapping[str, str],
    report: Path | None,
    as_json: bool,
) -> None:
    """Show what new segments, campaigns or models would have sent, at what cost, and to what effect.

    Nothing live changes. The effect is estimated where the recorded contacts and control groups say something about
    it; for the share of which they do not, no estimate is made. See docs/backtest.md.
    """
    settings = load_settings()
    configure_logs("error")
    folder = str(definitions.resolve()) if definitions else None
    plan = ReplayPlan(begin, end, definitions_dir=folder, models=models)
    begun: list[str] = []
    with ProgressBar() as bar:
        try:
            with backtesting(
                settings,
                plan,
                by=current_user(),
                on_begin=begun.append,
                on_progress=lambda records, total: bar.show("backtest", records, total),
                on_wait=lambda why: click.echo(f"backtest: {why}", err=True),
            ) as found:
                bar.stop()
                if report is not None:
                    _write(report, found)
                _show(found, as_json=as_json)
        except KeyboardInterrupt:
            bar.stop()
            drop = f"; remove what it left: holdfast replay drop {begun[0]}" if begun else ""
            click.echo(f"holdfast: interrupted{drop}", err=True)
            sys.exit(INTERRUPTED)


def _write(path: Path, found: Backtest) -> None:
    try:
        path.write_text(render_page(found), encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="--report") from error


def _show(found: Backtest, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(as_object(found)))
        return
    click.echo(headline(found))
    if rows := sent_rows(found):
        click.echo()
        print_table(SENT_HEADINGS, [tuple(map(printable, row)) for row in rows])
        click.echo()
        print_table(ESTIMATE_HEADINGS, [tuple(map(printable, row)) for row in estimate_rows(found)])
    if rows := unsupported_rows(found.estimate):
        click.echo("\nno estimate is possible:")
        for reason, count, share in rows:
            click.echo(f"- {count} opportunities ({share}): {reason}")
    click.echo()
    for line in sentences(found):
        click.echo(printable(f"- {line}"))
