"""Requests to apply changed definitions to customers without an event: which of them count. Pure."""

from __future__ import annotations

from dataclasses import replace

from streams.formats.events import Decoded, EventsByKind


def select_reevaluations(decoded: Decoded, fingerprint: str) -> Decoded:
    """Leave out the requests for other definitions than those in force, and of customers with an event in the batch.

    Such an event evaluates the customer under the definitions in force, so nothing is left for the request.

    Args:
        decoded: the events of a batch.
        fingerprint: of the segments in force, see segments.definition.fingerprint.
    """
    events = decoded.events
    if not events.reevaluated:
        return decoded
    others = {event.customer_id for kind in (events.updated, events.said, events.requested) for event in kind}
    kept = [
        event
        for event in events.reevaluated
        if event.wire.definitions == fingerprint and event.customer_id not in others
    ]
    return Decoded(replace(events, reevaluated=kept), decoded.rejects)


def customers_without_event(events: EventsByKind) -> frozenset[str]:
    """Return the customers who are evaluated for no other reason than changed definitions."""
    return frozenset(event.customer_id for event in events.reevaluated)
