"""The operator's view of models: `holdfast models`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from psycopg import sql

from console.cli.experiments import experiment
from console.model_limits import choose_monitored
from console.model_metrics import write_metrics
from console.model_views import (
    COHORT_HEADINGS,
    LIST_HEADINGS,
    as_object,
    cohort_rows,
    compare_rows,
    drift_rows,
    format_preview,
    format_promoted,
    format_promotion,
    history_object,
    list_rows,
    monitor_object,
    preview_object,
)
from console.tables import print_table
from console.use_cases.model_versions import find_home, find_homes, find_models_dir, find_version
from console.use_cases.promotions import PromotionRequest, preview_promotion, promote_model, roll_back_model
from models.changeovers import PROMOTION_MODES
from models.current_user import current_user
from models.errors import VersionError
from models.monitoring_record import MonitoringRecord, write_monitoring
from models.routing import load_model
from models.versions import (
    current_version,
    list_names,
    list_versions,
    prune,
    read_history,
    read_version,
    verify,
)
from streams.settings import load_settings
from training.data.dataset import Source
from training.monitoring.drift import AlertThresholds
from training.monitoring.monitor import monitor_model
from training.report.model_card import write_model_card
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from console.use_cases.promotions import Promoted
    from models.changeovers import PromotionMode
    from streams.settings import Settings
    from training.monitoring.monitor import MonitorResult

REFUSED, RETRAIN = 2, 4
THRESHOLDS = AlertThresholds()
GROUPS_SHOWN = 20
CUSTOMERS_AT_MOST = 100_000
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_BY = click.option("--by", default=current_user, help="The user in the history; you by default.")
_MODE = click.option(
    "--mode",
    type=click.Choice(PROMOTION_MODES),
    help="Which entries and exits at a customer's first evaluation under the version may fire campaigns: none; those "
    "that the version before would have made, too; or all.",
)
_YES = click.option("--yes", is_flag=True, help="Although it moves more customers than HOLDFAST_PROMOTION_SHARE.")


@click.group()
def models() -> None:
    """Model versions: list, compare, promote, roll back, verify, prune, monitor, and experiments with them."""


models.add_command(experiment)


@models.command("list")
@click.argument("name", required=False)
@_JSON
def list_all(name: str | None, as_json: bool) -> None:
    """Show every version, the one added last at the bottom, and which one serves."""
    settings = load_settings()
    homes = [find_home(settings, name)] if name else find_homes(settings)
    if as_json:
        click.echo(
            json.dumps(
                {home.name: [as_object(each, current_version(home)) for each in list_versions(home)] for home in homes}
            )
        )
        return
    rows = [row for home in homes for row in list_rows(list_versions(home), current_version(home))]
    if rows:
        print_table(LIST_HEADINGS, rows)
    else:
        click.echo(f"no models in {find_models_dir(settings)}; train one")


@models.command()
@click.argument("name")
@click.argument("version", required=False)
@_JSON
def show(name: str, version: str | None, as_json: bool) -> None:
    """Show a version's card and the model's history; the version that serves, when none is named."""
    home = find_home(load_settings(), name)
    found = find_version(home, version)
    history = read_history(home)
    if as_json:
        click.echo(json.dumps(as_object(found, current_version(home)) | {"history": history_object(history)}))
        return
    task = TASKS.get(str(found.manifest.get("name")))
    click.echo(write_model_card(found.manifest, task))
    click.echo(f"folder: {found.folder}\nserves: {'yes' if found.version == current_version(home) else 'no'}")
    click.echo("\n".join(["history:", *(f"  {format_promotion(line)}" for line in history)]))


@models.command()
@click.argument("name")
@click.argument("one")
@click.argument("other", required=False)
@_JSON
def compare(name: str, one: str, other: str | None, as_json: bool) -> None:
    """Show two versions side by side; the second is the one that serves, when it is not named.

    Metrics are those of each version's own evaluation: only metrics of the same days are comparable.
    """
    home = find_home(load_settings(), name)
    pair = [find_version(home, one), find_version(home, other)]
    if as_json:
        click.echo(json.dumps([as_object(each, current_version(home)) for each in pair]))
        return
    print_table(("", pair[0].version, pair[1].version, "difference"), compare_rows(pair[0].manifest, pair[1].manifest))


@models.command("promote")
@click.argument("name")
@click.argument("version")
@click.option(
    "--force",
    is_flag=True,
    help="Although a gate refused it; needs --why. A version that cannot be loaded is refused all the same.",
)
@click.option("--why", default="", help="The reason, kept in the history.")
@_BY
@_MODE
@_YES
@click.option("--preview", is_flag=True, help="Print how many of today's customers would change, and promote nothing.")
@_JSON
def promote_version(  # noqa: PLR0913 - one parameter for each option
    *,
    name: str,
    version: str,
    force: bool,
    why: str,
    by: str,
    mode: PromotionMode | None,
    yes: bool,
    preview: bool,
    as_json: bool,
) -> None:
    """Promote a version. Workers load it within seconds.

    Where it would move more customers across a band or a segment than HOLDFAST_PROMOTION_SHARE, it needs --yes.
    """
    settings = load_settings()
    home = find_home(settings, name)
    if preview:
        found = preview_promotion(settings, home, version)
        shown = preview_object(found) if as_json else format_preview(found, settings.promotion_share)
        click.echo(json.dumps(shown) if as_json else "\n".join(shown))
        return
    request = PromotionRequest(by, why, mode, accepted=yes, forced=force)
    _report(promote_model(settings, home, version, request), f"{version} serves already", as_json)


@models.command()
@click.argument("name")
@click.option("--to", help="A version that served before; the one before the present one, when left out.")
@click.option("--why", default="", help="The reason, kept in the history.")
@_BY
@_MODE
@_YES
@_JSON
def rollback(
    *, name: str, to: str | None, why: str, by: str, mode: PromotionMode | None, yes: bool, as_json: bool
) -> None:
    """Let the version serve again that was promoted before the present one; with mode new, if not said otherwise.

    Only with --mode emit it needs --yes where it would move more customers than HOLDFAST_PROMOTION_SHARE.
    """
    settings = load_settings()
    home = find_home(settings, name)
    done = roll_back_model(settings, home, to, PromotionRequest(by, why, mode, accepted=yes))
    _report(done, f"{to} serves already", as_json)


@models.command("verify")
@click.argument("name", required=False)
@_JSON
def verify_files(name: str | None, as_json: bool) -> None:
    """Check every file of every version against its manifest; exit code 2 when one is missing or changed."""
    settings = load_settings()
    homes = [find_home(settings, name)] if name else find_homes(settings)
    wrong = {version: _find_wrong(home, version) for home in homes for version in list_names(home)}
    problems = [line for lines in wrong.values() for line in lines]
    if as_json:
        click.echo(json.dumps(wrong))
    else:
        click.echo("\n".join(problems) or f"{len(wrong)} versions, every file as its manifest says")
    sys.exit(REFUSED if problems else 0)


@models.command("prune")
@click.argument("name")
@click.option("--keep-last", type=click.IntRange(0), required=True, help="Keep so many of those added last.")
@click.option("--keep", multiple=True, help="A version to keep besides; may be repeated.")
@_JSON
def prune_versions(name: str, keep_last: int, keep: tuple[str, ...], as_json: bool) -> None:
    """Delete old versions; never the one that serves, its parent, the one that a rollback leads to, or one in trial."""
    gone = prune(find_home(load_settings(), name), keep_last=keep_last, keep=keep)
    click.echo(json.dumps({"deleted": gone}) if as_json else f"deleted {', '.join(gone) or 'nothing'}")


@models.command()
@click.argument("name", callback=choose_monitored)
@click.option("--version", help="Another version than the one that serves.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only outcomes of this date or later.")
@click.option("--by", help="Also report groups of customers by this column of the outcomes.")
@click.option("--query", help="Your own SQL of outcomes with :start_date; default as in training.")
@click.option("--population", help="Your own SQL of today's customers; default the features view.")
@click.option("--auc-floor", type=float, default=THRESHOLDS.auc, show_default=True, help="Lowest AUC allowed.")
@click.option("--metrics", type=click.Path(dir_okay=False, path_type=Path), help="Write figures for Prometheus here.")
@_JSON
def monitor(  # noqa: PLR0913 - one parameter for each option
    *,
    name: str,
    version: str | None,
    since: datetime | None,
    by: str | None,
    query: str | None,
    population: str | None,
    auc_floor: float,
    metrics: Path | None,
    as_json: bool,
) -> None:
    """Check a served model by today's customers and by matured outcomes; `holdfast status` shows the latest result.

    Exit code 0: fine; 4: retrain; 2: no check had enough rows.
    """
    settings = load_settings()
    found = find_version(find_home(settings, name), version)
    result = monitor_model(
        found,
        load_model(found.folder, settings.feature_mapping),
        TASKS[name].restored(found.manifest),
        _source(settings, query or getattr(settings, f"{name}_training_query", None), since),
        served=population or _draw_customers(settings),
        thresholds=replace(THRESHOLDS, auc=auc_floor),
        by=by,
    )
    now = datetime.now(UTC)
    if metrics:
        write_metrics(result, metrics, now)
    if version is None:
        _record(found.folder.parents[1], result, now)
    if as_json:
        click.echo(json.dumps(monitor_object(result)))
    else:
        _print_result(result)
    sys.exit({"fine": 0, "retrain": RETRAIN}.get(result.verdict, REFUSED))


def _find_wrong(home: Path, version: str) -> list[str]:
    try:
        return verify(read_version(home, version))
    except VersionError as error:
        return [str(error)]


def _report(done: Promoted, nothing: str, as_json: bool) -> None:
    if as_json:
        lines = history_object([done.line] if done.line else [])
        moved = {} if done.preview is None else {"customers": done.preview.customers, "moved": done.preview.moved}
        click.echo(json.dumps([{**line, **moved} for line in lines]))
    elif done.line is None:
        click.echo(nothing)
    else:
        click.echo("\n".join(format_promoted(done.line, done.preview)))


def _record(home: Path, result: MonitorResult, now: datetime) -> None:
    """Keep the result for `holdfast status`; a folder that cannot be written costs the record alone."""
    reasons = tuple(each.sentence for each in result.findings if each.verdict != "fine")
    at, drift = now.isoformat(timespec="seconds"), max(result.drift.values(), default=None)
    try:
        write_monitoring(home, MonitoringRecord(result.version, at, result.verdict, reasons, drift))
    except VersionError as error:
        click.echo(f"holdfast: `holdfast status` will not show this result: {error}", err=True)


def _source(settings: Settings, query: str | None = None, since: datetime | None = None) -> Source:
    first = since.date() if since else date.min
    return Source(
        settings.warehouse_url,
        settings.feature_mapping,
        first,
        query,
        ledger_url=settings.ledger_url,
        until=datetime.now(UTC),
    )


def _draw_customers(settings: Settings) -> str:
    """Return a query of all customers, or of a draw that is the same each time where there are very many."""
    table = sql.Identifier(*settings.features_table.split("."))
    query = sql.SQL("SELECT * FROM {} ORDER BY md5(customer_id::text) LIMIT {}").format(table, CUSTOMERS_AT_MOST)
    return query.as_string(None)


def _print_result(result: MonitorResult) -> None:
    click.echo(f"{result.model} {result.version}: {result.verdict}")
    print_table(
        ("question", "answer", "because"), [(each.check, each.verdict, each.sentence) for each in result.findings]
    )
    if result.drift:
        click.echo(f"\nDrift of {result.customers:,} customers against the training snapshot:")
        print_table(("column", "PSI"), drift_rows(result))
    if result.periods:
        click.echo(f"\nOutcomes from {result.since} on, by month:")
        print_table(COHORT_HEADINGS, cohort_rows(result.periods))
    if result.groups:
        click.echo("\nThe same by group, the largest first; small groups are unreliable:")
        print_table(COHORT_HEADINGS, cohort_rows(sorted(result.groups, key=lambda each: -each.rows)[:GROUPS_SHOWN]))
