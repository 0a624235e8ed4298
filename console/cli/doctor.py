"""`holdfast doctor`: what is wrong with a deployment, and how to correct it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import msgspec

from console.printable import printable
from console.use_cases.doctor.examination import examine
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.use_cases.doctor.examination import Examination

ATTENTION = 1


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> None:
    """Check topics, records, ledger, warehouse, definitions, models, roles, clocks and settings of a deployment.

    Each finding says why it matters and how to correct it. Nothing is changed. Exit code 0 without errors and warnings,
    1 with some.
    """
    found = examine(load_settings())
    if as_json:
        click.echo(msgspec.json.encode(asdict(found)))
    else:
        for line in describe_examination(found):
            click.echo(line)
    sys.exit(ATTENTION if found.needs_attention else 0)


def describe_examination(found: Examination) -> Iterator[str]:
    """Yield the findings, line by line."""
    for each in found.findings:
        yield printable(f"{each.severity} {each.id}: {each.what}")
        yield printable(f"    why: {each.why}")
        yield printable(f"    fix: {each.fix}")
    not_made = f", {found.not_made} could not be made" if found.not_made else ""
    count = len(found.findings)
    yield f"{count or 'no'} finding{'' if count == 1 else 's'}; {found.checks} checks were made{not_made}"
