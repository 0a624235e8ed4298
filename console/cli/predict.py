"""`holdfast predict`: churn, the next best offer, lifetime value or RFM of one customer, a segment or all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.cli.exit_codes import REFUSED
from console.cli.progress_bar import ProgressBar
from console.printable import printable
from console.use_cases.prediction_file import write_predictions
from console.use_cases.predictions import predict_customers, predict_segment
from models.predictions import describe_prediction, list_kinds
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.use_cases.predictions import Page, PredictionService

BAR = 16
FACTORS_SHOWN = 8


@click.command("predict")
@click.argument("kind", type=click.Choice(list_kinds()))
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER_ID]...")
@click.option("--segment", metavar="KEY|FILE", help="All customers for whom the rule of a segment holds now.")
@click.option("--all", "everybody", is_flag=True, help="All customers of the view.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a Parquet file, one row for each customer; with --segment or --all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each customer.")
def predict(
    *, kind: str, customer_ids: tuple[str, ...], segment: str | None, everybody: bool, out: Path | None, as_json: bool
) -> None:
    """Predict what customers will do, with the models that workers decide with; nothing is stored or sent.

    KIND is churn, nbo (the next best offer), ltv (lifetime value) or rfm. Exit code 2 if a customer has no prediction.
    """
    if (len(customer_ids) > 0) + (segment is not None) + everybody != 1:
        raise click.UsageError("name customers, a segment with --segment, or all of them with --all")
    if customer_ids and out:
        raise click.UsageError(
            "--out writes the predictions of a --segment or of --all; leave it out for single customers"
        )
    if as_json and out:
        raise click.UsageError("--out writes Parquet and --json prints; leave one out")
    if everybody and not (as_json or out):
        raise click.UsageError("--all needs a file, as --out predictions.parquet, or --json")
    settings = load_settings()
    if customer_ids:
        answers = predict_customers(settings, kind, customer_ids)
        for each in answers.predictions:
            click.echo(
                json.dumps(each)
                if as_json
                else printable("\n".join(describe(kind, each, answers.offers)) + "\n", keep="\n")
            )
        _tell([f"note: {each}" for each in answers.notes] + list(answers.problems.values()))
        sys.exit(REFUSED if answers.problems else 0)
    if out:
        with ProgressBar() as bar:
            count, notes = write_predictions(
                settings, kind, out, segment, lambda read: bar.show("customers read", read)
            )
        click.echo(f"wrote {count:,} predictions to {out}")
    else:
        notes = predict_segment(
            settings, kind, segment, lambda *page: _print_page(kind, as_json, *page), describes=True
        )
    _tell([f"note: {each}" for each in notes])


def _print_page(kind: str, as_json: bool, service: PredictionService, page: Page) -> None:
    for each in service.describe(kind, page.predicted, page.facts):
        click.echo(
            json.dumps(each) if as_json else printable(f"{each['customer_id']}  {describe_prediction(kind, each)}")
        )


def _tell(sentences: Sequence[str]) -> None:
    for each in sentences:
        click.echo(f"holdfast: {printable(each)}", err=True)


def describe(kind: str, prediction: Mapping[str, Any], offers: Mapping[int, str]) -> list[str]:
    """Return a prediction in lines for a person; offers are named."""
    lines = [f"customer {prediction['customer_id']}: {describe_prediction(kind, prediction)}"]
    scored = prediction.get("all_offers", ())
    best = max((each["score"] for each in scored), default=0.0)
    lines += [
        f"  {each['offer_id']:>3}  {each['score']:.4f}  {draw_bar(each['score'], best):<{BAR}}  "
        f"{offers.get(each['offer_id'], '')}"
        for each in scored
    ]
    lines += describe_factors(prediction.get("risk_factors", ()))
    advice = prediction.get("recommendations", ())
    return [*lines, *(["what to do:"] if advice else []), *(f"  - {each}" for each in advice)]


def describe_factors(factors: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the strongest reasons, each with a bar of the size of its contribution."""
    if not factors:
        return []
    shown = factors[:FACTORS_SHOWN]
    largest = max(abs(each["contribution"]) for each in shown)
    wide = max(len(each["feature"]) for each in shown)
    rest = f"  and {len(factors) - len(shown)} weaker reasons: --json" if len(factors) > len(shown) else ""
    lines = [
        f"  {each['feature']:<{wide}}  {each['contribution']:+.4f}  "
        f"{draw_bar(abs(each['contribution']), largest):<{BAR}}  {each['text']}"
        for each in shown
    ]
    return ["reasons:", *lines, *([rest] if rest else [])]


def draw_bar(size: float, largest: float) -> str:
    """Return a bar of at most BAR characters; at least one for what is not 0."""
    return "#" * (max(1, round(BAR * size / largest)) if size > 0 and largest > 0 else 0)
