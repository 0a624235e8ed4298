"""`holdfast warehouse` and `holdfast init`: the data warehouse, and a folder to start from."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.tables import print_table
from console.use_cases.starting_folder import write_starting_folder
from console.use_cases.warehouse_check import TYPES, check_warehouse
from console.warehouse import load_example
from streams.settings import load_settings

if TYPE_CHECKING:
    from datetime import datetime

    from console.use_cases.warehouse_check import SampleReport

EXAMPLE = Path("examples/online_retail")
UNUSABLE = 2

SHOWN_VALUES = 5


@click.group()
def warehouse() -> None:
    """Check the data warehouse, and load the example."""


@warehouse.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(as_json: bool) -> None:
    """Show the columns of the view, how each is used, and what is missing.

    Exit code 2 if a worker would not start on this view.
    """
    report = check_warehouse(load_settings())
    if as_json:
        click.echo(json.dumps(asdict(report)))
        sys.exit(UNUSABLE if report.problems else 0)
    click.echo(f"{report.view}: {len(report.columns)} columns")
    rows = [(each.name, TYPES[each.kind], ", ".join(each.uses) or "a fact for rules") for each in report.columns]
    print_table(("column", "type", "used as"), rows)
    for sentence in describe_sample(report.sample):
        click.echo(sentence)
    for sentence in report.missing:
        click.echo(f"missing: {sentence}")
    for sentence in report.problems:
        click.echo(f"problem: {sentence}", err=True)
    click.echo("a worker would not start" if report.problems else "a worker can start")
    sys.exit(UNUSABLE if report.problems else 0)


def describe_sample(sample: SampleReport) -> list[str]:
    """Return what the sampled rows say of consent, how many values cannot be read, and who has several rows."""
    said = [
        f"{each.column}: {each.given:,} of {each.customers:,} customers consent, {each.denied:,} do not"
        + ("; not contacted, because the value is neither: " if each.unreadable else "")
        + ", ".join(f"{count:,} {value}" for value, count in islice(each.unreadable.items(), SHOWN_VALUES))
        for each in sample.consent
        if each.customers
    ]
    lost = [
        f"{name}: {count:,} of {sample.rows:,} values cannot be read and count as null; let the view return text"
        for name, count in sample.unreadable.items()
    ]
    doubled = f"customers with more than one row: {sample.duplicates}; their events become dead letters"
    failed = f"the rows were not all checked: {sample.error}"
    return [*said, *lost, *([doubled] if sample.duplicates else []), *([failed] if sample.error else [])]


@warehouse.command("load-example")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2011-06-01",
    show_default=True,
    help="First date that is not loaded.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=EXAMPLE,
    show_default=True,
    help="Folder with the files of the example.",
)
def load(until: datetime, folder: Path) -> None:
    """Load real customers of an online retailer into an empty warehouse."""
    summary = load_example(load_settings().warehouse_url, until.date(), folder)
    click.echo(f"{summary.customers:,} customers with {summary.orders:,} orders before {summary.business_date}")


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write a folder to start from: settings, and a segment and a campaign on a column of your view."""
    written = write_starting_folder(load_settings(), folder)
    for file in written.files:
        click.echo(f"wrote {file}")
    click.echo(f"The segment is: {written.rule}. Edit it, then read the settings: . {folder / 'settings.env'}")
    if not written.consented:
        click.echo(
            "No column says who may be contacted: name one in "
            f"{folder / 'definitions' / 'campaigns' / 'channels.json'} "
            "(consent_column, and consent_values where it is not boolean)."
        )
