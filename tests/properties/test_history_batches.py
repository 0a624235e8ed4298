"""Batches of a past period: the same ones however the records arrive, and wherever a replay resumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.fetching import FetchedRecord
from streams.runtime.history_batches import BatchCutter, PartitionHistory, Placed, Position, take_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streams.formats.events import Record

MOST = 5
times = st.lists(st.integers(0, 40), max_size=25)
logs = st.lists(times, min_size=1, max_size=4)


def records(number: int, log: Sequence[int]) -> list[Record]:
    """Return a partition's records, at these times and of few customers."""
    return [
        FetchedRecord("t", number, offset, time * 20, f"c{(offset + number) % 3}".encode(), b"", ())
        for offset, time in enumerate(log)
    ]


def read(
    partitions: Sequence[Sequence[Record]], begins: Sequence[Position], choose: Callable[[int], int]
) -> Iterator[list[Placed]]:
    """Yield the batches of partitions that are read by as many records at a time as `choose` says."""
    histories = [
        PartitionHistory(n, begin, len(log)) for n, (log, begin) in enumerate(zip(partitions, begins, strict=True))
    ]
    fetched = [begin.offset for begin in begins]
    cutter = BatchCutter(MOST)
    ended: set[int] = set()
    while len(ended) < len(histories):
        for n, history in enumerate(histories):
            if not len(history):
                more = partitions[n][fetched[n] : fetched[n] + choose(n)]
                history.add(more)
                fetched[n] += len(more)
            if fetched[n] >= len(partitions[n]):
                ended.add(n)
        yield from cutter.cut(take_in_order(histories, ended))
    if rest := cutter.take():
        yield rest


def whole(partitions: Sequence[Sequence[Record]]) -> list[list[Placed]]:
    """Return the batches of partitions that are read at once."""
    return list(read(partitions, [Position(0, 0)] * len(partitions), lambda _: 1000))


@given(logs, st.data())
def test_the_batches_do_not_depend_on_how_records_arrive(written: list[list[int]], data: st.DataObject) -> None:
    partitions = [records(n, log) for n, log in enumerate(written)]
    begins = [Position(0, 0)] * len(partitions)
    assert list(read(partitions, begins, lambda _: data.draw(st.integers(1, 7)))) == whole(partitions)


@given(logs, st.data())
def test_a_replay_that_resumes_after_any_batch_makes_the_same_batches(
    written: list[list[int]], data: st.DataObject
) -> None:
    partitions = [records(n, log) for n, log in enumerate(written)]
    batches = whole(partitions)
    done = data.draw(st.integers(0, len(batches)))
    begins = [Position(0, 0)] * len(partitions)
    for batch in batches[:done]:
        for placed in batch:
            begins[placed.partition] = Position(placed.record.offset + 1, placed.time)
    assert list(read(partitions, begins, lambda _: data.draw(st.integers(1, 7)))) == batches[done:]


@given(logs)
def test_every_record_comes_once_in_the_order_of_its_partition(written: list[list[int]]) -> None:
    partitions = [records(n, log) for n, log in enumerate(written)]
    found = [placed.record for batch in whole(partitions) for placed in batch]
    for n, log in enumerate(partitions):
        assert [each for each in found if each.partition == n] == log


@given(logs)
def test_records_are_in_the_order_of_time_where_producers_keep_it(written: list[list[int]]) -> None:
    partitions = [records(n, sorted(log)) for n, log in enumerate(written)]
    found = [placed.record.timestamp for batch in whole(partitions) for placed in batch]
    assert found == sorted(found)


@given(logs)
def test_a_batch_is_no_longer_than_allowed_and_has_a_customers_records_of_one_moment(written: list[list[int]]) -> None:
    for batch in whole([records(n, log) for n, log in enumerate(written)]):
        assert len(batch) <= MOST
        for key in {placed.record.key for placed in batch}:
            at = [placed.time for placed in batch if placed.record.key == key]
            assert max(at) - min(at) <= 50
