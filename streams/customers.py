"""The customers of a batch: those without a row, their messages, the event each is evaluated at. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Literal
from unicodedata import normalize

from campaigns.breaker import hour_of
from campaigns.candidates import TriggerContext
from features.signals import Message
from features.times import CUSTOMER_SINCE, parse_time
from segments.engine import evaluates_silently
from streams.due_customers import is_due
from streams.formats.events import Decoded, Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import timedelta

    from campaigns.ports import HourRange
    from features.signals import MessageReading
    from features.table import FeatureTable
    from segments.engine import Activation, MembershipState
    from streams.formats.events import Event, EventsByKind

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def reject_unknown_customers(
    decoded: Decoded, customers: Iterable[str], table: FeatureTable, duplicates: Mapping[str, int]
) -> Decoded:
    """Reject the events of customers that do not have exactly one row in the warehouse.

    A request for re-evaluation, or because a customer is due, is left out instead: no one waits for it, and a row may
    go while it is on its way.

    Args:
        decoded: all events of the batch; an outcome needs no row.
        customers: the customers to evaluate.
        table: those with one row.
        duplicates: the number of rows of each customer with several.
    """
    unknown = set(customers).difference(table.customer_ids)
    if not unknown:
        return decoded
    events = decoded.events
    awaited = (events.updated, events.said, events.requested, events.snapshots)
    refused = [
        _reject_customer(each, duplicates)
        for kind in awaited
        for each in kind
        if each.customer_id in unknown and not is_due(each)
    ]
    updated, said, requested, snapshots, reevaluated = (
        [each for each in kind if each.customer_id not in unknown] for kind in (*awaited, events.reevaluated)
    )
    known = replace(
        events, updated=updated, said=said, requested=requested, snapshots=snapshots, reevaluated=reevaluated
    )
    return replace(decoded, events=known, rejects=[*decoded.rejects, *refused])


def _reject_customer(event: Event, duplicates: Mapping[str, int]) -> Reject:
    if rows := duplicates.get(event.customer_id):
        detail = f"the warehouse has {rows} rows of this customer; leave one, then requeue the event"
        reason = RejectReason.DUPLICATE_CUSTOMER
    else:
        detail = f"the warehouse has no such customer; when it does, send the event again{_hint(event.customer_id)}"
        reason = RejectReason.UNKNOWN_CUSTOMER
    return Reject(event.record, "refresh", reason, f"{event.customer_id!r}: {detail}")


def _hint(customer_id: str) -> str:
    """Return what may differ between an id and that of the warehouse, which is compared as it is written."""
    if customer_id.strip() != customer_id:
        return "; the id has blanks around it"
    if normalize("NFC", customer_id) != customer_id:
        return "; the id is not in Unicode's normal form C, in which most text is"
    if customer_id.isdecimal() and customer_id.startswith("0") and len(customer_id) > 1:
        return f"; where ids are integers, send {int(customer_id)}"
    if _UUID.fullmatch(customer_id) and customer_id != customer_id.lower():
        return f"; where ids are UUIDs, send {customer_id.lower()}"
    return ""


def latest_events(events: Sequence[Event]) -> dict[str, Event]:
    """Return for each customer the event with the latest event time; of equals, the one that arrived last."""
    latest: dict[str, Event] = {}
    for event in events:
        known = latest.setdefault(event.customer_id, event)
        if known is not event and event.wire.occurred_at >= known.wire.occurred_at:
            latest[event.customer_id] = event
    return latest


def latest_times(events: Sequence[Event]) -> dict[str, datetime]:
    """Return the latest event time of each customer."""
    return {customer: event.wire.occurred_at for customer, event in latest_events(events).items()}


def evaluation_times(
    latest: Mapping[str, Event], customers: Iterable[str], last_transitions: Mapping[str, datetime]
) -> dict[str, datetime]:
    """Return the time as of which each customer is evaluated: of the latest event, or of a later transition.

    For a customer whom time has moved, time does not go back: an older event that is delivered after that, or again,
    would let them leave, and enter a second time.

    Args:
        latest: the latest event of each customer.
        customers: who is evaluated.
        last_transitions: when each customer last entered or left a segment, where rules depend on time.
    """
    as_of = {customer: latest[customer].wire.occurred_at for customer in customers}
    as_of.update((each, at) for each, at in last_transitions.items() if at > as_of[each])
    return as_of


def read_fresh(events: EventsByKind) -> Iterator[Event]:
    """Yield the events after which a customer's row is read from the warehouse and not from the cache."""
    return chain(events.updated, events.snapshots, events.deleted, filter(is_due, events.requested))


def limits_begin(events: Sequence[Event], window: timedelta) -> datetime | None:
    """Return the time after which contacts count against limits at any of these events, None if none counts."""
    if not events or not window:
        return None
    earliest = min(event.wire.occurred_at for event in events)
    return earliest - window if earliest - _BEGINNING > window else _BEGINNING


def hours_counted(events: Sequence[Event], hours: int) -> list[HourRange]:
    """Return the clock hours whose contacts count for breakers at these events: apart where the events are.

    Args:
        events: of the batch.
        hours: the longest window of a breaker; 0 without breakers.
    """
    ranges: list[HourRange] = []
    if not hours:
        return ranges
    for hour in sorted({hour_of(event.wire.occurred_at) for event in events}):
        first, last = hour - hours + 1, hour + hours - 1
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], last
        else:
            ranges.append((first, last))
    return ranges


def leave_out_snapshots(
    table: FeatureTable,
    events: EventsByKind,
    memberships: Mapping[str, MembershipState],
    activations: Mapping[str, Activation],
) -> FeatureTable:
    """Leave out the customers of snapshots whose evaluation could fire.

    A customer with no other events is evaluated if that sets the first memberships and nothing else. For any other
    customer the next event finds what has changed, so neither order nor batching makes a difference.
    """
    if not events.snapshots:
        return table
    evaluated = (events.updated, events.said, events.requested, events.reevaluated)
    others = {event.customer_id for kind in evaluated for event in kind}
    only = {event.customer_id for event in events.snapshots} - others
    joined = joined_at(table)
    kept = [
        place
        for place, customer in enumerate(table.customer_ids)
        if customer not in only or evaluates_silently(memberships.get(customer), activations, joined.get(customer))
    ]
    return table.take(kept)


def trigger_context(event: Event, as_of: datetime | None = None) -> TriggerContext:
    """Return what a decision records of its event, and the time of the evaluation where that is another one."""
    record = event.record
    return TriggerContext(event.wire.id, as_of or event.wire.occurred_at, record.timestamp, record.partition)


def is_member_now(
    customer_id: str, segment: str, held: Mapping[str, MembershipState], moved: Mapping[tuple[str, str], bool]
) -> bool:
    """Return whether a customer is a member after a batch.

    Args:
        customer_id: the customer.
        segment: the segment's key.
        held: the memberships before the batch, by customer.
        moved: whether the customer entered, for each customer and segment with a transition.
    """
    state = held.get(customer_id)
    episode = state.members.get(segment) if state else None
    return moved.get((customer_id, segment), episode is not None and episode.is_member)


def messages_by_customer(
    said: Sequence[Event], read: Callable[[Sequence[str]], Sequence[MessageReading]]
) -> dict[str, list[Message]]:
    """Return the messages of each customer in event order; each is read once, all in one call."""
    distinct: dict[tuple[str, str], Event] = {}
    for event in sorted(said, key=lambda event: event.wire.occurred_at):
        distinct.setdefault((event.wire.customer_id, event.wire.id), event)
    wires = [event.wire for event in distinct.values()]
    messages: dict[str, list[Message]] = defaultdict(list)
    for wire, reading in zip(wires, read([wire.text or "" for wire in wires]), strict=True):
        role: Literal["customer", "agent"] = "customer" if wire.role == "customer" else "agent"
        messages[wire.customer_id].append(Message(wire.id, wire.occurred_at, role, reading))
    return dict(messages)


def unseen(messages: Mapping[str, list[Message]], seen: Collection[tuple[str, str]]) -> dict[str, list[Message]]:
    """Return the messages that have not been folded yet, by customer; `seen` has pairs of customer and message id."""
    fresh = {
        customer: [each for each in said if (customer, each.id) not in seen] for customer, said in messages.items()
    }
    return {customer: said for customer, said in fresh.items() if said}


class JoinTimes(Mapping[str, "datetime | None"]):
    """When each customer joined, None where it is unknown; parsed on access, since few transitions need it."""

    def __init__(self, customer_ids: Sequence[str], cells: Iterable[object]) -> None:
        self._cells = dict(zip(customer_ids, cells, strict=True))

    def __getitem__(self, customer_id: str) -> datetime | None:
        return parse_time(self._cells[customer_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


def joined_at(table: FeatureTable) -> Mapping[str, datetime | None]:
    """Return when each customer joined, if the view has a column `customer_since`; otherwise nothing."""
    if CUSTOMER_SINCE not in table.columns:
        return {}
    return JoinTimes(table.customer_ids, table.columns[CUSTOMER_SINCE])
