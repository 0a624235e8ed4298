from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.consumer.group_coordinator import GroupCoordinator
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from faust.types import TP

from streams.errors import TopicLayoutError
from streams.kafka.app import AppSettings, StreamApp, build_app, run_app
from streams.kafka.fetching import FetchedRecord
from streams.kafka.history import HistoryReader
from streams.kafka.key_partitions import choose_partition
from streams.kafka.topics import create_topics, verify_topics
from streams.observability.lag_monitor import KafkaEnds
from streams.observability.liveness import Progress
from streams.runtime.batching import Collector
from streams.settings import Settings
from tests.journey.workplace import set_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from console.embedded.services import EmbeddedServices, Endpoints
    from streams.runtime.batching import Batch, Chunk

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 45.0


class Journey:
    """The topics of one test, and the committed offsets of its group."""

    def __init__(self, broker: str, prefix: str) -> None:
        self.broker = broker
        self.group = f"{prefix}group"
        self.prefix = prefix
        self.partitions: list[TopicPartition] = []

    def create(self, *names: str, partitions: int = 4) -> tuple[str, ...]:
        """Create topics and return their full names."""
        topics = tuple(self.prefix + name for name in names)
        create_topics(self.broker, topics, partitions)
        self.partitions += [TopicPartition(topic, n) for topic in topics for n in range(partitions)]
        return topics

    def produce(self, count: int, *, transactional: bool = False, size: int = 0) -> None:
        """Write records, of at least so many bytes each, evenly over all partitions.

        Transactional: in transactions of ten, every third one aborted.
        """
        transaction = {"transactional.id": self.group} if transactional else {}
        producer = Producer({"bootstrap.servers": self.broker, "linger.ms": 5, **transaction})
        for begin in range(0, count, 10) if transactional else ():
            _write_transaction(producer, self.partitions, begin)
        for number in range(0 if transactional else count):
            one = self.partitions[number % len(self.partitions)]
            producer.produce(one.topic, (b"event %d" % number).ljust(size), partition=one.partition)
        producer.flush()

    def settings(self, *topics: str) -> AppSettings:
        """Return the settings of a worker that commits often, in small chunks."""
        return AppSettings(self.broker, self.group, topics, commit_interval_s=0.1, chunk_records=100)

    def committed(self) -> dict[tuple[str, int], int]:
        """Return the committed offsets of the group; partitions without a commit are missing."""
        with self._client() as client:
            found = client.committed(self.partitions, timeout=10)
        return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def ends(self) -> dict[tuple[str, int], int]:
        """Return the end offset of each partition, transaction markers included."""
        with self._client() as client:
            return {
                (one.topic, one.partition): client.get_watermark_offsets(one, timeout=10)[1] for one in self.partitions
            }

    def delete_before(self, topic: str, offset: int) -> None:
        """Delete the records of partition 0 before an offset, as retention does."""
        client = AdminClient({"bootstrap.servers": self.broker})
        for done in client.delete_records([TopicPartition(topic, 0, offset)]).values():
            done.result(10)

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        client = AdminClient({"bootstrap.servers": self.broker})
        client.delete_topics([topic])[topic].result(10)

    def delete_group(self) -> None:
        """Delete the group with its offsets, as the broker does when they expire."""
        client = AdminClient({"bootstrap.servers": self.broker})
        for done in client.delete_consumer_groups([self.group]).values():
            done.result(10)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Consumer]:
        client = Consumer({"bootstrap.servers": self.broker, "group.id": self.group})
        try:
            yield client
        finally:
            client.close()


def _write_transaction(producer: Producer, partitions: list[TopicPartition], begin: int) -> None:
    if begin == 0:
        producer.init_transactions(10)
    producer.begin_transaction()
    for number in range(begin, begin + 10):
        producer.produce(partitions[0].topic, b"event %d" % number, partition=number % len(partitions))
    if begin % 30 == 20:
        producer.flush()
        producer.abort_transaction(10)
    else:
        producer.commit_transaction(10)


@pytest.fixture
def journey(endpoints: Endpoints, topic_prefix: str) -> Journey:
    return Journey(endpoints.broker, topic_prefix)


@contextlib.asynccontextmanager
async def running(settings: AppSettings) -> AsyncIterator[StreamApp]:
    """Run an app during the block, and raise its error if it has one."""
    app, until = build_app(settings), asyncio.Event()
    task = asyncio.create_task(run_app(app, until))
    try:
        yield app
    finally:
        until.set()
        await task


async def collect(app: StreamApp, count: int) -> list[Batch]:
    """Collect at least this many records without acknowledging them."""
    collector = Collector(app.intake, app.owns)
    batches: list[Batch] = []
    async with asyncio.timeout(TIMEOUT_S):
        while sum(map(len, batches)) < count:
            batches.append(await collector.collect())
    return batches


async def collect_and_acknowledge(app: StreamApp, last: int) -> list[Batch]:
    """Collect and acknowledge until the record at this offset has come."""
    batches: list[Batch] = []
    while not batches or batches[-1].records[-1].offset < last:
        batches += await collect(app, 1)
        app.acknowledge(batches[-1])
    return batches


async def read_all(journey: Journey, topic: str, count: int) -> StreamApp:
    """Run an app that reads so many records and commits to the end of the topic, and return it."""
    async with running(journey.settings(topic)) as app:
        for batch in await collect(app, count):
            app.acknowledge(batch)
        await until_true(lambda: journey.committed() == journey.ends())
    return app


async def until_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - the condition changes in another process
            await asyncio.sleep(0.05)


async def test_what_is_acknowledged_is_committed_to_the_end(journey: Journey) -> None:
    """2,000 records over four topics are delivered once each, in order, and all are committed."""
    topics = journey.create("updates", "conversations", "outcomes", "evaluations")
    journey.produce(2000)
    async with running(journey.settings(*topics)) as app:
        batches = await collect(app, 2000)
        for batch in batches:
            app.acknowledge(batch)
    seen = [(r.topic, r.partition, r.offset) for batch in batches for r in batch.records]
    assert len(seen) == len(set(seen)) == 2000
    assert journey.committed() == journey.ends()


async def test_records_have_all_they_came_with(journey: Journey) -> None:
    """Holdfast builds them itself, because aiokafka takes three times as long."""
    (topic,) = journey.create("updates", partitions=1)
    producer = Producer({"bootstrap.servers": journey.broker})
    producer.produce(topic, b"value", b"key", timestamp=1_306_931_400_000, headers=[("a", b"1"), ("a", None)])
    producer.produce(topic, None, None, timestamp=1_306_931_400_001)
    producer.flush()
    async with running(journey.settings(topic)) as app:
        records = [record for batch in await collect(app, 2) for record in batch.records]
    assert records == [
        FetchedRecord(topic, 0, 0, 1_306_931_400_000, b"key", b"value", (("a", b"1"), ("a", None))),
        FetchedRecord(topic, 0, 1, 1_306_931_400_001, None, None, ()),
    ]


async def test_a_record_larger_than_a_fetch_is_read(journey: Journey) -> None:
    """max.partition.fetch.bytes is 1 MiB; the broker returns a larger record alone."""
    (topic,) = journey.create("updates", partitions=1)
    set_topic(journey.broker, topic, "max.message.bytes", 4_000_000)
    producer = Producer({"bootstrap.servers": journey.broker, "message.max.bytes": 4_000_000})
    for size in (1, 3_000_000, 2):
        producer.produce(topic, bytes(size))
        producer.flush()
    app = await read_all(journey, topic, 3)
    assert app.chunk_consumer.offsets_deleted == {}


async def test_a_chunk_that_is_not_acknowledged_is_never_passed(journey: Journey) -> None:
    """Later chunks are acknowledged but not committed; after its acknowledgement all are committed."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(1000)
    async with running(journey.settings(topic)) as app:
        chunks = [chunk for batch in await collect(app, 1000) for chunk in batch.chunks]
        for chunk in [*chunks[:3], *chunks[4:]]:
            app.chunk_consumer.acknowledge(chunk)
        await until_true(lambda: bool(journey.committed()))
        await asyncio.sleep(0.3)
        assert journey.committed() == {(topic, 0): chunks[3].start}
        app.chunk_consumer.acknowledge(chunks[3])
        await until_true(lambda: journey.committed() == journey.ends())


async def test_a_new_group_whose_first_batch_fails_commits_nothing(journey: Journey) -> None:
    """run_app raises the error, and the next run begins at the first record."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(300)

    async def read_and_fail() -> None:
        async with running(journey.settings(topic)) as app:
            await collect(app, 1)
            app.fail(RuntimeError("first batch"))

    with pytest.raises(RuntimeError, match="first batch"):
        await read_and_fail()
    assert journey.committed() == {}
    async with running(journey.settings(topic)) as app:
        assert (await collect(app, 1))[0].chunks[0].start == 0


async def test_a_group_whose_leader_could_not_ask_for_its_topics_begins_soon(
    journey: Journey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a broker restart during the join; aiokafka by itself refreshes its metadata after five minutes."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(10)
    async with running(journey.settings(topic)) as app:  # otherwise the coordinator look-up refreshes the metadata
        await collect(app, 10)
    ask, answers = AIOKafkaClient._metadata_update, [False]

    async def fail_once(*asked: Any) -> bool:
        return answers.pop() if answers else await ask(*asked)

    monkeypatch.setattr(AIOKafkaClient, "_metadata_update", fail_once)
    async with running(journey.settings(topic)) as app:
        await collect(app, 10)
    assert f"Ignoring missing topic: '{topic}'" in caplog.text


async def test_a_rebalance_that_revokes_nothing_loses_no_record(journey: Journey) -> None:
    """Records flow during it, and what is in the agent's queue at its end is discarded."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(10)
    async with running(replace(journey.settings(topic), chunk_records=1, buffer_chunks=1)) as app:
        await collect(app, 10)
        await app.chunk_consumer.perform_seek()
        await asyncio.sleep(1)
        app.flow_control.resume()
        app.chunk_consumer.resume_flow()
        again = [record.offset for batch in await collect(app, 10) for record in batch.records]
    assert again == list(range(10))


async def test_an_error_in_the_pump_ends_the_app(journey: Journey) -> None:
    """Faust by itself would restart the agent after the event."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(1)

    class BrokenQueue(asyncio.Queue["Chunk"]):
        async def put(self, item: Chunk) -> None:
            raise OSError(f"no room for offset {item.start}")

    app = build_app(journey.settings(topic))
    app.intake = BrokenQueue()
    with pytest.raises(OSError, match="no room for offset 0"):
        await asyncio.wait_for(run_app(app, asyncio.Event()), TIMEOUT_S)
    assert journey.committed() == {}


async def test_a_transactional_topic_is_committed_to_its_end(journey: Journey) -> None:
    """Markers and aborted records are offset gaps; aborted records are not delivered."""
    (topic,) = journey.create("updates", partitions=2)
    journey.produce(300, transactional=True)
    async with running(journey.settings(topic)) as app:
        batches = await collect(app, 200)
        for batch in batches:
            app.acknowledge(batch)
        await until_true(lambda: journey.committed() == journey.ends())
    assert sum(map(len, batches)) == 200


@pytest.mark.parametrize("kept", [10, 0], ids=["some left", "none left"])
async def test_reading_continues_after_what_was_deleted_past_the_committed_offset(journey: Journey, kept: int) -> None:
    """By retention while the worker is down: the number is known, and no lag remains."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(20)
    await read_all(journey, topic, 20)
    journey.produce(60)
    journey.delete_before(topic, 80 - kept)
    app = await read_all(journey, topic, kept)
    assert app.chunk_consumer.offsets_deleted == {(topic, 0): 60 - kept}


async def test_what_is_deleted_under_a_running_worker_is_counted(journey: Journey) -> None:
    """The worker has fetched some megabytes when the others are deleted."""
    (topic,) = journey.create("updates", partitions=1)
    settings = replace(journey.settings(topic), buffer_chunks=1)
    journey.produce(5000, size=2000)
    async with running(settings) as app:
        await until_true(app.intake.full)
        journey.delete_before(topic, 4990)
        seen = [record.offset for batch in await collect_and_acknowledge(app, 4999) for record in batch.records]
        await until_true(lambda: journey.committed() == journey.ends())
    assert len(seen) < 5000
    assert app.chunk_consumer.offsets_deleted == {(topic, 0): 5000 - len(seen)}
    assert seen[-10:] == list(range(4990, 5000))


async def test_an_unknown_position_does_not_end_the_worker(journey: Journey) -> None:
    """Faust's check for partitions that stand still runs while a deleted topic's position cannot be looked up."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(20)
    async with running(journey.settings(topic)) as app:
        await collect(app, 20)
        journey.delete(topic)
        await app.chunk_consumer._thread.seek_to_start_of({topic})
        await app.chunk_consumer.verify_all_partitions_active()
        assert not app.failed.is_set()


async def test_a_worker_stops_in_order_though_its_broker_does_not_answer(
    journey: Journey, services: EmbeddedServices, capfd: pytest.CaptureFixture[str]
) -> None:
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(20)
    with contextlib.ExitStack() as frozen:
        async with running(journey.settings(topic)) as app:
            await collect(app, 20)
            services.pause_service("kafka")
            frozen.callback(services.resume_service, "kafka")
    assert "group_not_left" in capfd.readouterr().out


def open_connections(consumer: Any) -> list[Any]:
    """Return the connections of an aiokafka consumer that are open."""
    return [each for each in consumer._client._conns.values() if each.connected()]


async def break_the_fetch(consumer: Any) -> None:
    """Break the connection under a fetch, which then waits a minute before it is tried again."""
    consumer._fetcher._retry_backoff = 60
    broken = [conn for (_, group), conn in consumer._client._conns.items() if group == ConnectionGroup.DEFAULT]
    for each in broken:
        each.close(reason=CloseReason.CONNECTION_BROKEN)
    await asyncio.sleep(0)


async def test_a_worker_that_stops_while_a_fetch_waits_to_be_retried_closes_its_connections(journey: Journey) -> None:
    """The `stop` of aiokafka ends early when it cancels such a fetch."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(20)
    async with running(journey.settings(topic)) as app:
        await collect(app, 20)
        thread = app.chunk_consumer._thread
        await thread.call_thread(break_the_fetch, thread._consumer)
    assert open_connections(thread._consumer) == []


async def test_a_worker_that_cannot_leave_its_group_closes_its_connections_and_fails(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(20)

    async def fail(_: Any) -> None:
        raise OSError("no way out")

    monkeypatch.setattr(GroupCoordinator, "_maybe_leave_group", fail)
    consumers: list[Any] = []

    async def read_and_stop() -> None:
        async with running(journey.settings(topic)) as app:
            await collect(app, 20)
            consumers.append(app.chunk_consumer._thread._consumer)

    with pytest.raises(OSError, match="no way out"):
        await read_and_stop()
    assert open_connections(consumers[0]) == []


async def test_a_connection_made_after_the_client_was_closed_is_closed(journey: Journey) -> None:
    """By a request that was under way, such as a commit that was given up."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(20)
    async with running(journey.settings(topic)) as app:
        await collect(app, 20)
        thread: Any = app.chunk_consumer._thread
        client = thread._consumer._client
        thread.async_exit_stack.push_async_callback(client.ready, client.get_random_node())
    assert open_connections(thread._consumer) == []


async def test_a_reader_of_history_closes_while_a_fetch_waits_to_be_retried(journey: Journey) -> None:
    journey.create("customer-updates", "conversations", "outcomes", "evaluations", partitions=1)
    reader = HistoryReader(Settings(broker=journey.broker, topic_prefix=journey.prefix))
    try:
        await reader.open()
        await reader.find_period(datetime.fromtimestamp(0, UTC), datetime.now(UTC))
        consumer = reader._consumer
        for tp in consumer.assignment():
            consumer.seek(tp, 0)
        await consumer.getmany(timeout_ms=100)
        await break_the_fetch(consumer)
    finally:
        await reader.close()
    assert open_connections(consumer) == []


async def test_a_group_whose_offsets_have_expired_reads_again(
    journey: Journey, capfd: pytest.CaptureFixture[str]
) -> None:
    """And it says so."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(20)
    await read_all(journey, topic, 20)
    journey.delete_group()
    await read_all(journey, topic, 20)
    assert capfd.readouterr().out.count("group_has_no_offset") == 2


async def test_an_open_transaction_is_no_lag_of_the_worker(journey: Journey) -> None:
    """A read_committed consumer reads up to it; a worker that cannot read on is not stuck."""
    (topic,) = journey.create("updates", partitions=1)
    journey.produce(5)
    hanging = Producer({"bootstrap.servers": journey.broker, "transactional.id": journey.group})
    hanging.init_transactions(10)
    hanging.begin_transaction()
    hanging.produce(topic, b"hanging", partition=0)
    hanging.flush()
    journey.produce(5)
    async with running(journey.settings(topic)) as app:
        for batch in await collect(app, 5):
            app.acknowledge(batch)
        place = TP(topic, 0)
        await until_true(lambda: app.find_group().progress[place] == Progress(5, 5))
        known = await KafkaEnds({"bootstrap.servers": journey.broker}).find([place])
        assert known == {place: Progress(0, 5, written=11)}
        hanging.abort_transaction(10)
        for batch in await collect(app, 5):
            app.acknowledge(batch)
        await until_true(lambda: app.find_group().progress[place] == Progress(12, 12))


@pytest.mark.parametrize("partitioner", ["murmur2", "consistent", "fnv1a"])
def test_the_partition_of_a_key_is_the_one_that_librdkafka_chooses(journey: Journey, partitioner: str) -> None:
    """By each kind of partitioner."""
    (topic,) = journey.create("updates", partitions=7)
    producer = Producer({"bootstrap.servers": journey.broker, "partitioner": partitioner})
    keys = [f"k{number}-é".encode() * (number % 3 + 1) for number in range(100)]
    placed: dict[bytes, int] = {}
    for key in keys:
        producer.produce(topic, b"", key, on_delivery=lambda _, sent: placed.update({sent.key(): sent.partition()}))
    producer.flush()
    assert placed == {key: choose_partition(partitioner, key, 7) for key in keys}


async def test_a_killed_worker_loses_nothing(journey: Journey, tmp_path: Path) -> None:
    """Two kill -9 during processing; records in flight are handled again, and none is missing."""
    (topic,) = journey.create("updates", partitions=2)
    journey.produce(4000)
    audit = tmp_path / "audit"
    audit.touch()
    command = (sys.executable, "-m", "tests.journey.consumer_worker", journey.broker, journey.group, topic, audit)
    for enough in (500, 1500, 4000):
        worker = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        try:
            await until_true(partial(has_handled, audit, enough))
        finally:
            worker.kill()
        assert await worker.wait() == -signal.SIGKILL
    assert set(audit.read_text().splitlines()) == {f"{n % 2} {n // 2}" for n in range(4000)}


def has_handled(audit: Path, count: int) -> bool:
    return len(set(audit.read_text().splitlines())) >= count


async def test_two_workers_share_partition_numbers_and_lose_nothing_when_the_second_joins(
    journey: Journey,
) -> None:
    """One worker gets a customer's events of all topics; unacknowledged records of the first are redelivered."""
    topics = journey.create("updates", "conversations", "outcomes", "evaluations")
    journey.produce(8000)
    handled: set[tuple[str, int, int]] = set()

    async def work(app: StreamApp) -> None:
        collector = Collector(app.intake, app.owns, max_records=100)
        while True:
            batch = await collector.collect()
            await asyncio.sleep(0.050)
            handled.update((r.topic, r.partition, r.offset) for r in batch.records)
            app.acknowledge(batch)

    async with running(journey.settings(*topics)) as one, asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(work(one))]
        await until_true(lambda: len(handled) > 300)
        async with running(journey.settings(*topics)) as two:
            workers.append(tasks.create_task(work(two)))
            await until_true(lambda: len(handled) == 8000 and journey.committed() == journey.ends())
            shares = [shared_numbers(app, topics) for app in (one, two)]
            for worker in workers:
                worker.cancel()
    assert sorted(map(len, shares)) == [2, 2]
    assert shares[0] | shares[1] == {0, 1, 2, 3}


def shared_numbers(app: StreamApp, topics: tuple[str, ...]) -> set[int]:
    """Return the partition numbers an app owns, after checking that they are the same on all topics."""
    numbers = {
        topic: {tp.partition for tp in app.chunk_consumer.find_progress() if tp.topic == topic} for topic in topics
    }
    first = numbers[topics[0]]
    assert all(found == first for found in numbers.values())
    return first


def test_topics_are_created_once_and_checked(journey: Journey) -> None:
    """Creating them again changes nothing; a topic with another partition count is rejected."""
    topics = journey.create("updates", "outcomes")
    assert create_topics(journey.broker, topics, 8) == ()
    assert verify_topics(journey.broker, topics) == 4
    other = journey.create("evaluations", partitions=3)
    with pytest.raises(TopicLayoutError, match="evaluations has 3"):
        verify_topics(journey.broker, [*topics, *other])
