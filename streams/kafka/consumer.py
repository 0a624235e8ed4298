"""Faust's Kafka consumer, changed to lose no record and to be fast.

Strategy. Stock Faust makes one event of each record, and commits past records that were never acknowledged. Here:

* One Faust event per chunk of at most a batch, of one partition; flow control counts chunks. The consumer group,
  rebalances, flow control and the commit timer stay Faust's.
* The worker acknowledges intervals. Only the unbroken run of them is committed (offsets.py); an interval covers
  the gap before it, so compacted and transactional topics are committed to their end.
* What was acknowledged is committed before a partition is revoked; later acknowledgements are ignored, since
  another worker may own the partition by then.
* What is fetched but cannot be delivered, because flow is suspended, is not skipped: in the thread that owns the
  fetch positions, the position goes back to the first record not delivered. A fetch that was under way while
  positions were sought is recognised by its number of seeks and treated in the same way.
* A position belongs to the topic it was read from, not to the name: it is bound to the topic's id (topic_ids.py).
  When a topic was recreated, reading it begins again at its start.
* A fetch never waits for partitions that have room while one that was full becomes free (short polls, and an
  event when all were full), and it pauses after a small one, so that a trickle of records costs little.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, cast

import structlog
from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from streams.kafka.fetching import ChunkConsumerThread, cut
from streams.kafka.key_partitions import KeyPartitionCheck
from streams.kafka.offsets import ContiguousOffsets
from streams.kafka.topic_ids import place_offset, read_topic_id
from streams.observability.liveness import Progress
from streams.runtime.batching import CHUNK_RECORDS, Chunk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

    from faust.types import Message
    from mode import ServiceT

    from streams.kafka.app import AppSettings, StreamApp
    from streams.kafka.fetching import Deleted, Fetch, Slice

log = structlog.get_logger()

POLL_S = 1.0
POLL_WHEN_SOME_FULL_S = 0.020
# Many small batches take most of a core, and the time that services need for each: at 8,000 events a second a pause of
# 30 ms gives lower latencies than one of 10.
PACE_S = 0.030


class ChunkConsumer(driver.Consumer):
    """Delivers chunks and commits what is acknowledged. All methods belong to the event loop."""

    _thread: ChunkConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.chunk_records = CHUNK_RECORDS
        self._offsets: dict[TP, ContiguousOffsets] = {}
        self._room = asyncio.Event()
        self._has_paused = False
        self.chunks_acknowledged = 0
        self.topics_recreated: Counter[str] = Counter()
        self.offsets_deleted: Counter[TP] = Counter()
        self.keys = KeyPartitionCheck(self._settings.partitioner)
        self._recreated: dict[str, str] = {}
        self._without_commit: set[str] = set()

    @property
    def owned_partitions(self) -> frozenset[int]:
        """The partition numbers assigned to this worker; a number stands for that partition of every topic."""
        return frozenset(tp.partition for tp in self._offsets)

    def owns(self, chunk: Chunk) -> bool:
        """Return whether this worker still owns a chunk; if not, the next owner reads it again."""
        offsets = self._offsets.get(TP(chunk.topic, chunk.partition))
        is_current = offsets is not None and chunk.reading == offsets.reading
        return is_current and chunk.generation == self.app.consumer_generation_id

    def acknowledge(self, chunk: Chunk) -> bool:
        """Let a chunk be committed once all before it are acknowledged; False when it is no longer owned."""
        if not self.owns(chunk):
            return False
        self._offsets[TP(chunk.topic, chunk.partition)].acknowledge(chunk.start, chunk.end)
        self.chunks_acknowledged += 1
        return True

    def find_progress(self) -> dict[TP, Progress]:
        """Return the progress of each owned partition."""
        ends = self._thread.find_end_offsets(self._offsets)
        committed = {
            tp: offsets.first if (offset := self._committed_offset[tp]) is None else offset
            for tp, offsets in self._offsets.items()
        }
        return {tp: Progress(offset, ends.get(tp)) for tp, offset in committed.items()}

    def describe(self) -> list[str]:
        """Return a sentence for each thing that is wrong with what the partitions contain."""
        deleted = [
            f"{tp.topic}[{tp.partition}]: {count} offsets were deleted before they were read, by retention or by a "
            "tool; their events are lost, later ones are read"
            for tp, count in sorted(self.offsets_deleted.items())
        ]
        return [*deleted, *self.keys.describe()]

    @property
    def member_id(self) -> str:
        """This worker's id in its group, empty while it has none."""
        return self._thread.find_member_id()

    async def remove_member(self, member_id: str) -> bool:
        """Let a member that died leave the group; False where the broker did not answer."""
        return await self._thread.remove_member(member_id)

    # Delivery

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Fetch and deliver until stopped; Faust's fetcher calls it."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._drain_once()
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _drain_once(self) -> None:
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
            return
        if self._recreated:
            await self._restart_recreated()
        active = frozenset(self._get_active_partitions())
        if not active:
            await self._wait_for_room()
            return
        fetch = await self._thread.fetch(active, POLL_WHEN_SOME_FULL_S if self._buffered_partitions else POLL_S)
        self._pass_deleted(fetch)
        undelivered = await self._deliver(fetch)
        if undelivered:
            await self._rewind(undelivered)
        else:
            await self._pace(sum(len(fetched.records) for fetched in fetch.partitions.values()))

    async def _pace(self, records: int) -> None:
        """Pause after a small fetch, or many tiny ones take most of a core; not twice in a row.

        aiokafka asks for more as soon as a fetch is taken, so the next one holds what arrived just then and waits here;
        the one after it holds all that arrived during the pause.
        """
        self._has_paused = records < self.chunk_records and not self._has_paused
        if self._has_paused:
            await asyncio.sleep(PACE_S)

    async def _wait_for_room(self) -> None:
        self._room.clear()
        await self.wait_first(self._room.wait(), timeout=POLL_S)

    def on_buffer_drop(self, tp: TP) -> None:
        """Fetch from a partition again; Faust calls it when the agent's queue has room."""
        super().on_buffer_drop(tp)
        self._room.set()

    def resume_flow(self) -> None:
        """Let records flow again; Faust calls it when an assignment is complete."""
        super().resume_flow()
        self._room.set()

    def _may_deliver(self, fetch: Fetch) -> bool:
        return self._is_current(fetch) and self.flow_active and not self.should_stop

    def _is_current(self, fetch: Fetch) -> bool:
        """Return whether a fetch still belongs to the present assignment and positions."""
        return fetch.generation == self.app.consumer_generation_id and fetch.seeks == self._thread.seeks

    def _pass_deleted(self, fetch: Fetch) -> None:
        """Count what was deleted before it was read, and let it be committed: there is nothing left to read."""
        owned = self._offsets.keys() if self._is_current(fetch) else frozenset[TP]()
        for tp in owned & fetch.deleted.keys():
            deleted = fetch.deleted[tp]
            self.offsets_deleted[tp] += deleted.end - deleted.first
            self._acknowledge_gap(self._offsets[tp], deleted.first, deleted.end)
            _log_deleted(tp, deleted)

    async def _deliver(self, fetch: Fetch) -> dict[TP, int]:
        """Deliver what was fetched, round robin by partition; return the first offset not delivered of each."""
        parts = {tp: cut(fetched, self.chunk_records) for tp, fetched in fetch.partitions.items()}
        waiting = deque(self.scheduler.iterate(parts))
        # A fetch may return from a new assignment before reading begins at its committed offsets.
        while waiting and self._may_deliver(fetch) and waiting[0][0] in self._offsets:
            tp, part = waiting[0]
            await self._hand_over(tp, part, fetch.generation)
            if self._may_deliver(fetch):  # else flow was suspended meanwhile and the agent's queue emptied
                waiting.popleft()
        return {tp: part.first for tp, part in reversed(waiting) if part.records}

    async def _hand_over(self, tp: TP, part: Slice, generation: int) -> None:
        offsets = self._offsets[tp]
        if not part.records:
            self._acknowledge_gap(offsets, part.first, part.end)
            return
        if offsets.position is None and not offsets.reading:
            self._note_without_commit(tp, part.first)
        if offsets.position is not None and part.first < offsets.position:
            offsets = self._begin_again(tp, offsets)
        self.keys.check(part.records)
        start = offsets.note_delivered(part.first, part.end)
        chunk = Chunk(tp.topic, tp.partition, start, part.end, part.records, generation, offsets.reading)
        await self.wait_first(self.callback(wrap(tp, chunk)), self.suspend_flow.wait())

    def _acknowledge_gap(self, offsets: ContiguousOffsets, first: int, end: int) -> None:
        first = first if offsets.position is None else offsets.position
        if first < end:
            offsets.acknowledge(offsets.note_delivered(first, end), end)

    def _note_without_commit(self, tp: TP, first: int) -> None:
        """Log once for each topic of an assignment: the group may be new, or its offsets have expired."""
        if tp.topic not in self._without_commit:
            self._without_commit.add(tp.topic)
            log.warning(
                "group_has_no_offset",
                group=self.app.conf.id,
                topic=tp.topic,
                partition=tp.partition,
                action=f"read from the beginning, offset {first}",
            )

    async def _rewind(self, undelivered: Mapping[TP, int]) -> None:
        await self._thread.rewind(undelivered)
        for tp, offset in undelivered.items():
            if tp in self._offsets:
                self._offsets[tp].rewind(offset)

    def _begin_again(self, tp: TP, offsets: ContiguousOffsets) -> ContiguousOffsets:
        """Begin another reading: the partition lost its end, and aiokafka went back to its beginning."""
        log.warning("partition_shortened", topic=tp.topic, partition=tp.partition, expected=offsets.position)
        self._offsets[tp] = offsets.restart(offsets.topic_id)
        self._committed_offset[tp] = None
        return self._offsets[tp]

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: Faust's check for partitions that stand still.

        It reads positions in the wrong thread and ends the app while one is unknown, as during a reset. liveness.py
        has the check that Holdfast uses.
        """

    # Recreated topics

    @Service.task
    async def _compare_topics(self) -> None:
        while not self.should_stop:
            await self.sleep(self._settings.topic_check_s)
            await self._find_recreated()

    async def _find_recreated(self) -> None:
        """Record the topics whose id differs from the id that their positions are bound to."""
        found = await self._find_topic_ids({tp.topic for tp in self._offsets})
        for tp, offsets in self._offsets.items():
            topic_id = found.get(tp.topic, "")
            if topic_id and not offsets.topic_id:
                offsets.topic_id = topic_id
            elif topic_id and topic_id != offsets.topic_id:
                self._recreated[tp.topic] = topic_id

    async def _restart_recreated(self) -> None:
        """Read recreated topics from their beginning. Call it between two fetches, so that none is in flight."""
        recreated, self._recreated = self._recreated, {}
        sought = await self._thread.seek_to_start_of(recreated)
        for tp in sought & self._offsets.keys():
            offsets, topic_id = self._offsets[tp], recreated[tp.topic]
            if offsets.topic_id != topic_id:
                self._offsets[tp] = offsets.restart(topic_id)
                self._committed_offset[tp] = None
        for topic in recreated:
            self._note_recreated(topic)

    def _note_recreated(self, topic: str) -> None:
        self.topics_recreated[topic] += 1
        log.warning("topic_recreated", topic=topic, action="read from the beginning")

    async def _find_topic_ids(self, topics: Collection[str]) -> Mapping[str, str]:
        find = self._settings.find_topic_ids
        return {} if find is None or not topics else await find(topics)

    @property
    def _settings(self) -> AppSettings:
        return cast("StreamApp", self.app).settings

    # Commits

    async def perform_seek(self) -> None:
        """Begin at the committed offsets; Faust calls it after each assignment, and then lets records flow."""
        # A rebalance that revokes nothing has not stopped them, and Faust empties the agent's queue before they flow.
        self.stop_flow()
        # Ids first: a topic recreated in between has its positions bound to the former id, and is read again.
        topic_ids = await self._find_topic_ids(self._settings.topics)
        starts = await self._thread.find_start(topic_ids)
        for tp, start in starts.items():
            self._offsets[tp] = ContiguousOffsets(start.offset, topic_id=start.topic_id)
            self._committed_offset[tp] = None if start.offset is None else place_offset(start.offset, start.topic_id)
        self._without_commit.clear()
        self.keys.partitions = self._thread.count_partitions(self._settings.topics)
        for topic in {tp.topic for tp, start in starts.items() if start.former_id}:
            self._note_recreated(topic)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what was acknowledged, then release the partitions."""
        if revoked:
            self.stop_flow()
            await self.commit_and_end_transactions()
        for tp in revoked:
            self._offsets.pop(tp, None)
        self._buffered_partitions.difference_update(revoked)
        await super().on_partitions_revoked(revoked)

    async def commit_and_end_transactions(self) -> None:
        """Commit for the last time, even while another commit is in flight; uncommitted records are delivered again."""
        await self.maybe_wait_for_commit_to_finish()
        await self.force_commit()

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        before = {tp: self._committed_offset[tp] for tp in offsets}
        committed = await super()._commit_offsets(offsets, start_new_transaction)
        if not committed:  # the stock code records the offsets even when the broker rejected them
            self._committed_offset.update(before)
        return committed

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self._offsets if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        offsets = self._offsets[tp]
        return None if offsets.committable is None else place_offset(offsets.committable, offsets.topic_id)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        # Not "greater than": the offsets of a recreated topic start below what was committed.
        committed = self._committed_offset[tp]
        return offset != committed or read_topic_id(offset) != read_topic_id(committed)

    def ack(self, message: Message) -> bool:
        """Do nothing: Faust would acknowledge what it skipped; only `acknowledge` counts."""
        del message
        return False

    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)


def _log_deleted(tp: TP, deleted: Deleted) -> None:
    log.error(
        "events_deleted_before_they_were_read",
        topic=tp.topic,
        partition=tp.partition,
        offsets=deleted.end - deleted.first,
        expected=deleted.first,
        first=deleted.end,
        action="the deleted events are lost; reading continues at the first offset that is left",
    )


class ChunkTransport(driver.Transport):
    """Faust's Kafka transport with the consumer of this module."""

    Consumer = ChunkConsumer


def wrap(tp: TP, chunk: Chunk) -> ConsumerMessage:
    """Make the one Faust message that carries a chunk; its declared type, bytes, is what the chunk's records hold."""
    first, carried = chunk.records[0], cast("bytes", chunk)
    return ConsumerMessage(
        chunk.topic,
        chunk.partition,
        chunk.start,
        timestamp=first.timestamp / 1000.0,
        timestamp_type=0,
        headers=None,
        key=None,
        value=carried,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=tp,
        generation_id=chunk.generation,
    )
