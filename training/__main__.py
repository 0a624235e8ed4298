"""The command: holdfast train churn | ltv | nbo | uplift | rfm | all, the same as python -m training."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from models.inputs import read_mapping
from models.leads import LEADS as LEADS_MODEL
from models.leads import WEIGHTS_FILE, LeadScorer, load_weights
from models.versions import MAPPING_FILE, VIEW_FILE
from training.data.dataset import OrdersSource, Source, check_history, check_source
from training.data.lead_rows import find_varying, read_file_rows, read_ledger_rows
from training.data.point_in_time import Windows
from training.data.rfm_cuts import write_cuts
from training.errors import NoExposuresError, TrainingError, TrainingSourceError
from training.evaluation.thresholds import Costs
from training.serving import ServedView
from training.tasks.leads import Leads
from training.tasks.registry import TASKS
from training.text.labels import read_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from training.nets.fit import Method
    from training.run import Result
    from training.task import Task

PROMOTED, MISTAKEN, REFUSED = 0, 2, 3
NETS: dict[str, Method | None] = {"better": None, "additive": "additive", "ensemble": "tabm"}
RFM, TEXT = "rfm", "sentiment"


def _parse_mapping(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, str] | None:
    if not value:
        return None
    try:
        return read_mapping(value)
    except ValueError as error:
        raise click.BadParameter(f"ML_FEATURE_MAPPING {error}") from error


DAYS = click.IntRange(30, 3650)
OUT = (
    click.option(
        "--out",
        envvar="HOLDFAST_MODELS_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        required=True,
        help="Folder of the models; each has a folder of its own in it.",
    ),
    click.option(
        "--start-date", type=click.DateTime(["%Y-%m-%d"]), default="1970-01-01", help="Ignore rows before this date."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object last."),
)
WHERE = (
    click.option("--warehouse-url", envvar="HOLDFAST_WAREHOUSE_URL", required=True, help="Warehouse to read from."),
    *OUT,
)
LEARNING = (
    click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same data, same model."),
    click.option("--net", type=click.Choice([*NETS]), default="better", show_default=True, help="The net to ship."),
    click.option("--tune", type=click.IntRange(0, 1000), default=0, help="Number of hyperparameter trials."),
    click.option("--contact-cost", type=float, default=1.0, show_default=True, help="Cost of contacting one customer."),
    click.option(
        "--save-value", type=float, default=4.0, show_default=True, help="Loss by not contacting a customer who leaves."
    ),
    click.option("--force", is_flag=True, help="Promote although a gate refuses; needs --why."),
    click.option("--why", default="", metavar="TEXT", help="The reason, kept in the history."),
)
HOW = (
    click.option(
        "--feature-mapping", envvar="ML_FEATURE_MAPPING", callback=_parse_mapping, help="JSON: feature name to column."
    ),
    click.option(
        "--input-size",
        envvar="ML_MODEL_INPUT_SIZE",
        type=click.IntRange(1),
        help="Required number of features.",
    ),
    click.option("--segment-by", metavar="COLUMN", help="Train a model for each large group by this column."),
    *LEARNING,
)
LEADS = (
    click.option(
        "--labels",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="CSV file of leads with a column `converted`; the ledger's leads when left out.",
    ),
    click.option("--ledger-url", envvar="HOLDFAST_LEDGER_URL", help="Ledger whose leads are learned from."),
    *OUT,
    *LEARNING,
)
ORDERS = (
    click.option(
        "--orders",
        metavar="TABLE_OR_QUERY",
        help="Compute features and labels from orders (customer_id, ordered_at, amount).",
    ),
    click.option(
        "--observation-window", type=DAYS, default=180, show_default=True, help="Days of orders that features cover."
    ),
    click.option("--prediction-window", type=DAYS, help="Days that a label covers.  [default: churn 90, ltv 365]"),
    click.option(
        "--minimum-orders",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Purchases a customer needs in the window.",
    ),
    click.option(
        "--cut-offs",
        type=click.IntRange(2, 60),
        default=4,
        show_default=True,
        help="Number of snapshot days, the last for evaluation.",
    ),
    click.option("--step", type=click.IntRange(1, 365), default=30, show_default=True, help="Days between cut-offs."),
    click.option(
        "--write-view", metavar="NAME", help="Create a view with these features; needs --orders. Replaces one."
    ),
)
OFFERS = (
    click.option(
        "--offers",
        type=click.IntRange(1, 1000),
        help="Highest offer id: scores per customer.  [default: that of the offers file, or of the rows]",
    ),
)
VIEW = (
    click.option(
        "--view",
        envvar="DWH_CUSTOMER_FEATURES_TABLE",
        default="customer_features_view",
        show_default=True,
        help="Table or view of the customers that workers read.",
    ),
    click.option(
        "--id-column",
        envvar="DWH_CUSTOMER_ID_COLUMN",
        default="customer_id",
        show_default=True,
        help="Column of customer ids in that view.",
    ),
)
LEDGER = (
    click.option("--ledger-url", envvar="HOLDFAST_LEDGER_URL", help="Ledger whose exposures uplift is learned from."),
    click.option(
        "--outcome-window",
        type=click.IntRange(1, 365),
        default=30,
        show_default=True,
        help="Days after an exposure in which a conversion counts for uplift.",
    ),
)
LABEL = (click.option("--label", metavar="COLUMN", help="Column of the outcome.  [default: churned, for ltv spend]"),)
SENTIMENT = (
    click.option(
        "--labels",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        required=True,
        help="CSV file with columns text and label: negative, neutral or positive.",
    ),
    WHERE[1],
    click.option("--seed", type=int, default=1, show_default=True, help="Chooses the texts that are held out."),
    *HOW[-2:],
    WHERE[-1],
)
QUERY = (click.option("--query", help="Your own SQL with :start_date; default DWH_..._TRAINING_QUERY."),)


def _with(*groups: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed([each for group in groups for each in group]):
            command = option(command)
        return command

    return add


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def train() -> None:
    """Train models from the warehouse, evaluate them on later rows, promote those that pass every gate.

    Exit codes: 0 promoted, 3 refused by a gate and kept, 2 an error in the command or the data.
    """


def _add_command(task: Task) -> None:
    """Add the command that trains a task."""

    def command(**options: Any) -> None:
        _run([task.name], options)

    groups = (
        WHERE,
        HOW,
        VIEW,
        QUERY,
        *((LABEL, ORDERS) if task.window_days else ()),
        *((LEDGER,) if task.reads_exposures else () if task.outputs else (OFFERS,)),
    )
    train.command(task.name, help=task.summary)(_with(*groups)(command))


for _task in TASKS.values():
    _add_command(_task)


@train.command("leads", help=Leads.summary)
@_with(LEADS)
def train_leads(**options: Any) -> None:
    """Train the model of leads."""
    _run([LEADS_MODEL], options)


@train.command("sentiment")
@_with(SENTIMENT)
def train_text(**options: Any) -> None:
    """Train the reading of sentiment on labelled messages: a CSV file with columns text and label.

    A label is negative, neutral or positive. A fifth of the texts is held out for the gates.
    """
    _refuse_force_without_reason(options)
    results = TrainedModels()
    try:
        results.models[TEXT] = _run_text(options)
    except TrainingError as error:
        results.failures[TEXT] = str(error)
        click.echo(f"error: {error}", err=True)
    _finish(results, options)


def _run_text(options: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    # Before TensorFlow is imported: a person who gave the wrong file learns it at once.
    labels = read_labels(options["labels"])
    try:
        # As in `_train`.
        from training.text.run import STEPS, TextRunConfig, train_sentiment  # noqa: PLC0415
    except ModuleNotFoundError as error:
        _refuse_without_extra(error)
    config = TextRunConfig(options["out"], options["seed"], options["force"], options["why"])
    with _progress(TEXT, STEPS) as advance:
        result = train_sentiment(labels, config, advance)
    return _report(TEXT, result, options) | {"seconds": round(time.monotonic() - started, 1)}


@train.command("rfm")
@_with(WHERE, VIEW, QUERY)
def train_rfm(**options: Any) -> None:
    """Compute the RFM cut points from the customers of today."""
    _run([RFM], options)


@train.command("all")
@_with(WHERE, HOW, VIEW, ORDERS, OFFERS, LEDGER)
def train_all(**options: Any) -> None:
    """Train every model and compute rfm; one that fails does not stop the others.

    Uplift is skipped while no campaign has outcomes of both arms to learn from. A model whose rows are made of orders
    alone is left out without --orders, unless its variable holds your own SQL.
    """
    possible = [name for name, task in TASKS.items() if _has_rows(task, options)]
    _run([*possible, RFM], options)


def _has_rows(task: Task, options: Mapping[str, Any]) -> bool:
    return bool(task.query or task.reads_exposures or options["orders"] or task.variable in os.environ)


@dataclass(slots=True)
class TrainedModels:
    """The result of each model of the command.

    Attributes:
        models: by name what a run gave.
        failures: by name why there was none.
        skipped: by name why there was none to be expected yet.
    """

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The command's: 2 where anything failed, 3 where a model was refused, 0."""
        if self.failures:
            return MISTAKEN
        refused = any(not each.get("serves", True) for each in self.models.values())
        return REFUSED if refused else PROMOTED


def _run(names: list[str], options: dict[str, Any]) -> None:
    _refuse_force_without_reason(options)
    if options.get("label") and options["orders"]:
        raise click.UsageError("--label names a column of rows; with --orders the label is computed")
    if options.get("write_view") and not options["orders"]:
        raise click.UsageError("--write-view needs --orders: the features of other rows are computed by your own SQL")
    results = TrainedModels()
    for name in names:
        try:
            results.models[name] = run_one(name, options)
        except TrainingError as error:
            is_skipped = isinstance(error, NoExposuresError) and len(names) > 1
            (results.skipped if is_skipped else results.failures)[name] = str(error)
            prefix = "" if len(names) == 1 else f"{name}: "
            click.echo(f"{prefix}{'skipped' if is_skipped else 'error'}: {error}", err=True)
    _finish(results, options)


def _refuse_force_without_reason(options: Mapping[str, Any]) -> None:
    if options.get("force") and not options["why"].strip():
        raise click.UsageError("--force needs --why TEXT: the reason is kept with the promotion")


def _finish(results: TrainedModels, options: Mapping[str, Any]) -> NoReturn:
    """Print the results as JSON where that was asked for, and exit with their code."""
    if options["as_json"]:
        skipped = {"skipped": results.skipped} if results.skipped else {}
        shown = {"models": results.models, "failures": results.failures, **skipped, "exit_code": results.exit_code}
        click.echo(json.dumps(shown))
    sys.exit(results.exit_code)


def run_one(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Train one model, or compute the RFM cut points; print the result and return it."""
    started = time.monotonic()
    if name == RFM:
        path = write_cuts(_source(None, options), options["view"], options["out"])
        _say(options, f"wrote {path}")
        return {"file": str(path)}
    result = _train_leads(options) if name == LEADS_MODEL else _train(_sized(TASKS[name], options), options)
    return _report(name, result, options) | {"seconds": round(time.monotonic() - started, 1)}


def _report(name: str, result: Result, options: dict[str, Any]) -> dict[str, Any]:
    described = _describe(result)
    for warning in described["warnings"]:
        click.echo(f"{name}: warning: {warning}", err=True)
    for line in _format_result(described):
        _say(options, line)
    return described


def _say(options: dict[str, Any], line: str) -> None:
    if not options["as_json"]:
        click.echo(line)


def _source(task: Task | None, options: dict[str, Any]) -> Source:
    query = options.get("query") or (os.environ.get(task.variable) if task else None)
    source = Source(
        options["warehouse_url"],
        options.get("feature_mapping"),
        options["start_date"].date(),
        query,
        input_size=options.get("input_size"),
        window_days=_window(task, options),
        ledger_url=options.get("ledger_url"),
        until=datetime.now(UTC) if task and task.reads_exposures else None,
    )
    if task is None or not options.get("orders") or not task.window_days:
        return source
    days = options["prediction_window"] or task.window_days
    windows = Windows(options["observation_window"], days, options["minimum_orders"])
    return replace(source, orders=OrdersSource(options["orders"], windows, options["cut_offs"], options["step"]))


def _window(task: Task | None, options: dict[str, Any]) -> int | None:
    """Return the days of an outcome that the command states; None where it does not."""
    if task is None or task.reads_exposures:
        return options.get("outcome_window")
    return options.get("prediction_window") if task.window_days else None


def _sized(task: Task, options: dict[str, Any]) -> Task:
    if options.get("label"):
        return task.labelled(options["label"])
    return task if task.outputs or task.reads_exposures or not options.get("offers") else task.sized(options["offers"])


def _train(task: Task, options: dict[str, Any]) -> Result:
    source = _source(task, options)
    check_source(source, task)
    check_history(source)
    return _learn(task, source, ServedView(options["view"], options["id_column"], options.get("write_view")), options)


def _train_leads(options: dict[str, Any]) -> Result:
    """Train from a file, or else from the ledger."""
    if options["labels"]:
        rows = read_file_rows(options["labels"])
    elif options["ledger_url"]:
        rows = read_ledger_rows(options["ledger_url"], options["start_date"].date())
    else:
        raise TrainingSourceError("give --labels FILE, or set HOLDFAST_LEDGER_URL to learn from the ledger's leads")
    by_points = LeadScorer(load_weights(options["out"] / WEIGHTS_FILE))
    mapping, left_out = find_varying(rows)
    source = Source(options["ledger_url"] or "", mapping, options["start_date"].date(), rows=rows)
    for name in left_out:
        click.echo(f"leads: warning: the feature {name} has one value or none and is left out", err=True)
    return _learn(Leads(by_points), source, None, {**options, "segment_by": None})


def _learn(task: Task, source: Source, view: ServedView | None, options: dict[str, Any]) -> Result:
    try:
        # Here, because it imports TensorFlow: seconds, and an extra that may not be installed.
        from training.nets.learning import TrainConfig  # noqa: PLC0415
        from training.run import RunConfig  # noqa: PLC0415
        from training.run import train as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        _refuse_without_extra(error)
    config = RunConfig(
        out=options["out"],
        learning=TrainConfig(options["seed"], NETS[options["net"]], options["tune"], options["segment_by"]),
        force=options["force"],
        why=options["why"],
        costs=Costs(options["contact_cost"], options["save_value"]),
        view=view,
    )
    with _progress(task.name, config.count_steps(task)) as advance:
        return run(task, source, config, advance)


def _refuse_without_extra(error: ModuleNotFoundError) -> NoReturn:
    click.echo(f"error: training needs the package {error.name}; run `make .venv/all` in its folder", err=True)
    sys.exit(MISTAKEN)


@contextmanager
def _progress(name: str, steps: int) -> Iterator[Callable[[str], None]]:
    """Show a progress bar on a terminal; what is lent advances it by a step."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(name, total=steps)
        yield lambda step: progress.update(bar, advance=1, description=step)


def _describe(result: Result) -> dict[str, Any]:
    manifest = result.manifest
    verdict = (
        "refused" if not result.promoted else "unchanged" if result.before == result.version.version else "promoted"
    )
    if result.promoted and result.refusals:
        verdict = "promoted by force"
    return {
        "version": result.version.version,
        "folder": str(result.version.folder),
        "verdict": verdict,
        "serves": result.promoted,
        "before": result.before,
        "refusals": [*result.refusals, *([result.unservable] if result.unservable else [])],
        "notes": _list_notes(result),
        "method": manifest["method"],
        "split": manifest["training"]["split"],
        "warnings": manifest["training"]["warnings"],
        "gates": manifest["gates"],
        "metrics": manifest["metrics"],
    }


def _format_result(described: dict[str, Any]) -> list[str]:
    lines = [
        f"{described['version']}: {described['verdict']}, {described['split']}",
        f"  {described['method']}; report, card and figures are in {described['folder']}",
    ]
    marks = {True: "passed ", False: "refused", None: "n/a    "}
    lines += [f"  {marks[gate['passed']]}  {gate['name']}: {gate['sentence']}" for gate in described["gates"]]
    return lines + [f"  {note}" for note in described["notes"]]


def _list_notes(result: Result) -> list[str]:
    if not result.unservable:
        return list(result.notes)
    view = f"create the view in {VIEW_FILE} there, name it in DWH_CUSTOMER_FEATURES_TABLE, "
    created = view if (result.version.folder / VIEW_FILE).exists() else ""
    promote = f"holdfast models promote {result.manifest['name']} {result.version.version}"
    return [
        f"not promoted, workers could not serve it: {result.unservable}",
        f"next: {created}set ML_FEATURE_MAPPING to the content of {MAPPING_FILE} there, then {promote}",
    ]


def main() -> None:
    """Run python -m training."""
    train(prog_name="python -m training")


if __name__ == "__main__":
    main()
