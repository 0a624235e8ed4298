"""`holdfast recommend`: which products to recommend to a customer, and `run`, which computes those of all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from console.cli.progress_bar import ProgressBar
from console.printable import printable
from console.use_cases.recommendations import Inputs, Options, read_stored, recommend_now, run_recommendations
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from console.use_cases.recommendations import RunReport

BY_CUSTOMER = "customer"


class _CustomersOrCommands(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take a name that is no command for a customer."""
        known = super().get_command(ctx, args[0])
        return (args[0], known, args[1:]) if known else (BY_CUSTOMER, self.commands[BY_CUSTOMER], args)


def _read_renames(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if wrong := [value for value, pair in zip(values, pairs, strict=True) if not pair[0] or not pair[2]]:
        raise click.BadParameter(f"{wrong[0]!r} is not OURS=THEIRS, as product_id=sku")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options on what to recommend from."""
    options = (
        click.option(
            "--catalog", metavar="SOURCE", help="Table, query or .csv file of products; default: DWH_CATALOG."
        ),
        click.option("--purchases", metavar="SOURCE", help="The same of purchases; default: DWH_PURCHASES."),
        click.option(
            "--rename",
            "renames",
            multiple=True,
            callback=_read_renames,
            metavar="OURS=THEIRS",
            help="Name of a column in the sources, as product_id=sku; several times.",
        ),
        click.option("--encoding", default="utf-8", show_default=True, help="Of the .csv files."),
        click.option(
            "--as-of",
            type=click.DateTime(["%Y-%m-%d"]),
            help="Count purchases before this day, UTC; default: all of them.",
        ),
        click.option("--top-k", type=click.IntRange(1, 100), default=5, show_default=True, help="Products at most."),
        click.option("--only-new", is_flag=True, help="No product that the customer has bought."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=_CustomersOrCommands, subcommand_metavar="run|CUSTOMER [OPTIONS]")
def recommend() -> None:
    """Recommend products to a customer, or with `run` compute those of all customers; see docs/recommendations.md."""


@recommend.command("run")
@_reading
@click.option("--newcomers", metavar="SOURCE", help="Customers without purchases: customer_id, perhaps category.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write a .parquet or .json file, with reasons."
)
@click.option("--store/--no-store", default=True, help="Store them as facts for rules and messages; default: yes.")
def run(*, newcomers: str | None, out: Path | None, store: bool, as_json: bool, **read: Any) -> None:
    """Compute the recommendations of all customers, and store them as facts."""
    options = Options(read["top_k"], read["only_new"], out, store)
    with ProgressBar() as bar:
        report = run_recommendations(
            load_settings(), _find_inputs(newcomers, read), options, bar.show, now=datetime.now(UTC)
        )
    if as_json:
        click.echo(msgspec.json.encode(report, enc_hook=str))
        return
    for line in describe_run(report):
        click.echo(line)


@recommend.command(BY_CUSTOMER)
@click.argument("customer_id", metavar="CUSTOMER")
@_reading
@click.option(
    "--now", "computes", is_flag=True, help="Compute them from the present purchases; the default reads them."
)
@click.option("--category", help="With --now: of the popular products that a customer without purchases gets.")
def show_customer(*, customer_id: str, computes: bool, category: str | None, as_json: bool, **read: Any) -> None:
    """Show the recommendations of a customer, which the latest run stored."""
    settings = load_settings()
    if computes:
        options = Options(read["top_k"], read["only_new"])
        found = recommend_now(settings, _find_inputs(None, read), options, customer_id, category, now=datetime.now(UTC))
    else:
        stored = read_stored(settings, customer_id)
        found = [each for each in stored if not (read["only_new"] and each["bought_before"])][: read["top_k"]]
    if as_json:
        click.echo(json.dumps({"customer_id": customer_id, "recommendations": found}, ensure_ascii=False))
        return
    for line in describe(customer_id, found):
        click.echo(printable(line))


def _find_inputs(newcomers: str | None, read: Mapping[str, Any]) -> Inputs:
    as_of = read["as_of"].replace(tzinfo=UTC) if read["as_of"] else None
    return Inputs(read["catalog"], read["purchases"], newcomers, read["renames"], read["encoding"], as_of)


def describe(customer_id: str, recommendations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the recommendations of a customer, line by line."""
    if not recommendations:
        yield f"nothing to recommend to customer {customer_id}"
        return
    yield f"recommended to customer {customer_id}:"
    for rank, each in enumerate(recommendations, 1):
        price = "" if each["price"] is None else f", {each['price']:,.2f}"
        category = "" if each["category"] is None else f", {each['category']}"
        yield f"  {rank:>2}  {each['score']:.3f}  {each['name']} ({each['product_id']}{category}{price})"
        yield f"      {each['reason']}"


def describe_run(report: RunReport) -> Iterator[str]:
    """Yield what a run did, line by line."""
    yield f"{report.products:,} products{_describe_counts(report.incomplete)}"
    yield f"{report.purchases:,} purchases before {report.as_of}{_describe_counts(report.excluded, 'left out: ')}"
    yield (
        f"weights learned on {', '.join(report.learned_on)}"
        if report.learned_on
        else "weights are defaults: there are too few purchases to learn from"
    )
    yield f"recommendations for {report.customers:,} customers, {report.newcomers:,} of them without purchases"
    if report.stored is not None:
        yield f"stored as facts of {report.stored:,} customers"
    if report.file is not None:
        yield f"wrote {report.file}"


def _describe_counts(counts: Mapping[str, int], head: str = "") -> str:
    return f"; {head}{', '.join(f'{count:,} {what}' for what, count in counts.items())}" if counts else ""
