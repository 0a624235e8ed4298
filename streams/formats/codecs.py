"""The decoder of each format, and decoding a batch with the decoder of each record's topic. Pure.

A format is one file with a function of the shape of `native_decoder`, and one line in DECODERS.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from streams.formats.events import OUTCOMES, Decoded, Event, EventsByKind
from streams.formats.native import native_decoder
from streams.formats.validation import MAX_EVENT_BYTES, MAX_FUTURE_S, limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.formats.events import Record, Reject

DECODERS = {"native": native_decoder}
# The types that each topic carries, and the kind of each.
TYPES = {
    "customer-updates": {"customer.updated": "customer"},
    "conversations": {"conversation.message": "conversation"},
    "outcomes": {f"outcome.{outcome}": "outcome" for outcome in OUTCOMES},
    "evaluations": {"evaluation.requested": "evaluation"},
}


def decode_records(
    records: Sequence[Record],
    *,
    topic_prefix: str = "",
    formats: Mapping[str, str] = MappingProxyType({}),
    max_bytes: int = MAX_EVENT_BYTES,
    max_future_s: float = MAX_FUTURE_S,
) -> Decoded:
    """Decode a batch; each record ends as one event or one reject.

    Args:
        records: the batch.
        topic_prefix: precedes every topic's name.
        formats: the format of each topic, by its name without the prefix; "native" for those not named.
        max_bytes: largest value of a record.
        max_future_s: an event may be dated so many seconds after its record's Kafka timestamp.
    """
    limits = limit(records, max_bytes=max_bytes, max_future_s=max_future_s)
    names = {topic: topic.removeprefix(topic_prefix) for topic in {record.topic for record in records}}
    decoders = {topic: DECODERS[formats.get(name, "native")](TYPES[name], limits) for topic, name in names.items()}
    kinds: dict[str, list[Event]] = defaultdict(list)
    rejects: list[Reject] = []
    for record in records:
        outcome = decoders[record.topic](record)
        if isinstance(outcome, Event):
            kinds[outcome.kind].append(outcome)
        else:
            rejects.append(outcome)
    events = EventsByKind(kinds["customer"], kinds["conversation"], kinds["evaluation"], kinds["outcome"])
    return Decoded(events, rejects)
