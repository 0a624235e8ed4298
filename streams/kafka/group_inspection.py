"""A look at the workers' consumer group from outside: members, lag, and the age of what waits."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from faust.types import TP

from streams.errors import BrokerUnavailableError, TopicLayoutError
from streams.kafka.connection import describe_connection, quiet_logger
from streams.kafka.record_samples import read_records
from streams.observability.lag_monitor import KafkaEnds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from datetime import datetime
    from typing import Any

    from streams.settings import Settings

ID_SHOWN = 8

_quiet = quiet_logger("holdfast.inspection.librdkafka")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the group.

    Attributes:
        name: its instance id, or the end of the id that Kafka gave it.
        host: its address as the broker sees it.
        partitions: of each topic, those that it owns.
    """

    name: str
    host: str
    partitions: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Group:
    """The group: its state in Kafka's words, `absent` where it never had a member, and its members."""

    state: str
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Position:
    """How far the group has come in a partition: the next offset to commit, and the end of what can be read."""

    committed: int
    end: int

    @property
    def lag(self) -> int:
        """The offsets that wait."""
        return max(self.end - self.committed, 0)


@dataclass(frozen=True, slots=True)
class Positions:
    """The positions of all partitions of the input topics at a time of the monotonic clock, s."""

    at: float
    by_partition: Mapping[tuple[str, int], Position]

    @property
    def committed(self) -> int:
        """The offsets committed in all partitions."""
        return sum(each.committed for each in self.by_partition.values())


class GroupInspector:
    """Asks the broker about the group of the settings, and joins nothing.

    Args:
        settings: where Kafka is, the group and the topics.
        timeout_s: the longest wait for each answer.
    """

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._group, self._topics = settings.group, settings.input_topics
        self._broker = settings.broker
        self._timeout_s = timeout_s
        self._connection = describe_connection(settings)
        self._admin = AdminClient(dict(self._connection), logger=_quiet)

    def measure(self) -> tuple[int, float]:
        """Return the number of brokers, and the seconds of a round trip.

        Raises:
            BrokerUnavailableError: no broker answers in time.
        """
        self._ask(self._admin.describe_cluster(request_timeout=self._timeout_s))  # connects
        begun = time.monotonic()
        cluster = self._ask(self._admin.describe_cluster(request_timeout=self._timeout_s))
        return len(cluster.nodes), time.monotonic() - begun

    def find_group(self) -> Group:
        """Return the group.

        Raises:
            BrokerUnavailableError: the broker does not answer in time.
        """
        asked = self._admin.describe_consumer_groups([self._group], request_timeout=self._timeout_s)
        try:
            found = self._ask(asked[self._group])
        except _NoGroupError:
            return Group("absent", ())
        state = found.state.name.lower()
        return Group("absent" if state == "dead" else state, [_member(each) for each in found.members])

    def find_positions(self) -> Positions:
        """Return how far the group has come.

        Raises:
            BrokerUnavailableError: the broker does not answer in time.
            TopicLayoutError: an input topic is missing.
        """
        places = [TP(topic, number) for topic, count in self._count_partitions().items() for number in range(count)]
        ends = asyncio.run(KafkaEnds(self._connection, answer_s=self._timeout_s).find(places))
        committed = self._find_committed()
        positions = {}
        for place, progress in ends.items():
            first, end = progress.committed or 0, progress.end or 0
            positions[(place.topic, place.partition)] = Position(
                committed.get((place.topic, place.partition), first), end
            )
        return Positions(time.monotonic(), positions)

    def find_oldest(self, positions: Positions) -> Mapping[str, datetime]:
        """Return the time of the oldest record that waits, by topic; topics without lag are left out.

        Raises:
            BrokerUnavailableError: the broker cannot be read from.
        """
        waiting = {place: each.committed for place, each in positions.by_partition.items() if each.lag}
        found = read_records(self._connection, waiting, count=1, timeout_s=self._timeout_s)
        oldest: dict[str, datetime] = {}
        for record in found:
            if record.at is not None:
                oldest[record.topic] = min(record.at, oldest.get(record.topic, record.at))
        return oldest

    def _count_partitions(self) -> dict[str, int]:
        try:
            topics = self._admin.list_topics(timeout=self._timeout_s).topics
        except KafkaException as error:
            raise self._unavailable(error) from error
        if missing := [topic for topic in self._topics if topic not in topics]:
            raise TopicLayoutError(
                f"topics missing on the broker: {', '.join(missing)}; create them with `holdfast topics create`"
            )
        return {topic: len(topics[topic].partitions) for topic in self._topics}

    def _find_committed(self) -> dict[tuple[str, int], int]:
        wanted = ConsumerGroupTopicPartitions(self._group)
        asked = self._admin.list_consumer_group_offsets([wanted], request_timeout=self._timeout_s)
        try:
            found = self._ask(asked[self._group])
        except _NoGroupError:
            return {}
        return {(each.topic, each.partition): each.offset for each in found.topic_partitions if each.offset >= 0}

    def _ask(self, asked: Future[Any]) -> Any:
        try:
            return asked.result(self._timeout_s)
        except TimeoutError as error:
            raise BrokerUnavailableError(f"no answer within {self._timeout_s:g} s") from error
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                raise _NoGroupError from error
            raise self._unavailable(error) from error

    def _unavailable(self, error: KafkaException) -> BrokerUnavailableError:
        return BrokerUnavailableError(
            f"no Kafka broker answered at {self._broker} within {self._timeout_s:g} s ({error.args[0].str()})"
        )


class _NoGroupError(Exception):
    """The group never had a member, or lost its offsets."""


def _member(found: Any) -> Member:
    partitions: dict[str, list[int]] = {}
    for place in found.assignment.topic_partitions:
        partitions.setdefault(place.topic, []).append(place.partition)
    host = found.host.removeprefix("/")
    return Member(
        found.group_instance_id or f"…{found.member_id[-ID_SHOWN:]}",
        host,
        {t: sorted(n) for t, n in partitions.items()},
    )
