"""The self-check: every outbox message of the ledger is on its topic exactly once, and every event is accounted for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from streams.kafka.connection import describe_connection

if TYPE_CHECKING:
    from confluent_kafka import Message

    from streams.settings import Settings

TIMEOUT_S = 10.0
# consume() waits this long if fewer messages than requested are left.
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The result of the self-check; ids are counted over all outgoing topics."""

    triggers: int
    control: int
    decisions: int
    dead_letters: int
    duplicates: int
    missing: int
    unexpected: int
    events_in: int
    events_decided: int

    @property
    def unaccounted(self) -> int:
        """Input events that were neither decided nor folded nor dead-lettered."""
        return self.events_in - self.events_decided - self.dead_letters

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, duplicated or added."""
        return not (self.duplicates or self.missing or self.unexpected or self.unaccounted)


def check(settings: Settings, *, events_in: int, events_decided: int) -> SelfCheck:
    """Compare the ledger's outbox with the messages that a read_committed consumer finds on the outgoing topics."""
    expected = _outbox(settings.ledger_url)
    found = {destination: _read_ids(settings, topic) for destination, topic in settings.output_topics.items()}
    here = Counter((destination, message_id) for destination, ids in found.items() for message_id in ids)
    return SelfCheck(
        triggers=len(found["campaign_triggers"]),
        control=len(found["control"]),
        decisions=len(found["decisions"]),
        dead_letters=len(found["dead_letters"]),
        duplicates=sum(count - 1 for count in here.values()),
        missing=len(expected - here.keys()),
        unexpected=len(here.keys() - expected),
        events_in=events_in,
        events_decided=events_decided,
    )


def _outbox(ledger_url: str) -> set[tuple[str, str]]:
    with psycopg.connect(ledger_url) as ledger:
        return {(row[0], row[1]) for row in ledger.execute("SELECT destination, message_id FROM outbox")}


def _read_ids(settings: Settings, topic: str) -> list[str]:
    """Return the id of every committed message of a topic."""
    properties = {
        **describe_connection(settings),
        "group.id": "holdfast.demo-check",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
    }
    consumer = Consumer(properties)
    try:
        partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        return _drain(consumer, len(partitions))
    finally:
        consumer.close()


def _drain(consumer: Consumer, partitions: int) -> list[str]:
    ids: list[str] = []
    ended = 0
    while ended < partitions:
        for record in consumer.consume(1000, POLL_S):
            if record.error() is not None:
                ended += 1
            else:
                ids.append(_message_id(record))
    return ids


def _message_id(record: Message) -> str:
    headers = dict(record.headers() or [])
    found = headers.get("holdfast_dead_letter_id") or headers["ce_id"]
    return found.decode() if isinstance(found, bytes) else str(found)
