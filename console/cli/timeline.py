"""`holdfast timeline`: everything of one customer in order, for people who care for customers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from campaigns.consent import EVERY_CHANNEL
from campaigns.feedback import FeedbackKind
from console.printable import printable
from console.tables import print_table
from console.use_cases.timelines import find_timeline
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from campaigns.records import TimelineEntry
    from console.use_cases.timelines import Timeline

    Details = Mapping[str, Any]

SHOWN = 100
SEPARATOR = "\x1f"
"""Between the kind and the id of an event, where the ledger keeps ids of several kinds apart."""


@click.command("timeline")
@click.argument("customer_id")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="Leave out what happened before this day, 0:00 UTC, or this time.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=SHOWN,
    show_default=True,
    help="Show at most so many entries, the latest ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def timeline(customer_id: str, since: datetime | None, limit: int, as_json: bool) -> None:
    """Show everything that happened to a customer, in order: events, segments, decisions, contacts, outcomes.

    Times are event times; of events that were processed and of deliveries, when they were.
    """
    begin = since.replace(tzinfo=UTC) if since else None
    found = find_timeline(load_settings(), customer_id, since=begin, limit=limit)
    if as_json:
        click.echo(json.dumps(as_object(found)))
        return
    after = f" since {begin:%Y-%m-%d %H:%M}" if begin else ""
    if not found.entries:
        click.echo(printable(f"customer {customer_id}: nothing happened{after}"))
        return
    shown = f"the latest {len(found.entries):,} entries" if found.is_cut else f"{len(found.entries):,} entries"
    more = "; --limit shows more" if found.is_cut else ""
    click.echo(printable(f"customer {customer_id}: {shown}{after}{more}"))
    rows = [
        (f"{each.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", each.kind, printable(describe_entry(each, found.offers)))
        for each in found.entries
    ]
    print_table(("time (UTC)", "what", "details"), rows)


def as_object(found: Timeline) -> dict[str, Any]:
    """Return a timeline as JSON values."""
    return {
        "customer_id": found.customer_id,
        "is_cut": found.is_cut,
        "entries": [
            {"at": each.at.astimezone(UTC).isoformat(), "kind": each.kind, **each.details} for each in found.entries
        ],
    }


def describe_entry(entry: TimelineEntry, offers: Mapping[int, str]) -> str:
    """Return an entry in words.

    Args:
        entry: the entry.
        offers: the key of each offer by id.
    """
    if entry.kind == "contact":
        return _describe_contact(entry.details, offers)
    return _DESCRIBED[entry.kind](entry.details)


def _describe_contact(details: Details, offers: Mapping[int, str]) -> str:
    offer = f"offer {details['offer_id']} {offers.get(details['offer_id'], '(not defined now)')}"
    variant = f", variant {details['variant']}" if details["variant"] else ""
    if details["arm"] == "control":
        return f"{details['campaign']}: held out of {details['channel']}, {offer}, arm control{variant}"
    return f"{details['campaign']}: by {details['channel']}, {offer}, arm {details['arm']}{variant}"


def _describe_feedback(details: Details) -> str:
    until = f" until {details['until']}" if details["until"] else ""
    match details["said"]:
        case FeedbackKind.WRONG_SCORE:
            value = "" if details["value"] is None else f", should be {details['value']:g}"
            said = f"the {details['model']} score is wrong{value}"
        case "withdrawn":
            said = f"feedback {details['withdraws']} is withdrawn"
        case kind:
            said = f"{kind.replace('_', ' ')}{until}"
    return f"{said}, by {details['by']}: {details['why']}"


def _describe_consent(details: Details) -> str:
    what = "given again" if details["granted"] else "revoked"
    channel = "every channel" if details["channel"] == EVERY_CHANNEL else details["channel"]
    return f"consent {what} for {channel}: {details['source']}, event {details['event_id']}"


def _describe_entry_into_segment(details: Details) -> str:
    quiet = ", suppressed: no campaign fires" if details["suppressed"] else ""
    return f"{details['segment']}, episode {details['episode']}{quiet}"


def _describe_decision(details: Details) -> str:
    reason, detail = details["reason"], details["detail"]
    why = detail if detail.startswith(reason) else f"{reason}: {detail}"
    return f"{details['campaign']}: {details['outcome']}, {why}"


def _describe_delivery(details: Details) -> str:
    reason = f" ({details['reason']})" if details["reason"] else ""
    attempts = f"{details['attempts']} attempt{'' if details['attempts'] == 1 else 's'}"
    return f"{details['campaign']}: {details['channel']} {details['outcome'] or 'waits'} after {attempts}{reason}"


def _describe_outcome(details: Details) -> str:
    value = "" if details["value"] is None else f", value {details['value']:g}"
    count = details["conversions"] or 0
    return f"{details['campaign']}: {details['outcome']}{f' {count} times' if count > 1 else ''}{value}"


_DESCRIBED: Mapping[str, Callable[[Details], str]] = {
    "event": lambda details: details["event_id"],
    "processed": lambda details: details["event_id"].replace(SEPARATOR, " "),
    "feedback": _describe_feedback,
    "consent": _describe_consent,
    "entered": _describe_entry_into_segment,
    "left": lambda details: f"{details['segment']}, episode {details['episode']}",
    "decision": _describe_decision,
    "delivery": _describe_delivery,
    "outcome": _describe_outcome,
}
