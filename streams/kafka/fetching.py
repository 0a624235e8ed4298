"""Fetches, in the thread that has the connections to Kafka and owns the positions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import structlog
from aiokafka.consumer.fetcher import FetchError, FetchResult, OffsetResetStrategy
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from mode.threads import WorkerThread

from streams.kafka.decompression import BoundedBatches, BoundedDecompressor, CutRecord, oversized_record
from streams.kafka.disconnection import disconnect
from streams.kafka.group_members import remove_member
from streams.kafka.instance_guard import InstanceGuard
from streams.kafka.topic_ids import read_metadata, write_metadata
from streams.observability.customer_digests import describe_error
from streams.tasks import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from faust.types import TP

    from streams.formats.events import Record
    from streams.kafka.app import StreamApp

log = structlog.get_logger()
_new = tuple.__new__

FETCH_WAIT_MS = 50
# Taken at a time. aiokafka asks for more of a partition once that is empty: so it does while others are taken.
FETCH_RECORDS = 4_000
COMMIT_S = 4.0


class FetchedRecord(NamedTuple):
    """A record as it is delivered, with the fields that Holdfast uses: three times as fast to build as aiokafka's."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records of one partition, and the position after them: all before it are these or hold no record.

    `begin` is the position before them, None when it is not known.
    """

    records: list[Record]
    position: int
    begin: int | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive records of a fetch and the offsets they span; no records, when a fetch returned only a gap."""

    first: int
    end: int
    records: list[Record]


@dataclass(frozen=True, slots=True)
class Fetch:
    """The result of one fetch, with the generation and the number of seeks at that moment.

    `deleted` has what was deleted before the position of a partition since the last fetch.
    """

    partitions: Mapping[TP, Fetched]
    generation: int
    seeks: int
    deleted: Mapping[TP, Deleted] = field(default_factory=dict)


class Deleted(NamedTuple):
    """Offsets [first, end) of a partition that the broker deleted before they were read."""

    first: int
    end: int


class Start(NamedTuple):
    """Where reading a partition begins.

    Attributes:
        offset: the committed offset; None is the beginning.
        topic_id: the id of the topic that the offset belongs to; empty when it is not known.
        former_id: the id of the topic that the commit belonged to, when that was another one.
    """

    offset: int | None
    topic_id: str
    former_id: str = ""


class _Results(OrderedDict["TP", "FetchResult | FetchError"]):
    """What aiokafka has fetched and no fetch has taken yet; aiokafka builds the records when they are taken."""

    def __init__(self, decompressor: BoundedDecompressor, max_event_bytes: int) -> None:
        super().__init__()
        self._decompressor = decompressor
        self._max_event_bytes = max_event_bytes

    def __setitem__(self, tp: TP, result: FetchResult | FetchError) -> None:
        if isinstance(result, FetchResult):
            records = result._partition_records  # noqa: SLF001 - no setting chooses either
            records._consumer_record = _make_record  # noqa: SLF001
            records._records = BoundedBatches(  # noqa: SLF001
                records._records,  # noqa: SLF001
                self._decompressor,
                self._max_event_bytes,
            )
        super().__setitem__(tp, result)


def install_bounded_fetching(consumer: Any, decompressor: BoundedDecompressor, max_event_bytes: int) -> None:
    """Make a consumer of aiokafka build `Record`s, within bounds. Call it before partitions are assigned.

    Args:
        consumer: an AIOKafkaConsumer that has started.
        decompressor: decompresses its batches, and those of every other consumer of the process.
        max_event_bytes: a larger record of a large compressed batch is cut.
    """
    decompressor.install()
    consumer._fetcher._records = _Results(decompressor, max_event_bytes)  # noqa: SLF001 - empty until assigned


class _DaemonThread(WorkerThread):
    """A thread that does not keep the process alive while it waits for an unreachable broker."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class ChunkConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that has the connections to Kafka and owns the fetch positions."""

    Worker = _DaemonThread
    seeks: int = 0
    _fetched_from: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sought_in: Any = None
        self._reached: dict[TP, int] = {}
        self._deleted: dict[TP, Deleted] = {}

    async def on_start(self) -> None:
        """Connect, and make aiokafka build `Record`s in place of its own records."""
        await super().on_start()
        settings = cast("StreamApp", self.app).settings
        consumer: Any = self._ensure_consumer()
        install_bounded_fetching(consumer, BoundedDecompressor(settings.max_batch_bytes), settings.max_event_bytes)
        consumer._fetcher._update_fetch_positions = partial(  # noqa: SLF001 - no listener reports a reset
            self._reset_positions,
            consumer._fetcher._update_fetch_positions,  # noqa: SLF001
        )
        consumer.commit = partial(_commit_with_topic_ids, consumer.commit)
        if settings.instance_id is not None:
            InstanceGuard(
                consumer._coordinator,  # noqa: SLF001
                instance_id=settings.instance_id,
                session_s=settings.session_timeout_s,
                report=self._report,
            ).install()

    def _report(self, error: BaseException) -> None:
        """End the app with an error, from this thread."""
        app = cast("StreamApp", self.app)
        app.loop.call_soon_threadsafe(app.fail, error)

    async def _serve(self) -> None:
        """Run, then close the connections that requests under way made after the client was closed."""
        try:
            await super()._serve()
        finally:
            if self._consumer is not None:
                await self._consumer._client.close()  # noqa: SLF001

    async def on_thread_stop(self) -> None:
        """Leave the group and close the connections; a broker that does not answer is left without a word."""
        settings = cast("StreamApp", self.app).settings
        leaving = asyncio.create_task(super().on_thread_stop())
        await asyncio.wait([leaving], timeout=settings.leave_s)
        in_time = leaving.done()
        await end([leaving])
        error = None if leaving.cancelled() else leaving.exception()
        if self._consumer is not None and not (in_time and not leaving.cancelled() and error is None):
            await disconnect(self._consumer)
        if not in_time or leaving.cancelled():  # aiokafka cancels its own wait for a broker that is away, and is hit
            expiry = f"none: the broker gives its partitions to others after {settings.session_timeout_s:g} s"
            log.warning("group_not_left", group=self.app.conf.id, action=expiry)
        elif error is not None:
            self._report(error)

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Log what the stock code prints; run_app raises the error."""
        del kwargs
        # The text of an error may quote a record.
        described = (describe_error(each) if isinstance(each, BaseException) else each for each in fmt)
        self.log.error(msg.format(*described))

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust passes 1500 and read_uncommitted, and offers no setting; both are read when the consumer starts.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        return consumer

    async def fetch(self, active: frozenset[TP], timeout_s: float) -> Fetch:
        """Return what the active partitions have, or nothing after the timeout."""
        fetched: Fetch = await self.call_thread(self._fetch, active, timeout_s)
        return fetched

    async def rewind(self, first: Mapping[TP, int]) -> None:
        """Move positions past the given offsets back, unless partitions were reassigned since the last fetch."""
        await self.call_thread(self._rewind, first)

    async def find_start(self, topic_ids: Mapping[str, str]) -> Mapping[TP, Start]:
        """Seek all partitions to where reading begins, and return it.

        Args:
            topic_ids: the present id of each topic, as far as known, read before the committed offsets are.
        """
        starts: Mapping[TP, Start] = await self.call_thread(self._find_start, topic_ids)
        return starts

    async def seek_to_start_of(self, topics: Collection[str]) -> frozenset[TP]:
        """Seek the partitions of topics to their beginning, and return these partitions."""
        sought: frozenset[TP] = await self.call_thread(self._seek_to_start_of, topics)
        return sought

    def find_member_id(self) -> str:
        """Return this worker's id in its group, empty while it has none."""
        return "" if self._consumer is None else self._consumer._coordinator.member_id  # noqa: SLF001

    async def remove_member(self, member_id: str) -> bool:
        """Let a member that died leave the group; False where the broker did not answer."""
        coordinator: Any = self._ensure_consumer()._coordinator  # noqa: SLF001
        removed: bool = await self.call_thread(remove_member, coordinator, member_id)
        return removed

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit, giving up after some seconds; aiokafka would try for as long as the broker is away."""
        try:
            async with asyncio.timeout(COMMIT_S):
                return await super()._commit(offsets)
        except TimeoutError:
            self.log.warning("a commit was not answered within %s s; it is retried", COMMIT_S)
            return False

    async def _fetch(self, active: frozenset[TP], timeout_s: float) -> Fetch:
        records = await self._fetch_records(
            self._ensure_consumer(), set(active), timeout=timeout_s, max_records=FETCH_RECORDS
        )
        # No await from here on: records, positions, generation and seeks belong together.
        self._fetched_from = self._find_assignment()
        after = self._positions(active)
        moved = (tp for tp, position in after.items() if tp in records or self._reached.get(tp, position) != position)
        partitions = {tp: Fetched(list(records.get(tp, ())), after[tp], self._reached.get(tp)) for tp in moved}
        self._reached.update(after)
        deleted, self._deleted = self._deleted, {}
        return Fetch(partitions, self.app.consumer_generation_id, self.seeks, deleted)

    async def _reset_positions(
        self, reset: Callable[[Any, int, Sequence[TP]], Awaitable[bool]], assignment: Any, node: int, tps: Sequence[TP]
    ) -> bool:
        """Set invalid positions, as aiokafka does, and note what lies between the former position and the new one.

        aiokafka invalidates a position that is out of range, and sets it to the log's start. A position of an earlier
        assignment is not compared: another worker may have read further.
        """
        was_reset = await reset(assignment, node, tps)
        # No await from here on: a fetch would move the positions.
        if assignment is self._sought_in:
            for tp, position in self._positions(map(ensure_TP, tps)).items():
                reached = self._reached.get(tp, position)
                self._reached[tp] = position
                if reached < position:
                    earlier = self._deleted.get(tp)
                    self._deleted[tp] = Deleted(earlier.first if earlier else reached, position)
        return was_reset

    async def _rewind(self, first: Mapping[TP, int]) -> None:
        if self._find_assignment() is not self._fetched_from:
            return
        for tp, position in self._positions(first).items():
            if position > first[tp]:
                self.seek(tp, first[tp])
                self._reached[tp] = first[tp]

    async def _find_start(self, topic_ids: Mapping[str, str]) -> Mapping[TP, Start]:
        consumer: Any = self._ensure_consumer()
        partitions = consumer.assignment()
        found = await consumer._coordinator.fetch_committed_offsets(partitions)  # noqa: SLF001 - with the metadata
        still_ours = partitions & consumer.assignment()
        starts = {tp: choose_start(found.get(tp), topic_ids.get(tp.topic, "")) for tp in still_ours}
        for tp, start in starts.items():
            if start.offset is not None:
                consumer.seek(tp, start.offset)
        assignment = self._find_assignment()
        # A rebalance that revokes nothing does not suspend the flow: what was fetched meanwhile is not delivered.
        has_fetched = self._fetched_from is assignment
        self._sought_in, self._deleted = assignment, {}
        # Positions without a commit are where the log starts, unless something was fetched since the assignment.
        self._reached = self._positions(map(ensure_TP, starts))
        again = [tp for tp, each in starts.items() if each.former_id or (each.offset is None and has_fetched)]
        self._seek_to_beginning(again)
        self.seeks += 1
        return {ensure_TP(tp): start for tp, start in starts.items()}

    async def _seek_to_start_of(self, topics: Collection[str]) -> frozenset[TP]:
        partitions = [tp for tp in self._ensure_consumer().assignment() if tp.topic in topics]
        self._seek_to_beginning(partitions)
        self.seeks += 1
        return frozenset(map(ensure_TP, partitions))

    def _seek_to_beginning(self, partitions: Sequence[TP]) -> None:
        """Make the fetcher look up where the partitions begin. Not awaited: a topic may be deleted again."""
        if partitions:
            for tp in partitions:
                self._reached.pop(tp, None)
            fetcher: Any = self._ensure_consumer()._fetcher  # noqa: SLF001
            found = fetcher.request_offset_reset(partitions, OffsetResetStrategy.EARLIEST)
            found.add_done_callback(lambda each: each.cancelled() or each.exception())

    def _positions(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Return the positions that are known; only the thread can rely on them."""
        return {tp: state.position for tp, state in self._states(tps) if state.has_valid_position}

    def find_end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Return where reading the partitions ends, as far as fetches have reported it.

        That is the last stable offset: what follows it waits for an open transaction, and is no lag of this worker.
        """
        return {tp: state.lso for tp, state in self._states(tps) if state.lso is not None}

    def count_partitions(self, topics: Collection[str]) -> dict[str, int]:
        """Return the number of partitions of each topic, as far as the latest metadata has it."""
        cluster: Any = self._ensure_consumer()._client.cluster  # noqa: SLF001
        return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}

    def _states(self, tps: Iterable[TP]) -> Iterator[tuple[TP, Any]]:
        """Pair the partitions that are assigned with aiokafka's state of them; its public methods wait or raise."""
        assignment = self._find_assignment()
        if assignment is not None:
            for tp in tps:
                state = assignment.state_value(tp)
                if state is not None:
                    yield tp, state

    def _find_assignment(self) -> Any:
        """Return aiokafka's object for the present assignment, a new one after each rebalance; None without one."""
        subscription = None if self._consumer is None else self._consumer._subscription.subscription  # noqa: SLF001
        return None if subscription is None else subscription.assignment


def choose_start(committed: OffsetAndMetadata | None, topic_id: str) -> Start:
    """Return where reading a partition begins.

    Args:
        committed: the group's commit, None without one.
        topic_id: the topic's present id, empty when it is not known.
    """
    if committed is None:
        return Start(None, topic_id)
    former_id = read_metadata(committed.metadata)
    if former_id and topic_id and former_id != topic_id:
        return Start(None, topic_id, former_id)
    return Start(committed.offset, former_id or topic_id)


async def _commit_with_topic_ids(
    commit: Callable[[Mapping[TP, OffsetAndMetadata]], Awaitable[None]], offsets: Mapping[TP, OffsetAndMetadata]
) -> None:
    """Commit each offset with the id of the topic that it was read from."""
    await commit({tp: OffsetAndMetadata(int(each.offset), write_metadata(each.offset)) for tp, each in offsets.items()})


def _make_record(tp: TP, record: Any) -> Record:
    if type(record) is CutRecord:
        return oversized_record(tp, record)
    # By tuple.__new__, which is half the work of calling the class.
    return _new(
        FetchedRecord,
        (
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            tuple(record.headers),
        ),
    )


def cut(fetched: Fetched, size: int) -> list[Slice]:
    """Split what was fetched of one partition into pieces of at most `size` records; the last reaches its position."""
    records = fetched.records
    if not records:
        return [Slice(fetched.position if fetched.begin is None else fetched.begin, fetched.position, [])]
    firsts = range(0, len(records), size)
    ends = [records[first].offset for first in firsts[1:]] + [fetched.position]
    return [
        Slice(records[first].offset, end, records[first : first + size])
        for first, end in zip(firsts, ends, strict=True)
    ]
