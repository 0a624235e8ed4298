"""Events that campaigns wait for: those that are new, of customers who are members when they arrive. Pure.

An event counts once: one that was processed before makes no candidate when it is delivered again, though its customer
may be a member by now, or the campaign be new. Messages are remembered as folded. Updates are remembered where a
campaign waits for them, and not otherwise: there are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.candidates import EventOccurrence
from campaigns.definition import CustomerEvent
from streams.customers import is_member_now, trigger_context

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from campaigns.candidates import Definitions
    from campaigns.ports import CustomerKey, LedgerState
    from features.signals import Message
    from segments.engine import Transition
    from streams.formats.events import Event, EventsByKind


def awaited_updates(events: EventsByKind, definitions: Definitions) -> Mapping[CustomerKey, Event]:
    """Return the updates that a campaign waits for, by the key under which the ledger remembers them."""
    if CustomerEvent.UPDATED not in definitions.waiting_for_event:
        return {}
    updates: dict[CustomerKey, Event] = {}
    for event in events.updated:
        # A message may have the same id.
        updates.setdefault((event.customer_id, f"{CustomerEvent.UPDATED} {event.wire.id}"), event)
    return updates


def find_occurrences(
    said: Sequence[Event],
    fresh: Mapping[str, Sequence[Message]],
    updates: Collection[Event],
    definitions: Definitions,
    state: LedgerState,
    transitions: Sequence[Transition],
) -> list[EventOccurrence]:
    """Return the events of members that campaigns wait for, in the order of arrival; each event is one of its own.

    Args:
        said: the messages of the batch as events.
        fresh: those of them that are new, by customer.
        updates: the updates that are new and that a campaign waits for.
        definitions: the campaigns.
        state: the memberships before the batch.
        transitions: how they changed.
    """
    if not definitions.waiting_for_event:
        return []
    moved = {(each.customer_id, each.segment): each.kind == "entered" for each in transitions}
    occurred = {CustomerEvent.UPDATED: updates, CustomerEvent.MESSAGE: list(_written(said, fresh))}
    return [
        EventOccurrence(event.customer_id, campaign, trigger_context(event))
        for kind, happened in occurred.items()
        for event in happened
        for campaign in definitions.waiting_for_event.get(kind, ())
        if is_member_now(event.customer_id, campaign.segment, state.memberships, moved)
    ]


def _written(said: Sequence[Event], fresh: Mapping[str, Sequence[Message]]) -> Iterator[Event]:
    """Yield the new messages that customers wrote, each id once."""
    new = {(customer, each.id) for customer, messages in fresh.items() for each in messages if each.role == "customer"}
    for event in said:
        key = (event.customer_id, event.wire.id)
        if key in new:
            new.discard(key)
            yield event
