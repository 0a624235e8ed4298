"""Which records are poison: found by halving, whatever they are and however many."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.formats.events import RejectReason
from streams.runtime.poison_records import PoisonSearch
from tests.examples import examples
from tests.records import Arrived

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from streams.formats.events import Record, Reject

SETTINGS = examples(200)
SPOILED = ValueError("spoiled")


class Rehearsal:
    """Fails for some sets of offsets, and counts how often it was asked."""

    def __init__(self, fails: Callable[[set[int]], bool]) -> None:
        self._fails = fails
        self.calls = 0

    async def __call__(self, records: Sequence[Record]) -> Exception | None:
        """Rehearse."""
        self.calls += 1
        return SPOILED if self._fails({record.offset for record in records}) else None


def find(count: int, rehearsal: Rehearsal, search: PoisonSearch | None = None) -> list[Reject]:
    records = [Arrived(offset=offset) for offset in range(count)]
    return asyncio.run((search or PoisonSearch(most_in_a_row=count)).find(records, rehearsal))


def offsets(poison: Sequence[Reject]) -> list[int]:
    return [reject.record.offset for reject in poison]


def holding(bad: Collection[int]) -> Rehearsal:
    return Rehearsal(lambda offered: not offered.isdisjoint(bad))


@SETTINGS
@given(st.integers(1, 80), st.sets(st.integers(0, 79)))
def test_exactly_the_bad_records_are_found(count: int, bad: set[int]) -> None:
    assert offsets(find(count, holding(bad))) == sorted(each for each in bad if each < count)


@SETTINGS
@given(st.integers(2, 60), st.sets(st.frozensets(st.integers(0, 59), min_size=1, max_size=3), max_size=5))
def test_what_is_left_does_not_fail_even_where_records_fail_only_together(
    count: int, groups: set[frozenset[int]]
) -> None:
    fails = Rehearsal(lambda offered: any(group <= offered for group in groups))
    found = offsets(find(count, fails))
    assert asyncio.run(fails([Arrived(offset=each) for each in range(count) if each not in found])) is None
    assert all(any(each in group for group in groups) for each in found)


def test_one_bad_record_of_five_hundred_takes_few_rehearsals() -> None:
    """One of the whole, one for each halving, one of all that is left."""
    rehearsal = holding({321})
    find(500, rehearsal)
    assert rehearsal.calls <= 2 + math.ceil(math.log2(500))


def test_poison_is_told_with_the_error_it_leads_to() -> None:
    (reject,) = find(3, holding({1}))
    assert (reject.stage, reject.reason) == ("decide", RejectReason.UNDECIDABLE)
    assert reject.detail == "deciding it raises ValueError: spoiled"


def test_a_batch_that_does_not_fail_again_holds_no_poison() -> None:
    assert find(5, holding(())) == []


def test_too_many_in_a_row_are_no_bad_data() -> None:
    """Over batches, too: whatever is wrong then, it is not one record."""
    search = PoisonSearch(most_in_a_row=3)
    assert len(find(2, holding(range(2)), search)) == 2
    with pytest.raises(ValueError, match="spoiled"):
        find(2, holding(range(2)), search)


@pytest.mark.parametrize("between", ["a good record", "a good batch"])
def test_anything_good_in_between_ends_the_row(between: str) -> None:
    search = PoisonSearch(most_in_a_row=3)
    bad = {0, 1, 2} if between == "a good batch" else {0, 1, 3}
    find(3 if between == "a good batch" else 4, holding(bad), search)
    if between == "a good batch":
        search.note_success()
    assert len(find(2, holding({0, 1}), search)) == 2
