"""The command: python -m training churn | nbo | rfm."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.inputs import FEATURE_MAPPING
from training.dataset import Source
from training.errors import TrainingError
from training.rfm import write_cuts
from training.tasks import TASKS

if TYPE_CHECKING:
    from datetime import datetime

    from training.tasks import Task

QUERY_VARIABLES = {"churn": "DWH_CHURN_TRAINING_QUERY", "nbo": "DWH_NBO_TRAINING_QUERY"}


def _parse_mapping(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, str]:
    if not value:
        return dict(FEATURE_MAPPING)
    try:
        mapping = json.loads(value)
        return {str(name): str(column) for name, column in mapping.items()}
    except (ValueError, AttributeError) as error:
        raise click.BadParameter(f"not a JSON object of feature name to column ({error})") from error


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", type=click.Choice([*TASKS, "rfm"]))
@click.option("--warehouse-url", envvar="HOLDFAST_WAREHOUSE_URL", required=True, help="Where to read the rows.")
@click.option(
    "--out",
    envvar="HOLDFAST_MODELS_DIR",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the models; each has a folder of its own in it.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same data, same model.")
@click.option("--start-date", type=click.DateTime(["%Y-%m-%d"]), default="1970-01-01", help="Leave out rows before it.")
@click.option(
    "--feature-mapping",
    envvar="ML_FEATURE_MAPPING",
    callback=_parse_mapping,
    help="JSON: feature name to column.",
)
@click.option("--query", help="Your own SQL with :start_date; default DWH_CHURN_ or DWH_NBO_TRAINING_QUERY.")
def main(
    what: str,
    warehouse_url: str,
    out: Path,
    seed: int,
    start_date: datetime,
    feature_mapping: dict[str, str],
    query: str | None,
) -> None:
    """Train churn or nbo from the warehouse, or compute the RFM cut points."""
    query = query or os.environ.get(QUERY_VARIABLES.get(what, ""))
    source = Source(warehouse_url, feature_mapping, start_date.date(), query)
    try:
        if what == "rfm":
            click.echo(f"wrote {write_cuts(source, out)}")
        else:
            _report(_train(TASKS[what], source, out, seed), out / what)
    except TrainingError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


def _train(task: Task, source: Source, out: Path, seed: int) -> dict[str, Any]:
    try:
        # Here, because it imports TensorFlow: seconds, and an extra that may not be installed.
        from training.run import train  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.exit(f"training needs {error.name}: install the extra with pip install 'holdfast[training]'")
    return train(task, source, out, seed)


def _report(manifest: dict[str, Any], folder: Path) -> None:
    for warning in manifest["training"]["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{manifest['version']} in {folder}, {manifest['training']['split']}")
    click.echo(json.dumps(manifest["metrics"], indent=2))


if __name__ == "__main__":
    main()
