"""Outcomes of a batch: changes of consent and new states of contacts, each event once. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from campaigns.consent import CONSENT_OUTCOMES, EVERY_CHANNEL, ConsentChange
from campaigns.contact_state import ContactOutcome
from campaigns.contact_state import fold as fold_contact
from campaigns.decide import ContactHistory
from streams.formats.events import Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from campaigns.contact_state import Contact, ContactState
    from campaigns.ports import CustomerKey, LedgerState
    from streams.formats.events import Event


@dataclass(slots=True)
class FoldedOutcomes:
    """The changes that the new outcomes of a batch make.

    Attributes:
        outcome_ids: the events folded, and those rejected for their trigger.
        contact_states: new states of contacts.
        consent_changes: changes of consent.
        rejects: outcomes that become dead letters.
    """

    outcome_ids: list[CustomerKey] = field(default_factory=list)
    contact_states: dict[CustomerKey, ContactState] = field(default_factory=dict)
    consent_changes: list[ConsentChange] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


def outcome_keys(reported: Iterable[Event]) -> list[CustomerKey]:
    """Return the keys under which the ledger remembers outcomes: as folded, or as rejected for their trigger."""
    return [key for event in reported for key in (folded_key(event), _rejected_key(event))]


def trigger_keys(reported: Iterable[Event]) -> list[CustomerKey]:
    """Return the contacts that outcomes name, each once."""
    return list({key: None for event in reported if (key := _trigger_key(event))})


def fold_outcomes(reported: Sequence[Event], state: LedgerState, channels: Collection[str]) -> FoldedOutcomes:
    """Fold the outcomes that the ledger has not seen.

    An opt-out counts with any trigger id, consent for a channel that is known. Any other outcome needs a contact in the
    ledger. What is rejected stays rejected when its record is delivered again, though the reason has gone by then.

    Args:
        reported: the outcomes of a batch.
        state: what the ledger holds of them.
        channels: the channels that the definitions know.
    """
    folded = FoldedOutcomes()
    if not reported:
        return folded
    answers: dict[CustomerKey, list[ContactOutcome]] = defaultdict(list)
    seen = set(state.seen_messages)
    for event in reported:
        if (key := folded_key(event)) in seen:
            continue
        found = _find_contact(event, state.contacts)
        outcome = event.wire.type.removeprefix("outcome.")
        if (reject := _reject(event, outcome, found, seen, channels)) is not None:
            folded.rejects.append(reject)
            key = _rejected_key(event)
        elif outcome in CONSENT_OUTCOMES:
            folded.consent_changes.append(_consent_change(event, outcome, found, channels))
        elif found:
            answers[found[0]].append(ContactOutcome(outcome, event.wire.occurred_at, event.wire.value))
        if key not in seen:
            seen.add(key)
            folded.outcome_ids.append(key)
    folded.contact_states = {key: fold_contact(state.contacts[key].state, each) for key, each in answers.items()}
    return folded


def fold_consent(
    histories: Mapping[str, ContactHistory], changes: Sequence[ConsentChange]
) -> Mapping[str, ContactHistory]:
    """Return contact histories with changes of consent added: an opt-out counts in its own batch."""
    if not changes:
        return histories
    added = dict(histories)
    for change in changes:
        added[change.customer_id] = added.get(change.customer_id, ContactHistory()).with_consent_change(change)
    return added


def folded_key(event: Event) -> CustomerKey:
    """Return the key under which the ledger remembers a folded outcome."""
    # No event id has a control character: an outcome and a conversation message may use one id.
    return event.customer_id, f"outcome\x1f{event.wire.id}"


def _rejected_key(event: Event) -> CustomerKey:
    """Return the key of a rejected record: the event may come again in another record, and then have a contact."""
    record = event.record
    place = f"{record.topic}\x1f{record.partition}\x1f{record.offset}\x1f{record.timestamp}"
    return event.customer_id, f"rejected\x1f{event.wire.id}\x1f{place}"


def _trigger_key(event: Event) -> CustomerKey | None:
    try:
        return event.customer_id, str(UUID(event.wire.trigger_id or ""))
    except ValueError:
        return None


def _find_contact(event: Event, contacts: Mapping[CustomerKey, Contact]) -> tuple[CustomerKey, Contact] | None:
    key = _trigger_key(event)
    contact = contacts.get(key) if key else None
    return (key, contact) if key and contact else None


def _reject(
    event: Event,
    outcome: str,
    found: tuple[CustomerKey, Contact] | None,
    seen: set[CustomerKey],
    channels: Collection[str],
) -> Reject | None:
    rejected_before = _rejected_key(event) in seen
    if CONSENT_OUTCOMES.get(outcome):
        channel = event.wire.channel or ""
        if channel and (rejected_before or _known_channel(channel, channels) is None):
            known = ", ".join(sorted(channels))
            detail = f"channel is {channel[:80]!r}; it must be one of {known}, or left out for every channel"
            return Reject(event.record, "fold", RejectReason.INVALID_EVENT, detail)
    elif outcome not in CONSENT_OUTCOMES and (found is None or rejected_before):
        missing = f"customer {event.customer_id!r} has no contact with trigger_id {event.wire.trigger_id!r}"
        detail = f"{missing}; send the outcome with the trigger's own customer_id and trigger_id, or discard it"
        return Reject(event.record, "fold", RejectReason.UNKNOWN_TRIGGER, detail)
    return None


def _consent_change(
    event: Event, outcome: str, found: tuple[CustomerKey, Contact] | None, channels: Collection[str]
) -> ConsentChange:
    named = event.wire.channel or ""
    # An opt-out with an unknown channel revokes every channel: the customer does not want to be contacted.
    known = _known_channel(named, channels) if named else found and found[1].channel
    return ConsentChange(
        event.customer_id,
        event.wire.id,
        known or EVERY_CHANNEL,
        CONSENT_OUTCOMES[outcome],
        event.wire.occurred_at,
        outcome,
        found[0][1] if found else None,
    )


def _known_channel(name: str, channels: Collection[str]) -> str | None:
    name = name.strip().lower()
    return name if name in channels else None
