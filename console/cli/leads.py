"""`holdfast leads`: which leads are hot, and why."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from console.printable import printable
from console.tables import print_table
from console.use_cases.leads import explain_lead, judge_score, list_leads, score_file
from models.current_user import current_user
from models.leads import TIERS
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.leads import LeadRecord, LeadState
    from models.leads import LeadReason

SHOWN = 3
"""Reasons in a row of a table."""
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def leads() -> None:
    """Scores of leads: list them, explain one, score a file, say that a score is wrong."""


@leads.command("list")
@click.option("--tier", type=click.Choice(TIERS), help="Only leads of this tier.")
@click.option("--closed", is_flag=True, help="Also those that are converted or lost.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="The most leads.")
@_JSON
def list_all(tier: str | None, *, closed: bool, limit: int, as_json: bool) -> None:
    """Show leads, the highest score first."""
    found = asyncio.run(list_leads(load_settings(), tier=tier, closed=closed, limit=limit))
    if as_json:
        _print_json({"leads": [asdict(each) for each in found]})
        return
    if not found:
        click.echo("no leads; workers read them with HOLDFAST_LEADS=true, see docs/leads.md")
        return
    headings = ("lead", "customer", "score", "tier", "as of (UTC)", "by", "became hot", "outcome")
    print_table(headings, [_row(each) for each in found])


@leads.command("explain")
@click.argument("lead_id")
@_JSON
def explain(lead_id: str, *, as_json: bool) -> None:
    """Show why a lead has its score, and its events."""
    found = asyncio.run(explain_lead(load_settings(), lead_id))
    if as_json:
        _print_json(asdict(found))
        return
    lead = found.lead
    if lead.score is None:
        click.echo(f"{printable(lead_id)}: not scored yet, no update has arrived")
    else:
        click.echo(f"{printable(lead_id)}: {lead.score:g}, {lead.tier}, by {lead.version}{_chance(lead.probability)}")
    if found.scored_again is not None:
        again = found.scored_again
        click.echo(f"scored again by {again.version}, which the reasons are of: {again.score:g}")
    for reason in found.reasons:
        click.echo(f"  {reason.contribution:+.1f}  {reason.text}")
    click.echo("events:")
    for event in found.events:
        click.echo(f"  {_describe_event(event)}")


@leads.command("score")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_JSON
def score(file: Path, *, as_json: bool) -> None:
    """Score the leads of a CSV file: lead_id and the features of docs/leads.md."""
    found = score_file(load_settings(), file)
    if found.refused:
        click.echo(f"holdfast: {found.refused}", err=True)
    if as_json:
        _print_json({"leads": [asdict(each) for each in found.leads]})
        return
    print_table(
        ("lead", "score", "tier", "by", "most of it from"),
        [
            (printable(each.lead_id), f"{each.score.score:g}", each.tier, each.score.version, _sum_up(each.reasons))
            for each in found.leads
        ],
    )


@leads.command("wrong-score")
@click.argument("lead_id")
@click.option("--value", type=click.FloatRange(0, 100), help="What the score should be.")
@click.option("--by", default=current_user, help="Who says so; default: the current user.")
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept with it.")
def wrong_score(lead_id: str, value: float | None, by: str, why: str) -> None:
    """Say that the score of a lead is wrong; with a value, models are trained on it."""
    click.echo(f"feedback {judge_score(load_settings(), lead_id, value, by=by, why=why)}")


def _row(lead: LeadState) -> Sequence[str]:
    customer = "" if lead.customer_id == lead.lead_id else printable(lead.customer_id)
    at = f"{lead.updated_at:%Y-%m-%d %H:%M}" if lead.updated_at else ""
    known = "" if lead.score is None else f"{lead.score:g}"
    times = str(lead.crossings) if lead.crossings else ""
    outcome = (lead.outcome or "").removeprefix("lead.")
    return printable(lead.lead_id), customer, known, lead.tier or "", at, lead.version or "", times, outcome


def _chance(probability: float | None) -> str:
    return "" if probability is None else f", chance to convert {probability:.1%}"


def _sum_up(reasons: Sequence[LeadReason]) -> str:
    return "; ".join(f"{each.feature} {each.contribution:+.1f}" for each in reasons[:SHOWN] if each.contribution)


def _describe_event(event: LeadRecord) -> str:
    content = event.content
    said = {
        "lead.updated": lambda: f"score {content['score']:g} by {content['version']}",
        "lead.wrong_score": lambda: _describe_feedback(content),
    }.get(event.type, str)()
    return f"{event.occurred_at:%Y-%m-%d %H:%M:%S} {event.type} {said} ({printable(event.event_id)})".replace("  ", " ")


def _describe_feedback(content: Mapping[str, Any]) -> str:
    right = "" if content["value"] is None else f" should be {content['value']:g}:"
    return f"{printable(content['by'])}:{right} {printable(content['reason'])}"


def _print_json(content: Mapping[str, Any]) -> None:
    click.echo(json.dumps(msgspec.to_builtins(content)))
