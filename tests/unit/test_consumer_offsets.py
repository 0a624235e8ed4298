from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.offsets import ContiguousOffsets


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Draw intervals as a fetch gives them: ascending, with gaps between some."""
    position = draw(st.integers(0, 1000))
    intervals = []
    for gap, size in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), min_size=1, max_size=12)):
        intervals.append((position + gap, position + gap + size))
        position += gap + size
    return intervals


@given(deliveries(), st.data())
def test_commits_never_pass_an_unacknowledged_interval(intervals: list[tuple[int, int]], data: st.DataObject) -> None:
    """After each acknowledgement, the earliest interval still open begins at or after the committable offset."""
    offsets = ContiguousOffsets()
    waiting = {(offsets.note_delivered(first, end), end) for first, end in intervals}
    for start, end in data.draw(st.permutations(sorted(waiting))):
        waiting.remove((start, end))
        assert offsets.acknowledge(start, end) <= min((start for start, _ in waiting), default=intervals[-1][1])


@given(deliveries(), st.data())
def test_any_order_of_acknowledgements_ends_at_the_same_place(
    intervals: list[tuple[int, int]], data: st.DataObject
) -> None:
    """When all is acknowledged, some of it twice, all can be committed, gaps included."""
    offsets = ContiguousOffsets(position=intervals[0][0])
    delivered = [(offsets.note_delivered(first, end), end) for first, end in intervals]
    again = data.draw(st.lists(st.sampled_from(delivered), max_size=3))
    for start, end in data.draw(st.permutations(delivered + again)):
        offsets.acknowledge(start, end)
    assert offsets.committable == offsets.position == intervals[-1][1]


@given(deliveries(), st.data())
def test_a_delivery_taken_back_and_cut_differently_is_committed_only_when_acknowledged(
    intervals: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Rewinding loses neither what was acknowledged nor the need to acknowledge the rest."""
    offsets = ContiguousOffsets()
    first, end = intervals[0][0], intervals[-1][1]
    offsets.note_delivered(first, end)
    back = data.draw(st.integers(first, end - 1))
    offsets.rewind(back)
    start = offsets.note_delivered(back, end)
    assert (start, offsets.acknowledge(start, end)) == (back, end if back == first else first)
    assert offsets.acknowledge(first, end) == end


def test_a_gap_after_the_committed_offset_is_covered() -> None:
    """Records that retention or compaction removed do not hold the commit back."""
    offsets = ContiguousOffsets(position=10)
    assert offsets.note_delivered(25, 30) == 10
    assert offsets.acknowledge(10, 30) == 30


def test_a_topic_made_anew_begins_again_below_the_committed_offset() -> None:
    """Only the first delivery may do so."""
    offsets = ContiguousOffsets(position=100)
    assert offsets.note_delivered(0, 5) == 0
    assert offsets.acknowledge(0, 5) == 5
    with pytest.raises(ValueError, match="cannot follow"):
        offsets.note_delivered(2, 7)


def test_nothing_can_be_acknowledged_before_anything_is_delivered() -> None:
    """A new group has no offset from which to count."""
    with pytest.raises(ValueError, match="nothing was delivered"):
        ContiguousOffsets().acknowledge(0, 5)
