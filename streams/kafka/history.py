"""Reading a past period of the input topics: no consumer group, no commit, nothing on the broker changes.

Records are fetched and decompressed as a worker does it, so that a replay reads what a worker reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as Place
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from streams.errors import BrokerUnavailableError, HistoryGoneError
from streams.kafka.connection import describe_connection, quiet_logger
from streams.kafka.credentials import build_credentials
from streams.kafka.decompression import BoundedDecompressor
from streams.kafka.disconnection import disconnect
from streams.kafka.fetching import FETCH_WAIT_MS, install_bounded_fetching
from streams.runtime.history_batches import BatchCutter, PartitionHistory, Position, make_batch, take_in_order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from streams.formats.events import Record
    from streams.runtime.batching import Batch
    from streams.runtime.history_batches import Placed
    from streams.settings import Settings

READ_RECORDS = 2_000
"""Records of a partition that are taken at a time: they bound the memory of a replay."""
WAIT_MS = 500
START_S = 15.0
_quiet = quiet_logger("holdfast.history.librdkafka")


@dataclass(frozen=True, slots=True)
class Period:
    """Offsets of every input partition, by (topic, partition).

    Attributes:
        begins: where reading begins.
        ends: the offsets before which it ends.
        shortened: the partitions whose earlier records were deleted: the period may have had more.
    """

    begins: Mapping[tuple[str, int], Position]
    ends: Mapping[tuple[str, int], int]
    shortened: Sequence[tuple[str, int]] = ()

    @property
    def records(self) -> int:
        """The offsets of the period; some may hold no record."""
        return sum(max(0, end - self.begins[place].offset) for place, end in self.ends.items())


class HistoryReader:
    """Reads input topics without a group.

    Args:
        settings: where Kafka is, the topics' prefix, and the limits of records and batches.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: Any = None

    async def open(self) -> None:
        """Connect.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        settings = self._settings
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.broker,
            client_id="holdfast-replay",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            **credentials_to_aiokafka_auth(build_credentials(settings)),
        )
        try:
            async with asyncio.timeout(START_S):
                await self._consumer.start()
        except (KafkaError, TimeoutError) as error:
            raise BrokerUnavailableError(
                f"no Kafka broker answered at {settings.broker} within {START_S:g} s; check HOLDFAST_BROKER"
            ) from error
        decompressor = BoundedDecompressor(settings.max_batch_bytes)
        install_bounded_fetching(self._consumer, decompressor, settings.max_event_bytes)

    async def close(self) -> None:
        """Close the connections."""
        if self._consumer is not None:
            await disconnect(self._consumer)

    async def find_period(self, begin: datetime, end: datetime, topics: Sequence[str] = ()) -> Period:
        """Return the offsets of the records from one time up to another, by the timestamps of the records.

        Where producers set times that go back, the period begins at the first record of that time or later.

        Args:
            begin: the first time.
            end: the time after the last.
            topics: full names; the input topics without them.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        places = [
            TopicPartition(topic, number)
            for topic in topics or self._settings.input_topics
            for number in sorted(await self._partitions_of(topic))
        ]
        try:
            self._consumer.assign(places)
            first = await self._consumer.beginning_offsets(places)
            last = await self._consumer.end_offsets(places)
            begins = await self._consumer.offsets_for_times(dict.fromkeys(places, _milliseconds(begin)))
            ends = await self._consumer.offsets_for_times(dict.fromkeys(places, _milliseconds(end)))
        except KafkaError as error:
            raise BrokerUnavailableError(f"Kafka did not say where the period is: {error}") from error
        found_ends = {each: min(ends[each].offset if ends[each] else last[each], last[each]) for each in places}
        found = {each: begins[each].offset if begins[each] else found_ends[each] for each in places}
        return Period(
            {_place(each): Position(min(found[each], found_ends[each]), 0) for each in places},
            {_place(each): found_ends[each] for each in places},
            [_place(each) for each in places if 0 < first[each] == found[each]],
        )

    async def _partitions_of(self, topic: str) -> set[int]:
        cluster: Any = self._consumer._client  # noqa: SLF001 - the consumer has metadata of assigned topics only
        await cluster.add_topic(topic)
        found = cluster.cluster.partitions_for_topic(topic)
        if not found:
            raise HistoryGoneError(f"topic {topic} is missing on the broker; create it with `holdfast topics create`")
        return cast("set[int]", found)

    async def read(self, period: Period) -> AsyncIterator[list[Placed]]:
        """Yield the records of a period in order, some at a time.

        Raises:
            HistoryGoneError: records of the period were deleted before they were read.
            BrokerUnavailableError: the broker does not answer.
        """
        by_number = dict(enumerate(sorted(period.ends)))
        histories = {
            number: PartitionHistory(number, period.begins[place], period.ends[place])
            for number, place in by_number.items()
        }
        places = {TopicPartition(*place): histories[number] for number, place in by_number.items()}
        waiting = {place for place, each in places.items() if each.position.offset < each.end}
        self._consumer.assign(list(places))
        for place, each in places.items():
            self._consumer.seek(place, each.position.offset)
        while waiting:
            for place, records in (await self._fetch([each for each in waiting if not len(places[each])])).items():
                places[place].add(records)
            for place in list(waiting):
                if await self._consumer.position(place) >= places[place].end:
                    waiting.discard(place)
            taken = list(
                take_in_order(histories.values(), (each.number for p, each in places.items() if p not in waiting))
            )
            if taken:
                yield taken

    async def _fetch(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, list[Record]]:
        if not places:
            return {}
        try:
            found = await self._consumer.getmany(*places, timeout_ms=WAIT_MS, max_records=READ_RECORDS * len(places))
        except OffsetOutOfRangeError as error:
            raise HistoryGoneError(
                f"records of the period were deleted before they were read ({error}); begin later, or keep the topics "
                "longer (retention.ms)"
            ) from error
        except KafkaError as error:
            raise BrokerUnavailableError(f"Kafka cannot be read: {error}") from error
        return cast("dict[TopicPartition, list[Record]]", found)


class HistorySource:
    """The batches of a period, as a worker collects them, and where each one ends.

    Args:
        reader: reads the period.
        period: what is left to read.
        most: records of a batch.
        together_ms: records of a customer that arrived within this time are decided together.
    """

    def __init__(self, reader: HistoryReader, period: Period, *, most: int, together_ms: int) -> None:
        self._placed = sorted(period.ends)
        self._batches = self._cut(reader, period, BatchCutter(most, together_ms))
        self._ends: deque[tuple[dict[tuple[str, int], Position], int]] = deque()
        self._collected = 0
        self._acknowledged = 0
        self._exhausted = False
        self.ended = asyncio.Event()

    async def collect(self) -> Batch:
        """Return the next batch; wait without end after the last one."""
        async for placed in self._batches:
            last = {each.partition: each for each in placed}
            ends = {self._placed[number]: Position(each.record.offset + 1, each.time) for number, each in last.items()}
            self._ends.append((ends, len(placed)))
            self._collected += 1
            return make_batch(placed)
        self._exhausted = True
        self._note_end()
        await asyncio.Event().wait()
        raise AssertionError("nothing sets the event")

    @property
    def committing(self) -> tuple[dict[tuple[str, int], Position], int]:
        """Where the earliest batch that is not committed ends, and its number of records."""
        return self._ends[0]

    def note_committed(self) -> None:
        """Count the earliest batch as committed."""
        self._ends.popleft()

    def acknowledge(self, _: Batch) -> None:
        """Count a batch as published, too."""
        self._acknowledged += 1
        self._note_end()

    def _note_end(self) -> None:
        if self._exhausted and self._acknowledged == self._collected:
            self.ended.set()

    async def _cut(self, reader: HistoryReader, period: Period, cutter: BatchCutter) -> AsyncIterator[list[Placed]]:
        async for taken in reader.read(period):
            for batch in cutter.cut(taken):
                yield batch
        if rest := cutter.take():
            yield rest


def count_undecided(settings: Settings, period: Period) -> int:
    """Return how many records of a period the workers' group has not committed; it does not join the group. Blocks.

    Raises:
        BrokerUnavailableError: the broker does not say.
    """
    client = Consumer({**describe_connection(settings), "group.id": settings.group}, logger=_quiet)
    try:
        found = client.committed([Place(topic, number) for topic, number in period.ends], timeout=START_S)
    except KafkaException as error:
        raise BrokerUnavailableError(
            f"Kafka does not say what group {settings.group} has committed: {error.args[0].str()}"
        ) from error
    finally:
        client.close()
    committed = {(each.topic, each.partition): max(each.offset, 0) for each in found}
    return sum(max(0, end - max(committed[place], period.begins[place].offset)) for place, end in period.ends.items())


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _place(each: TopicPartition) -> tuple[str, int]:
    return each.topic, each.partition
