"""`holdfast customers feedback`: what staff say about a customer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from campaigns.feedback import SCORED_MODELS, FeedbackKind
from console.feedback_views import feedback_object, what
from console.tables import print_table
from console.use_cases.customer_digests import find_digest
from console.use_cases.customer_feedback import export_feedback, give_feedback, list_feedback, withdraw_feedback
from models.current_user import current_user
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.use_cases.customer_feedback import Given

_TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"])


def _signed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with who gives feedback, and why."""
    by = click.option("--by", default=current_user, help="Who gives it; default: the current user.")
    why = click.option("--why", required=True, metavar="TEXT", help="The reason, kept with it.")
    return by(why(command))


@click.group()
def customers() -> None:
    """Show and record what staff know about customers."""


@customers.command("digest")
@click.argument("customer_id")
def digest(customer_id: str) -> None:
    """Print the digest that stands for a customer in the logs of workers."""
    click.echo(find_digest(load_settings(), customer_id))


@customers.group()
def feedback() -> None:
    """Say that a score is wrong, that a customer is not to be contacted, or is always VIP; withdraw it, list it."""


@feedback.command("do-not-contact")
@click.argument("customer_id")
@click.option(
    "--until", type=_TIMES, required=True, help="Contact again from this day on, 0:00 UTC, or from this time."
)
@_signed
def do_not_contact(customer_id: str, until: datetime, by: str, why: str) -> None:
    """Keep every campaign from contacting a customer for a time; notifications of staff go on."""
    end = until.replace(tzinfo=UTC)
    _say(
        customer_id, give_feedback(load_settings(), customer_id, FeedbackKind.DO_NOT_CONTACT, by=by, why=why, until=end)
    )


@feedback.command("always-vip")
@click.argument("customer_id")
@click.option("--until", type=_TIMES, help="Until this day, 0:00 UTC, or this time; default: without end.")
@_signed
def always_vip(customer_id: str, until: datetime | None, by: str, why: str) -> None:
    """Make the fact `always_vip` true for a customer, for the rules and messages that read it."""
    end = until.replace(tzinfo=UTC) if until else None
    _say(customer_id, give_feedback(load_settings(), customer_id, FeedbackKind.ALWAYS_VIP, by=by, why=why, until=end))
    click.echo(f"rules read it at the customer's next event; to request one: holdfast updates publish {customer_id}")


@feedback.command("wrong-score")
@click.argument("customer_id")
@click.option("--model", type=click.Choice(SCORED_MODELS), required=True, help="The model whose score is wrong.")
@click.option(
    "--should-be",
    type=float,
    help="What it should be: of churn a probability, of ltv an amount, of nbo the id of an offer.",
)
@_signed
def wrong_score(customer_id: str, model: str, should_be: float | None, by: str, why: str) -> None:
    """Record that a score is wrong, for training; it changes no score and no decision."""
    kind = FeedbackKind.WRONG_SCORE
    given = give_feedback(load_settings(), customer_id, kind, by=by, why=why, model=model, value=should_be)
    _say(customer_id, given)


@feedback.command("withdraw")
@click.argument("customer_id")
@click.argument("feedback_id")
@_signed
def withdraw(customer_id: str, feedback_id: str, by: str, why: str) -> None:
    """Withdraw feedback; it no longer counts, and stays in the list."""
    _say(customer_id, withdraw_feedback(load_settings(), customer_id, feedback_id, by=by, why=why))


@feedback.command("list")
@click.argument("customer_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_all(customer_id: str, as_json: bool) -> None:
    """Show what staff said of a customer, and whether it counts now."""
    found = list_feedback(load_settings(), customer_id)
    if as_json:
        click.echo(json.dumps({"customer_id": customer_id, "feedback": list(map(feedback_object, found))}))
        return
    if not found:
        click.echo(f"the ledger has no feedback about customer {customer_id}")
        return
    rows = [
        (each.feedback.event_id, each.state, what(each.feedback), each.feedback.actor, each.feedback.why)
        for each in found
    ]
    print_table(("feedback", "state", "what", "by", "why"), rows)


@feedback.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--model", type=click.Choice(SCORED_MODELS), help="Only of this model's scores.")
def export(file: Path, model: str | None) -> None:
    """Write what staff said of scores to a new CSV file, for training."""
    click.echo(f"wrote {export_feedback(load_settings(), file, model=model):,} rows to {file}")


def _say(customer_id: str, given: Given) -> None:
    if given.unchecked:
        click.echo(f"holdfast: whether the customer exists was not checked: {given.unchecked}", err=True)
    click.echo(f"published {given.event_id} about customer {customer_id}; it counts when a worker has read it")
