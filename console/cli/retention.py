"""`holdfast forget`: erase customers. `holdfast prune`: delete what is older than its retention."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from console.cli.progress_bar import ProgressBar
from console.erasure_views import describe_receipt
from console.use_cases.erasure import erase_customers, lift_erasure
from console.use_cases.pruning import prune_ledger
from models.current_user import current_user
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.use_cases.pruning import PruneReport

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.command()
@click.argument("customer_ids", nargs=-1, metavar="CUSTOMER...")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of more customers, one id a line.",
)
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept with the tombstone: without the id.")
@click.option("--by", default=current_user, help="Who asks for it; default: the current user.")
@click.option("--lift", is_flag=True, help="Let customers come back instead: their events count again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def forget(customer_ids: tuple[str, ...], file: Path | None, why: str, by: str, lift: bool, as_json: bool) -> None:
    """Erase customers from ledger and cache, and leave out every later event of theirs; see docs/retention.md.

    The workers keep running. It prints a receipt, which also names what others must erase.
    """
    named = [*customer_ids, *(file.read_text(encoding="utf-8").split("\n") if file else ())]
    wanted = [each.strip("\r") for each in named]
    settings = load_settings()
    if lift:
        lifted = lift_erasure(settings, wanted)
        click.echo(msgspec.json.encode({"lifted": lifted}) if as_json else f"tombstones removed: {lifted:,}")
        return
    receipt = erase_customers(settings, wanted, by=by, why=why)
    if as_json:
        click.echo(msgspec.json.encode(receipt))
        return
    for line in describe_receipt(receipt, settings.cache_ttl_s):
        click.echo(line)


def _read_period(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    read = re.fullmatch(r"(\d+)([smhd])", text)
    if read is None or not int(read[1]):
        raise click.BadParameter(f"{text!r} is not a number and a unit, as 30m, 1h or 1d")
    return int(read[1]) * _UNITS[read[2]]


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count the rows.")
@click.option("--every", metavar="PERIOD", callback=_read_period, help="Go on, once in each period: 30m, 1h, 1d.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run.")
def prune(dry_run: bool, every: float | None, as_json: bool) -> None:
    """Delete the rows of the ledger whose retention is over; see docs/retention.md.

    The workers keep running: it deletes few rows at a time, and pauses. It may be interrupted at any time.
    """
    settings = load_settings()
    while True:
        with ProgressBar() as bar:
            report = prune_ledger(settings, now=datetime.now(UTC), dry_run=dry_run, on_progress=bar.show)
        lines = [msgspec.json.encode(report).decode()] if as_json else describe_pruning(report, dry_run=dry_run)
        for line in lines:
            click.echo(line)
        if every is None:
            return
        time.sleep(every)


def describe_pruning(report: PruneReport, *, dry_run: bool) -> Iterator[str]:
    """Yield what was deleted, line by line."""
    verb = "would be deleted" if dry_run else "deleted"
    for each in report.pruned:
        locked = (
            f"; {each.locked_pages:,} pages were locked, the next run deletes their rows" if each.locked_pages else ""
        )
        yield f"{each.table}: {each.rows:,} rows before {report.plan.cutoffs[each.table]:%Y-%m-%d %H:%M} {verb}{locked}"
    if report.messages is not None:
        yield f"messages of the message store: {report.messages:,} rows {verb}"
    if report.unknown_progress:
        yield f"decisions, contacts, seen events and dead letters are kept: {report.unknown_progress}"
    elif report.plan.held_back is not None:
        yield f"kept back to {report.plan.horizon:%Y-%m-%d %H:%M}: the workers have not processed older records yet"
