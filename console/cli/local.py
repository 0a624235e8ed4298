"""`holdfast up` and `demo`: services on this machine. They need the extra `local`."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path

import click


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var"),
    show_default=True,
    help="Folder for the services' data.",
)
def up(data: Path) -> None:
    """Run Kafka, Redis and PostgreSQL on loopback until Ctrl-C, and print the settings to connect to them."""
    from console.embedded.up import run_until_stopped  # noqa: PLC0415 - needs the extra `local`, which a production worker has not

    sys.exit(run_until_stopped(data))


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help="Folder for the demo's data.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object last.")
@click.option("--keep", is_flag=True, help="Keep the services running and print commands to explore them.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2011-12-10",
    show_default=True,
    help="First day that is not replayed.",
)
def demo(data: Path, as_json: bool, keep: bool, until: datetime) -> None:
    """Replay half a year of a real retailer through real services; check that no trigger is lost or duplicated."""
    from console.demo.run import run_demo  # noqa: PLC0415 - needs the extra `local`, which a production worker has not

    sys.exit(run_demo(data, until=date(until.year, until.month, until.day), as_json=as_json, keep=keep))
