"""`holdfast models experiment`: try a version next to the one that serves."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from console.experiment_views import HISTORY_HEADINGS, describe, describe_start, history_rows, status_object
from console.model_limits import choose_tried
from console.printable import printable
from console.tables import print_table
from console.use_cases.model_experiments import begin, end, find_history, find_status
from models.current_user import current_user
from streams.settings import load_settings

_MODEL = click.argument("model", callback=choose_tried)
_BY = click.option("--by", default=current_user, help="Name recorded; default: the current user.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def experiment() -> None:
    """Try a version next to the one that serves: as a shadow, or for a share of the customers."""


@experiment.command()
@_MODEL
@click.argument("version")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the customers for whom the version decides, such as 0.2.",
)
@click.option("--mode", type=click.Choice(["shadow"]), help="shadow: the version scores, and decides nothing.")
@click.option("--force", is_flag=True, help="Although a gate refused it; needs --why. A shadow needs no force.")
@click.option("--why", default="", help="The reason, kept in the history.")
@_BY
@_JSON
def start(
    model: str, version: str, share: float | None, mode: str | None, force: bool, why: str, by: str, as_json: bool
) -> None:
    """Start an experiment: VERSION is the challenger, and the version that serves the champion.

    Workers take it up within seconds. It ends by `stop`, by a promotion or rollback of the model, or by itself when the
    challenger is clearly worse.
    """
    if (share is None) == (mode is None):
        raise click.UsageError("say either --share and a number, or --mode shadow")
    started = begin(load_settings(), model, version, share=share or 0.0, by=by, why=why, forced=force)
    if as_json:
        click.echo(json.dumps(asdict(started)))
        return
    click.echo(describe_start(started))
    click.echo(f"workers take it up within seconds; what it shows: holdfast models experiment status {model}")


@experiment.command()
@_MODEL
@click.option(
    "--outcomes", is_flag=True, help="Also compare both versions of a shadow on the outcomes since the start."
)
@_JSON
def status(model: str, outcomes: bool, as_json: bool) -> None:
    """Show the latest experiment on a model, what it has shown, and earlier ones.

    Of a shadow: how far the scores agree. Otherwise: conversions, revenue and cost of both arms, with intervals that
    hold however often one looks.
    """
    settings = load_settings()
    found = find_status(settings, model, outcomes=outcomes)
    history = find_history(settings, model)
    if as_json:
        latest = None if found is None else status_object(found)
        click.echo(json.dumps({"latest": latest, "history": [asdict(each) for each in history]}))
        return
    if found is None:
        click.echo(f"there was no experiment on {model}; begin one: holdfast models experiment start {model} VERSION …")
        return
    for part in describe(found):
        if isinstance(part, str):
            click.echo("\n".join(map(printable, part.splitlines())))
        else:
            print_table(*part)
    if len(history) > 1:
        click.echo("\nearlier:")
        print_table(HISTORY_HEADINGS, [tuple(map(printable, row)) for row in history_rows(history[-6:-1])])


@experiment.command()
@_MODEL
@click.option("--why", required=True, help="The reason, kept in the history.")
@_BY
@_JSON
def stop(model: str, why: str, by: str, as_json: bool) -> None:
    """End the experiment on a model: the champion decides for every customer again.

    One that stopped by itself is closed, with the reason that it stopped for.
    """
    if not why.strip():
        raise click.BadParameter("say why, in a few words", param_hint="--why")
    ended = end(load_settings(), model, by=by, why=why.strip())
    if as_json:
        click.echo(json.dumps(None if ended is None else asdict(ended)))
    elif ended is None:
        click.echo(f"no experiment on {model} runs; nothing was changed")
    else:
        click.echo(printable(f"experiment {ended.key} is ended: {ended.stop_reason}"))
