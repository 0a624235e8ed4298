"""`holdfast forget`: erase customers. `holdfast prune`: delete what is older than its retention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from console.use_cases.erasure import erase_customers, lift_erasure
from models.current_user import current_user
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.use_cases.erasure import Receipt

DAY_S = 86_400


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
        click.echo(msgspec.json.encode({"lifted": lifted}) if as_json else f"{lifted:,} tombstones removed")
        return
    receipt = erase_customers(settings, wanted, by=by, why=why)
    if as_json:
        click.echo(msgspec.json.encode(receipt))
        return
    for line in describe_receipt(receipt, settings.cache_ttl_s):
        click.echo(line)


def describe_receipt(receipt: Receipt, cache_ttl_s: float) -> Iterator[str]:
    """Yield a receipt, line by line."""
    yield f"{receipt.customers:,} customers erased; their events are left out from now on"
    for table, rows in sorted(receipt.rows.items()):
        if rows:
            yield f"  {table}: {rows:,} rows"
    if receipt.unsent:
        yield f"  {receipt.unsent:,} of the messages were not marked as published: a worker may publish them now"
    if receipt.cache_erased:
        yield "  cache: removed"
    else:
        yield f"  cache: Redis was away; its rows are never read again, and expire within {cache_ttl_s / 3600:g} h"
    yield "not covered, erase there what must not be kept:"
    for topic, kept_s in sorted(receipt.retention_s.items()):
        until = "without limit of time" if kept_s is None else f"for {kept_s / DAY_S:g} days"
        yield f"  topic {topic}: keeps its records {until}"
    if receipt.broker:
        yield f"  topics: their retention could not be read: {receipt.broker}"
    for file in receipt.files:
        yield f"  models folder: {file} mentions a customer"
    yield "  the warehouse, backups, exported files, and the systems that received triggers"
