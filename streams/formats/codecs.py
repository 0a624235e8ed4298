"""The decoder of each topic, and decoding a batch with the decoder of each record's topic. Pure."""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from campaigns.feedback import FeedbackKind
from streams.formats.events import OUTCOMES, Decoded, Event, EventsByKind
from streams.formats.foreign import FORMATS, foreign_decoder
from streams.formats.leads import TYPES as LEAD_TYPES
from streams.formats.leads import LeadEvent, lead_decoder
from streams.formats.native import native_decoder
from streams.formats.validation import ID_FIELD, MAX_EVENT_BYTES, MAX_FUTURE_S, limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.formats.events import Record, Reject
    from streams.formats.schemas import Schemas
    from streams.formats.validation import Limits

NATIVE, LEADS = "native", "leads"
FORMAT_NAMES = (NATIVE, *FORMATS)
# The types that each topic carries, and the kind of each.
TYPES: Mapping[str, Mapping[str, str]] = {
    "customer-updates": {"customer.updated": "customer"},
    "conversations": {"conversation.message": "conversation"},
    "outcomes": {
        **{f"outcome.{outcome}": "outcome" for outcome in OUTCOMES},
        **{f"feedback.{kind}": "feedback" for kind in FeedbackKind},
    },
    LEADS: LEAD_TYPES,
    "evaluations": {"evaluation.requested": "evaluation", "evaluation.definitions_changed": "reevaluation"},
}


def decode_records(
    records: Sequence[Record],
    *,
    topic_prefix: str = "",
    formats: Mapping[str, str] = MappingProxyType({}),
    max_bytes: int = MAX_EVENT_BYTES,
    max_future_s: float = MAX_FUTURE_S,
    id_field: str = ID_FIELD,
    schemas: Schemas | None = None,
) -> Decoded:
    """Decode a batch; each record ends as one event or one reject.

    Args:
        records: the batch.
        topic_prefix: precedes every topic's name.
        formats: the format of each topic, by its name without the prefix, one of FORMAT_NAMES; the format of each
            record is detected on a topic that is not named.
        max_bytes: largest value of a record.
        max_future_s: an event may be dated so many seconds after its record's Kafka timestamp.
        id_field: the field of the customer id in formats other than Holdfast's own JSON.
        schemas: those of records in Confluent's wire format; None without a schema registry.
    """
    limits = limit(records, max_bytes=max_bytes, max_future_s=max_future_s, id_field=id_field, schemas=schemas)
    names = {topic: topic.removeprefix(topic_prefix) for topic in {record.topic for record in records}}
    decoders = {
        topic: lead_decoder(limits) if name == LEADS else find_decoder(formats.get(name), TYPES[name], limits)
        for topic, name in names.items()
    }
    kinds: dict[str, list[Event]] = defaultdict(list)
    leads: list[LeadEvent] = []
    rejects: list[Reject] = []
    for record in records:
        outcome = decoders[record.topic](record)
        if isinstance(outcome, Event):
            kinds[outcome.kind].append(outcome)
        elif isinstance(outcome, LeadEvent):
            leads.append(outcome)
        else:
            rejects.append(outcome)
    events = EventsByKind(
        kinds["customer"],
        kinds["conversation"],
        kinds["evaluation"],
        kinds["outcome"],
        kinds["snapshot"],
        kinds["deletion"],
        kinds["reevaluation"],
        kinds["feedback"],
        leads,
    )
    return Decoded(events, rejects)


def find_decoder(name: str | None, types: Mapping[str, str], limits: Limits) -> Callable[[Record], Event | Reject]:
    """Return the decoder of a topic with this format, or with any where `name` is None.

    Holdfast's own JSON is tried first: its decoder is many times as fast as the detection of another format.

    Raises:
        KeyError: there is no such format.
    """
    if name is None:
        return native_decoder(types, limits, tuple(FORMATS.values()))
    return native_decoder(types, limits) if name == NATIVE else foreign_decoder(types, limits, FORMATS[name])
