"""`holdfast replay`: a past period decided again, and compared with what was sent."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import msgspec

from console.cli.exit_codes import INTERRUPTED
from console.cli.progress_bar import ProgressBar
from console.printable import printable
from console.replay_page import render_page
from console.replay_views import (
    COUNT_HEADINGS,
    REASON_HEADINGS,
    as_object,
    count_rows,
    describe_examples,
    headline,
    reason_rows,
    sentences,
)
from console.tables import print_table
from console.use_cases.replay import Ledger, ReplayPlan, drop_replay, find_replays, replaying
from models.current_user import current_user
from segments.engine import MODES
from streams.errors import ReplayError
from streams.observability.logs import configure_logs
from streams.runtime.history_batches import TOGETHER_MS
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from campaigns.postgres_replays import ReplayRecord
    from console.use_cases.replay import FinishedReplay, Replayed
    from segments.engine import Mode
    from streams.settings import Settings

REASONS_SHOWN = 12
NICE = 10


class Moment(click.ParamType):
    """A time of ISO 8601."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a time of ISO 8601; without a zone it is UTC."""
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write it as 2026-03-01 or 2026-03-01T06:30+01:00", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def read_models(_context: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    """Return the versions of options MODEL=VERSION, by model."""
    pairs = [each.partition("=") for each in given]
    if wrong := [name for name, equals, version in pairs if not (name and equals and version)]:
        raise click.BadParameter(f"{wrong[0]!r} is not MODEL=VERSION, as churn=2026-03-01")
    return {name: version for name, _, version in pairs}


@click.group(invoke_without_command=True)
@click.option(
    "--from", "begin", type=Moment(), help="Replay records of this time and later, by their Kafka timestamps."
)
@click.option("--to", "end", type=Moment(), help="Replay records before this time.")
@click.option("--customers", help="Only these customers' events, ids separated by commas.")
@click.option(
    "--customers-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only these customers' events, one id a line.",
)
@click.option(
    "--definitions",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Decide with the definitions of this folder; default: HOLDFAST_DEFINITIONS_DIR.",
)
@click.option(
    "--models", multiple=True, callback=read_models, help="Decide with this version of a model: churn=VERSION."
)
@click.option(
    "--ledger",
    type=click.Choice(get_args(Ledger)),
    default="snapshot",
    show_default=True,
    help="Begin with what the ledger held at --from, or with nothing.",
)
@click.option(
    "--first-evaluations",
    type=click.Choice(MODES),
    default="emit",
    show_default=True,
    help="What a customer's first evaluation may fire under rules that were not in force at --from.",
)
@click.option(
    "--together",
    type=click.IntRange(0, 86_400_000),
    default=TOGETHER_MS,
    show_default=True,
    metavar="MS",
    help="Decide together what arrived of a customer within this time, as a batch of a worker does; longer is faster.",
)
@click.option("--resume", metavar="ID", help="Resume this replay in place of a new one.")
@click.option("--keep", is_flag=True, help="Keep its decisions; `holdfast replay drop` removes them.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--live", is_flag=True, help="Then let the workers decide what is missing, as of today. Asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--why", default="", help="Reason recorded with --live.")
@click.option("--by", default=current_user, help="Name recorded; default: the current user.")
@click.pass_context
def replay(  # noqa: PLR0913 - each is one choice of the operator
    context: click.Context,
    *,
    begin: datetime | None,
    end: datetime | None,
    customers: str | None,
    customers_file: Path | None,
    definitions: Path | None,
    models: Mapping[str, str],
    ledger: Ledger,
    first_evaluations: Mode,
    together: int,
    resume: str | None,
    keep: bool,
    report: Path | None,
    as_json: bool,
    live: bool,
    yes: bool,
    why: str,
    by: str,
) -> None:
    """Decide a past period again, and compare it with what was sent.

    Nothing live changes: the decisions go to a ledger of their own, and what would have been sent to the topic
    campaign-triggers.shadow. See docs/replay.md.
    """
    if context.invoked_subcommand is not None:
        return
    if resume is None and (begin is None or end is None):
        raise click.UsageError("name the period with --from and --to, or a replay with --resume")
    if live and not why.strip():
        raise click.UsageError("--live needs --why: the reason, in a few words")
    if live and not yes and not sys.stdin.isatty():
        raise click.UsageError("--live asks before it sends, and there is no terminal: add --yes")
    if report is not None and not report.parent.is_dir():
        raise click.BadParameter(f"there is no folder {report.parent}", param_hint="--report")
    settings = load_settings()
    configure_logs("error")
    unset = datetime.fromtimestamp(0, UTC)
    plan = ReplayPlan(
        begin or unset,
        end or unset,
        _read_customers(customers, customers_file),
        str(definitions.resolve()) if definitions else None,
        models,
        ledger,
        first_evaluations,
        together,
    )
    # Workers on the same machine come first.
    os.nice(NICE)
    with _replaying(settings, plan, by, resume, keep=keep) as done:
        if report is not None:
            _write(report, done.summary)
        _show(done.summary, as_json=as_json)
        if live:
            _send(done, settings, by=by, why=why.strip(), asks=not yes)


@replay.command("list")
def list_them() -> None:
    """Show the replays that were interrupted or kept."""
    found = find_replays(load_settings())
    if not found:
        click.echo("no replays are left")
        return
    print_table(
        ("replay", "from", "to", "records", "state", "by"),
        [_describe(replay_id, each) for replay_id, each in found.items()],
    )


def _describe(replay_id: str, found: ReplayRecord | None) -> tuple[str, ...]:
    if found is None:
        return replay_id, "", "", "", "not begun", ""
    period = (f"{found.begin:%Y-%m-%d %H:%M}", f"{found.end:%Y-%m-%d %H:%M}")
    state = "kept" if found.decided_at else "interrupted"
    return replay_id, *period, f"{found.records:,}", state, printable(found.actor)


@replay.command("drop")
@click.argument("replay_id")
def drop(replay_id: str) -> None:
    """Remove the decisions of a replay that was interrupted or kept."""
    drop_replay(load_settings(), replay_id)
    click.echo(f"replay {replay_id} is dropped")


@contextmanager
def _replaying(
    settings: Settings, plan: ReplayPlan, by: str, resume: str | None, *, keep: bool
) -> Iterator[FinishedReplay]:
    begun: list[str] = []
    with ProgressBar() as bar:
        try:
            with replaying(
                settings,
                plan,
                by=by,
                resume=resume,
                keep=keep,
                on_begin=begun.append,
                on_progress=lambda records, total: bar.show(f"replay {begun[0]}", records, total),
                on_wait=lambda why: click.echo(f"replay {begun[0]}: {why}", err=True),
            ) as done:
                bar.stop()
                yield done
        except KeyboardInterrupt:
            bar.stop()
            resumes = f"; go on with `holdfast replay --resume {begun[0]}`" if begun else ""
            click.echo(f"holdfast: interrupted{resumes}", err=True)
            sys.exit(INTERRUPTED)
    if keep:
        click.echo(
            f"its decisions are kept: holdfast replay --resume {begun[0]}, holdfast replay drop {begun[0]}", err=True
        )


def _read_customers(listed: str | None, file: Path | None) -> tuple[str, ...] | None:
    if listed is None and file is None:
        return None
    found = (listed or "").split(",")
    if file is not None:
        try:
            found += file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"{file} cannot be read: {error}", param_hint="--customers-file") from error
    customers = tuple(dict.fromkeys(each.strip() for each in found if each.strip()))
    if not customers:
        raise ReplayError("--customers names no customer")
    return customers


def _write(path: Path, found: Replayed) -> None:
    try:
        path.write_text(render_page(found), encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="--report") from error


def _show(found: Replayed, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(as_object(found)))
        return
    click.echo(headline(found))
    if rows := count_rows(found):
        print_table(COUNT_HEADINGS, [tuple(map(printable, row)) for row in rows])
    if rows := reason_rows(found)[:REASONS_SHOWN]:
        click.echo()
        print_table(REASON_HEADINGS, [tuple(map(printable, row)) for row in rows])
    if examples := list(describe_examples(found)):
        click.echo("\nexamples")
        for line in examples:
            click.echo(f"  {printable(line)}")
    if said := list(sentences(found)):
        click.echo()
        for line in said:
            click.echo(printable(line))


def _send(done: FinishedReplay, settings: Settings, *, by: str, why: str, asks: bool) -> None:
    missing = done.summary.missing
    if not missing:
        click.echo("nothing is missing: nothing is sent", err=True)
        return
    for campaign, count in missing.items():
        click.echo(f"missing  {campaign}: {count:,}", err=True)
    total = sum(missing.values())
    question = f"let the workers decide these {total:,} under today's consent and limits?"
    if asks and not click.confirm(question, err=True):
        click.echo("nothing is sent", err=True)
        return
    sent = done.send_missing(settings, by=by, why=why, at=datetime.now(UTC))
    click.echo(f"requested {sent:,}; the workers decide them now: holdfast explain CUSTOMER", err=True)
