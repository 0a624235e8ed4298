from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP
from structlog.testing import capture_logs

from streams.kafka.app import AppSettings, build_app
from streams.kafka.fetching import Deleted, Fetch, Fetched, FetchedRecord, Start, choose_start, cut
from streams.kafka.offsets import ContiguousOffsets
from streams.kafka.topic_ids import place_offset, read_metadata, write_metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streams.kafka.consumer import ChunkConsumer

ONE, TWO = TP("updates", 0), TP("updates", 1)


def records(*offsets: int) -> list[Any]:
    return [FetchedRecord("updates", 0, offset, 0, None, b"", ()) for offset in offsets]


@pytest.fixture
async def consumer() -> AsyncIterator[ChunkConsumer]:
    """Build a consumer that owns two partitions and talks to nobody."""
    consumer = build_app(AppSettings("127.0.0.1:1", "group", ("updates",))).chunk_consumer
    consumer.chunk_records = 2
    consumer._offsets = {ONE: ContiguousOffsets(0), TWO: ContiguousOffsets(0)}
    yield consumer
    consumer._thread.thread_loop.close()


def given_callback(consumer: ChunkConsumer, *, suspend_at: int = -1) -> list[Any]:
    """Let the consumer deliver into a list; flow is suspended while the chunk that starts there is handed over."""
    delivered = []

    async def callback(message: Any) -> None:
        if message.value.start == suspend_at:
            consumer.stop_flow()
            await asyncio.sleep(0)
        delivered.append(message.value)

    consumer.callback = callback
    return delivered


def test_pieces_cover_all_offsets_up_to_the_position() -> None:
    """Gaps between records, and after the last, belong to the piece before them."""
    pieces = cut(Fetched(records(3, 4, 7, 9, 10), position=14), size=2)
    assert [(piece.first, piece.end) for piece in pieces] == [(3, 7), (7, 10), (10, 14)]
    assert [len(piece.records) for piece in pieces] == [2, 2, 1]


async def test_partitions_take_turns(consumer: ChunkConsumer) -> None:
    """A long partition does not make the others wait."""
    delivered = given_callback(consumer)
    fetch = Fetch({ONE: Fetched(records(0, 1, 2, 3), 4), TWO: Fetched(records(0, 1), 2)}, 0, 0)
    assert await consumer._deliver(fetch) == {}
    assert [(chunk.partition, chunk.start, chunk.end) for chunk in delivered] == [
        (0, 0, 2),
        (1, 0, 2),
        (0, 2, 4),
    ]


async def test_what_a_suspended_delivery_left_is_named_from_its_first_record(consumer: ChunkConsumer) -> None:
    """The chunk under way counts as not delivered, for the agent's queue was emptied."""
    given_callback(consumer, suspend_at=2)
    fetch = Fetch({ONE: Fetched(records(0, 1, 2, 3, 4, 5), 6), TWO: Fetched(records(0, 1), 2)}, 0, 0)
    assert await consumer._deliver(fetch) == {ONE: 2}


async def test_what_comes_before_the_committed_offsets_are_known_is_fetched_again(consumer: ChunkConsumer) -> None:
    delivered = given_callback(consumer)
    consumer._offsets = {}
    fetch = Fetch({ONE: Fetched(records(3, 4), 5)}, 0, 0)
    assert await consumer._deliver(fetch) == {ONE: 3}
    assert delivered == []


@pytest.mark.parametrize(("generation", "seeks"), [(1, 0), (0, 1)])
async def test_a_fetch_of_an_older_assignment_or_position_is_not_delivered(
    consumer: ChunkConsumer, generation: int, seeks: int
) -> None:
    """All of it is to be fetched again."""
    delivered = given_callback(consumer)
    fetch = Fetch({ONE: Fetched(records(5, 6, 7), 8)}, generation, seeks)
    assert (await consumer._deliver(fetch), delivered) == ({ONE: 5}, [])


async def test_a_gap_at_the_end_is_committed_without_a_record(consumer: ChunkConsumer) -> None:
    """A transaction's marker is an offset too."""
    delivered = given_callback(consumer)
    await consumer._deliver(Fetch({ONE: Fetched(records(0), 1)}, 0, 0))
    await consumer._deliver(Fetch({ONE: Fetched([], 2)}, 0, 0))
    assert consumer._new_offset(ONE) is None
    assert consumer.acknowledge(delivered[0])
    assert consumer._new_offset(ONE) == 2


async def test_a_new_group_commits_a_gap_without_any_record(consumer: ChunkConsumer) -> None:
    """As of a topic with one aborted transaction: otherwise the lag would never end."""
    consumer._offsets[ONE] = ContiguousOffsets()
    await consumer._deliver(Fetch({ONE: Fetched([], 2, begin=0)}, 0, 0))
    assert consumer._new_offset(ONE) == 2


async def test_a_chunk_of_an_older_generation_is_not_owned(consumer: ChunkConsumer) -> None:
    """Its acknowledgement is ignored."""
    delivered = given_callback(consumer)
    await consumer._deliver(Fetch({ONE: Fetched(records(0), 1)}, 0, 0))
    consumer.app.consumer_generation_id = 1
    assert not consumer.acknowledge(delivered[0])
    assert consumer._new_offset(ONE) is None


async def test_faust_s_own_acknowledgement_counts_for_nothing(consumer: ChunkConsumer) -> None:
    """Faust acknowledges what it skips."""
    delivered = given_callback(consumer)
    await consumer._deliver(Fetch({ONE: Fetched(records(0), 1)}, 0, 0))
    assert not consumer.ack(SimpleNamespace(value=delivered[0], tp=ONE, offset=0, acked=False))
    assert consumer._new_offset(ONE) is None


async def test_a_pause_comes_after_a_small_fetch_and_never_twice_in_a_row(consumer: ChunkConsumer) -> None:
    paused = []
    for records in (1, 1, 1, 2, 1):
        await consumer._pace(records)
        paused.append(consumer._has_paused)
    assert paused == [True, False, True, False, True]


async def test_a_partition_that_lost_its_end_is_read_from_where_it_begins(consumer: ChunkConsumer) -> None:
    """Chunks of before do not count in what is read since, though their offsets are the same."""
    delivered = given_callback(consumer)
    await consumer._deliver(Fetch({ONE: Fetched(records(0, 1), 2)}, 0, 0))
    await consumer._deliver(Fetch({ONE: Fetched(records(0), 1)}, 0, 0))
    before, since = delivered
    assert (since.start, since.end) == (0, 1)
    assert not consumer.acknowledge(before)
    assert consumer._new_offset(ONE) is None
    assert consumer.acknowledge(since)
    assert consumer._new_offset(ONE) == 1


async def test_offsets_deleted_before_they_were_read_are_counted_and_committed(consumer: ChunkConsumer) -> None:
    """Also without a record after them: otherwise the lag would never end."""
    delivered = given_callback(consumer)
    await consumer._deliver(Fetch({ONE: Fetched(records(0), 1)}, 0, 0))
    consumer._pass_deleted(Fetch({}, 0, 0, {ONE: Deleted(1, 61)}))
    assert consumer.acknowledge(delivered[0])
    assert consumer._new_offset(ONE) == 61
    assert consumer.offsets_deleted == {ONE: 60}
    (sentence,) = consumer.describe()
    assert sentence.startswith("updates[0]: 60 offsets were deleted before they were read")


@pytest.mark.parametrize(("generation", "seeks"), [(1, 0), (0, 1)])
async def test_offsets_deleted_in_an_older_assignment_are_not_counted(
    consumer: ChunkConsumer, generation: int, seeks: int
) -> None:
    """The present owner, or the position sought since then, finds them again."""
    consumer._pass_deleted(Fetch({}, generation, seeks, {ONE: Deleted(1, 61)}))
    assert (consumer.offsets_deleted, consumer.describe()) == ({}, [])


async def test_a_group_without_offsets_is_logged_once_for_each_topic(consumer: ChunkConsumer) -> None:
    """With where reading begins. A topic that is read again for another reason is not such a case."""
    consumer._offsets = {ONE: ContiguousOffsets(), TWO: ContiguousOffsets()}
    given_callback(consumer)
    with capture_logs() as logged:
        await consumer._deliver(Fetch({ONE: Fetched(records(3), 4), TWO: Fetched(records(0), 1)}, 0, 0))
        consumer._offsets[ONE] = consumer._offsets[ONE].restart("present")
        consumer._without_commit.clear()
        await consumer._deliver(Fetch({ONE: Fetched(records(0), 1)}, 0, 0))
    (line,) = logged
    assert (line["event"], line["topic"], line["action"]) == (
        "group_has_no_offset",
        "updates",
        "read from the beginning, offset 3",
    )


def given_topic(consumer: ChunkConsumer, *, topic_id: str) -> list[set[str]]:
    """Let a topic have an id, and return the list of the topics that are sought to their beginning."""
    sought: list[set[str]] = []

    async def find(topics: Any) -> dict[str, str]:
        return dict.fromkeys(topics, topic_id) if topic_id else {}

    async def seek_to_start_of(topics: Any) -> frozenset[TP]:
        sought.append(set(topics))
        return frozenset({ONE, TWO})

    consumer.app.settings = replace(consumer.app.settings, find_topic_ids=find)  # type: ignore[attr-defined]
    consumer._thread.seek_to_start_of = seek_to_start_of  # type: ignore[method-assign]
    return sought


async def test_a_recreated_topic_is_read_from_its_beginning(consumer: ChunkConsumer) -> None:
    """What was read of the former topic is not committed for the new one."""
    consumer._offsets = {each: ContiguousOffsets(20, topic_id="former") for each in (ONE, TWO)}
    delivered = given_callback(consumer)
    await consumer._deliver(Fetch({ONE: Fetched(records(20, 21), 22)}, 0, 0))
    sought = given_topic(consumer, topic_id="present")
    await consumer._find_recreated()
    await consumer._restart_recreated()
    assert sought == [{"updates"}]
    assert not consumer.acknowledge(delivered[0])
    await consumer._deliver(Fetch({ONE: Fetched(records(0, 1), 2)}, 0, 0))
    assert consumer.acknowledge(delivered[1])
    offset: Any = consumer._new_offset(ONE)
    assert (offset, offset.topic_id) == (2, "present")
    assert consumer.topics_recreated == {"updates": 1}


@pytest.mark.parametrize("present", ["former", ""])
async def test_a_topic_that_is_the_same_or_not_known_goes_on(consumer: ChunkConsumer, present: str) -> None:
    """A broker that does not answer, or a topic that is deleted, tells nothing."""
    consumer._offsets = {ONE: ContiguousOffsets(20, topic_id="former")}
    given_topic(consumer, topic_id=present)
    await consumer._find_recreated()
    assert consumer._recreated == {}


async def test_positions_without_a_topic_id_are_bound_to_the_first_one_seen(consumer: ChunkConsumer) -> None:
    """As after a commit of an earlier version, when the broker was slow to tell the id."""
    given_topic(consumer, topic_id="present")
    await consumer._find_recreated()
    assert consumer._recreated == {}
    assert {each.topic_id for each in consumer._offsets.values()} == {"present"}


@pytest.mark.parametrize(
    ("metadata", "present", "start"),
    [
        ("topic_id=a", "a", Start(20, "a")),
        ("topic_id=a", "b", Start(None, "b", "a")),
        ("topic_id=a", "", Start(20, "a")),
        ("", "b", Start(20, "b")),
        ("of another tool", "b", Start(20, "b")),
        (None, "", Start(20, "")),
    ],
)
def test_a_commit_counts_in_the_topic_it_was_made_for(metadata: Any, present: str, start: Start) -> None:
    """One without an id, of another tool or an earlier version, is trusted."""
    assert choose_start(OffsetAndMetadata(20, metadata), present) == start


async def test_the_same_offset_of_another_topic_is_committed_too(consumer: ChunkConsumer) -> None:
    """A commit for the former topic may have been under way when the present one was found."""
    consumer._committed_offset[ONE] = place_offset(2, "former")
    assert not consumer._should_commit(ONE, place_offset(2, "former"))
    assert consumer._should_commit(ONE, place_offset(2, "present"))


def test_without_a_commit_reading_begins_at_the_beginning() -> None:
    assert choose_start(None, "a") == Start(None, "a")


def test_a_commit_carries_the_id_of_its_topic() -> None:
    """Together with the offset from the moment it is found."""
    assert read_metadata(write_metadata(place_offset(7, "a"))) == "a"
    assert write_metadata(place_offset(7, "")) == ""
