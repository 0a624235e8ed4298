"""Membership transitions as CloudEvents: a customer enters a segment, or leaves it. Pure."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import msgspec

from campaigns.triggers import RECEIVED_HEADER, Message, describe_cause, describe_event

if TYPE_CHECKING:
    from campaigns.candidates import TriggerContext
    from segments.engine import Transition

TRANSITION_TYPE = b"holdfast.segment.transition.v1"
DESTINATION = "segment_transitions"
# Never change it: every transition id derives from it.
TRANSITION_NAMESPACE = uuid.UUID("0c6b7c1e-3f0e-5a8e-9b47-5d3d0f0a6c52")


def transition_message(transition: Transition, context: TriggerContext, version: str) -> Message:
    """Return the message about a transition.

    Args:
        transition: the transition.
        context: the event that it happened at.
        version: the version of the segment.
    """
    message_id = derive_transition_id(transition)
    body = {
        "transition_id": message_id,
        "customer_id": transition.customer_id,
        "segment": transition.segment,
        "transition": transition.kind,
        "episode": transition.episode,
        "as_of": context.as_of,
        "caused_by": context.event_id,
        "version": version,
        "suppressed": transition.suppressed,
        "suppressed_reason": transition.suppressed_reason,
    }
    customer = transition.customer_id.encode()
    headers = (
        *describe_event(message_id, TRANSITION_TYPE),
        *describe_cause(customer, context.as_of, context.event_id.encode()),
        ("content-type", b"application/json"),
        (RECEIVED_HEADER, b"%d" % context.received_ms),
    )
    value = msgspec.json.encode(body)
    return Message(message_id, transition.customer_id, DESTINATION, customer, headers, value, context.partition)


def derive_transition_id(transition: Transition) -> str:
    """Return UUIDv5 of (customer, segment, episode, entered or exited): each happens once."""
    parts = [transition.customer_id, transition.segment, transition.episode, transition.kind]
    return str(uuid.uuid5(TRANSITION_NAMESPACE, json.dumps(parts)))
