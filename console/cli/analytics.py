"""`holdfast analytics`: clusters, predictions and recommendations from the concepts that notes mention."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.cli.progress_bar import ProgressBar
from console.printable import printable
from console.use_cases.analytics import KINDS, AnalyticsRequest, analyse
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONCEPTS_SHOWN = 3
DRIVERS_SHOWN = 5
CSV = click.Path(dir_okay=False, path_type=Path)


@click.command("analytics")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--concepts", type=CSV, help="CSV file: client_id, concept; optionally note_id, date, weight.")
@click.option("--labels", type=CSV, help="CSV file: client_id, purchased, churned, lifetime_value.")
@click.option("--catalog", "catalogue", type=CSV, help="CSV file: product_id, name, description, category, price.")
@click.option("--purchases", type=CSV, help="CSV file: client_id, product_id. Similar clients then count, too.")
@click.option("--n-clusters", "clusters", type=click.IntRange(1), help="Number of clusters; default: by stability.")
@click.option("--top-k", type=click.IntRange(1), default=5, show_default=True, help="Recommendations for each client.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("outputs"),
    show_default=True,
    help="Folder of the results; created if it is not there.",
)
@click.option("--example", "is_example", is_flag=True, help="Use invented data, marked as synthetic everywhere.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the summary.")
def analytics(*, as_json: bool, **options: Any) -> None:
    """Cluster clients, predict and recommend from concepts in CSV files, and write JSON files.

    KIND is clustering, predictions, recommendations or all. `all` leaves out what no file was given for, and says so.
    """
    request = AnalyticsRequest(**options)
    medium, high, _ = load_settings().churn_risk_thresholds
    mark = "synthetic: " if request.is_example else ""
    with ProgressBar() as bar:
        summary = analyse(request, (medium, high), lambda what, done, total: bar.show(f"{mark}{what}", done, total))
    if as_json:
        click.echo(json.dumps(summary))
        return
    for line in describe(summary):
        click.echo(mark + printable(line))


def describe(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield a summary in lines for a person."""
    if summary["synthetic"]:
        yield "invented data, to show what is computed; it says nothing about real clients"
    given = summary["input"]
    period = ", " + " to ".join(given["period"]) if given["period"] else ""
    yield f"{given['clients']:,} clients, {given['concepts']:,} concepts, {given['mentions']:,} mentions{period}"
    yield from (f"note: {each}" for each in given["notes"])
    parts = {
        "clustering": _describe_clustering,
        "predictions": _describe_predictions,
        "recommendations": _describe_recommendations,
    }
    for name, part in parts.items():
        if name not in summary:
            continue
        yield ""
        if "skipped" in summary[name]:
            stale = summary[name].get("left_from_an_earlier_run")
            yield f"no {name}: {summary[name]['skipped']}" + (f"; {stale} is of an earlier run" if stale else "")
        else:
            yield from part(summary[name])
    yield ""
    yield from (f"wrote {each}" for each in summary["files"])


def _describe_clustering(found: Mapping[str, Any]) -> Iterator[str]:
    number = found["number_of_clusters"]
    reasons = {
        "given": "as asked for",
        "few clients": "there are too few clients for more",
        "stability": "the most that other clients confirm",
    }
    yield f"{len(found['profiles'])} clusters, {reasons[number['how']]}"
    if number["stability"]:
        said = ", ".join(f"{each}: {value:.2f}" for each, value in number["stability"].items())
        chance = number["stability_of_shuffled_concepts"]
        yield f"  agreement of two halves, by number of clusters: {said}" + (
            "" if chance is None else f"; with shuffled concepts: {chance:.2f}"
        )
        if number["is_stable"] is False:
            yield "  not stable: other clients of the same kind would give other clusters; do not build on them"
    if found["clients_without_vector"]:
        yield f"  {found['clients_without_vector']:,} clients mention nothing that can be compared"
    for each in found["profiles"]:
        yield f"  cluster {each['cluster']} ({each['clients']:,} clients): {each['name']}"
        for concept in each["top_concepts"][:CONCEPTS_SHOWN]:
            yield f"    {concept['concept']}: {concept['mentions']:,} mentions"


def _describe_predictions(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"predictions: {found['clients_without_labels']:,} clients have no labels, "
        f"{found['labels_of_clients_without_concepts']:,} labelled clients have no concepts and are left out"
    )
    if found["mentions_after_labels"]:
        later = found["mentions_after_labels"]
        yield f"  {later:,} mentions are not before their client's label and are not learned from"
    yield from (f"  no {name} model: {why}" for name, why in found["not_learned"].items())
    for name, model in found["models"].items():
        gain = model["improvement"]
        low, high = gain["interval_95"]
        yield (
            f"  {name}: {'useful' if model['is_useful'] else 'NOT USEFUL, everybody gets the base rate'}; "
            f"Brier score {model['brier_score']:.4f}, base rate {model['brier_score_of_base_rate']:.4f}, "
            f"better by {gain['value']:.4f} [{low:.4f}, {high:.4f}]"
        )
        yield f"    {_describe_accuracy(model)}"
        unit = "" if name == "value" else " points"
        scale = 1 if name == "value" else 100
        for driver in model["drivers"][:DRIVERS_SHOWN]:
            yield (
                f"    {driver['concept']}: {driver['direction']} it by {abs(driver['effect']) * scale:,.1f}{unit}, "
                f"{driver['clients']:,} clients, same direction in {driver['folds_agreeing']} of 5 folds"
            )


def _describe_accuracy(model: Mapping[str, Any]) -> str:
    accuracy, usual = model["accuracy"], model["accuracy_of_most_frequent_class"]
    low, high = accuracy["interval_95"]
    said = f"accuracy {accuracy['value']:.3f} [{low:.3f}, {high:.3f}], most frequent class {usual:.3f}"
    if "auc" in model:
        low, high = model["auc"]["interval_95"]
        said += f"; AUC {model['auc']['value']:.3f} [{low:.3f}, {high:.3f}]"
    return said


def _describe_recommendations(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"recommendations for {found['clients'] - found['clients_without_recommendation']:,} of {found['clients']:,} "
        f"clients from {found['products']:,} products; {found['words_in_concepts_and_catalogue']:,} words are in both "
        "concepts and catalogue"
    )
    if unmatched := found["products_that_no_concept_reaches"]:
        shown = ", ".join(unmatched[:DRIVERS_SHOWN]) + (", ..." if len(unmatched) > DRIVERS_SHOWN else "")
        yield f"  {len(unmatched):,} products match what no client mentions: {shown}"
    if known := found["known_purchases"]:
        name = next(each for each in known if each.startswith("recall"))
        said = ", ".join(f"{way.replace('_', ' ')} {value:.3f}" for way, value in known[name].items())
        yield f"  {name.replace('_', ' ')} of the purchases of {known['buyers']:,} buyers: {said}"
    yield f"  {found['example']['client_id']}:"
    for each in found["example"]["recommendations"]:
        price = "" if each["price"] is None else f", {each['price']:,.2f}"
        yield f"    {each['score']:.3f}  {each['name']} ({each['category']}{price}): {each['reason']}"
