"""A customer's timeline in words, and as JSON values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from campaigns.consent import EVERY_CHANNEL
from campaigns.feedback import FeedbackKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from campaigns.records import TimelineEntry
    from console.use_cases.timelines import Timeline

    Details = Mapping[str, Any]

SEPARATOR = "\x1f"
"""Between the kind and the id of an event, where the ledger keeps ids of several kinds apart."""


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


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A contact, or what was held out in its place, and what became of it.

    Attributes:
        offer: its key.
        status: as the ledger has it.
        delivery: what became of the delivery; empty where Holdfast does not deliver.
        outcomes: in words, in order.
    """

    at: datetime
    campaign: str
    channel: str
    offer: str
    arm: str
    status: str
    delivery: str
    outcomes: Sequence[str]


def list_contacts(found: Timeline) -> list[ContactRow]:
    """Return the contacts of a timeline, the latest first."""
    of_trigger: dict[str, list[TimelineEntry]] = defaultdict(list)
    for each in found.entries:
        of_trigger[str(each.details.get("trigger_id"))].append(each)
    return [
        ContactRow(
            each.at,
            each.details["campaign"],
            each.details["channel"],
            found.offers.get(each.details["offer_id"], str(each.details["offer_id"])),
            each.details["arm"],
            each.details["status"],
            "; ".join(_describe_result(other) for other in after if other.kind == "delivery"),
            [f"{other.details['outcome']} {other.at:%Y-%m-%d}" for other in after if other.kind == "outcome"],
        )
        for each in reversed(found.entries)
        if each.kind == "contact"
        for after in [of_trigger[each.details["trigger_id"]]]
    ]


def _describe_result(entry: TimelineEntry) -> str:
    reason = f" ({entry.details['reason']})" if entry.details["reason"] else ""
    return f"{entry.details['outcome'] or 'waits'}{reason}"


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
