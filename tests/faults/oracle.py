"""The externally visible outcome of a run, and the differences between a disturbed run and an undisturbed one."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg
from confluent_kafka import Consumer, TopicPartition

from streams.settings import INPUT_TOPICS, OUTPUT_TOPICS
from tests.faults.scenario import PARTITIONS
from tests.journey.workplace import read_committed

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping
    from typing import LiteralString

    from tests.journey.workplace import Seen

LEDGER: Mapping[str, LiteralString] = {
    "memberships": "SELECT customer_id, segment, episode, is_member FROM membership",
    "signals": "SELECT customer_id, signals::text FROM signal",
    "decision rows": "SELECT customer_id, decision_id::text, campaign, occasion, outcome, reason FROM decision",
    "contacts": "SELECT customer_id, trigger_id::text, variant, channel FROM contact",
}
UNSENT = "SELECT count(*) FROM outbox WHERE sent_at IS NULL"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that must be equal in two runs of one input: the number of each item, by kind."""

    things: Mapping[str, Counter[Hashable]]
    unsent: int

    @property
    def triggers(self) -> int:
        """Number of distinct triggers."""
        return len(self.things["campaign_triggers"])

    def count_silent(self) -> int:
        """Return the number of triggers of customers who fell silent."""
        return sum(1 for _, _, campaign, *_ in self.things["campaign_triggers"] if campaign == "to-silent")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The items that a disturbed run lost, duplicated or added; all empty if it is correct."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """One sentence per kind, with the number of items and the first of them; empty if the run is correct."""
        kinds = {"lost": self.lost, "doubled": self.doubled, "differing": self.differing}
        return [f"{len(things)} {name}: {things[:3]}" for name, things in kinds.items() if things]


def forget_dead_letters(outcome: Outcome) -> Outcome:
    """Return the outcome without dead letters, for comparison with a run of the input without its poison."""
    return replace(outcome, things={**outcome.things, "dead_letters": Counter()})


def forget_signals(outcome: Outcome, names: Collection[str]) -> Outcome:
    """Return the outcome without some signals of customers, for workers of a version that does not keep them."""

    def forget(signals: str) -> str:
        return json.dumps({name: each for name, each in json.loads(signals).items() if name not in names})

    kept = Counter((customer, forget(signals)) for customer, signals in outcome.things["signals"].elements())
    return replace(outcome, things={**outcome.things, "signals": kept})


def collect(broker: str, prefix: str, ledger_url: str) -> Outcome:
    """Read the outgoing topics as a read_committed consumer, and the ledger."""
    things: dict[str, Counter[Hashable]] = {
        destination: Counter(_name(destination, seen, prefix) for seen in read_committed(broker, prefix + topic))
        for destination, topic in OUTPUT_TOPICS.items()
    }
    with psycopg.connect(ledger_url) as ledger:
        for kind, query in LEDGER.items():
            things[kind] = Counter(ledger.execute(query).fetchall())
        unsent = (ledger.execute(UNSENT).fetchone() or (0,))[0]
    return Outcome(things, unsent)


def _name(destination: str, seen: Seen, prefix: str) -> Hashable:
    """Return an identity of a message that is the same in every run."""
    if destination == "dead_letters":
        place = seen.header("holdfast_topic").removeprefix(prefix), seen.header("holdfast_partition")
        return *place, seen.header("holdfast_offset"), seen.header("holdfast_reason"), seen.key, seen.value
    body: dict[str, Any] = json.loads(seen.value or b"")
    if destination == "segment_transitions":
        return body["transition_id"], body["customer_id"], body["segment"], body["transition"], body["episode"]
    decision = body.get("outcome"), body.get("reason")
    return body["trigger_id"], body["customer_id"], body["campaign"], body["occasion"], *decision


def compare(undisturbed: Outcome, disturbed: Outcome) -> Verdict:
    """Return what the disturbed run has lost, duplicated or changed."""
    verdict = Verdict()
    for kind, expected in undisturbed.things.items():
        found = disturbed.things[kind]
        verdict.lost.extend(f"{kind}: {thing}" for thing in expected if thing not in found)
        verdict.differing.extend(f"{kind}: {thing}" for thing in found if thing not in expected)
        verdict.doubled.extend(
            f"{kind}: {thing} {n} times" for thing, n in found.items() if n > max(1, expected[thing])
        )
    if disturbed.unsent:
        verdict.lost.append(f"{disturbed.unsent} outbox rows are not marked sent")
    return verdict


class Progress:
    """The committed progress of a consumer group.

    Attributes:
        partitions: number of each input topic's partitions.
    """

    def __init__(self, broker: str, prefix: str, group: str) -> None:
        self._client = Consumer({"bootstrap.servers": broker, "group.id": group, "log_level": 0})
        self._topics = [prefix + topic for topic in INPUT_TOPICS]
        self.partitions = PARTITIONS

    def committed(self) -> int:
        """Return the number of records committed."""
        return sum(place.offset for place in self.places())

    def places(self) -> list[TopicPartition]:
        """Return every partition with its committed offset."""
        asked = [TopicPartition(topic, number) for topic in self._topics for number in range(self.partitions)]
        found = self._client.committed(asked, timeout=20)
        return [TopicPartition(each.topic, each.partition, max(each.offset, 0)) for each in found]

    def ends(self) -> list[TopicPartition]:
        """Return every partition with its end offset."""
        return [
            TopicPartition(each.topic, each.partition, self._client.get_watermark_offsets(each, timeout=20)[1])
            for each in self.places()
        ]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
