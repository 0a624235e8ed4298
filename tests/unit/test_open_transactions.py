from __future__ import annotations

from faust.types import TP

from streams.observability.liveness import Progress
from streams.observability.open_transactions import LONG_S, describe_open, find_open

ONE, TWO = TP("updates", 0), TP("updates", 1)


def test_a_transaction_that_stays_open_is_named_with_its_place_and_duration() -> None:
    """Not before it has been open for long: most transactions are short."""
    first = find_open({}, {ONE: Progress(0, 5, 11), TWO: Progress(0, 7, 7)}, now=100.0)
    later = find_open(first, {ONE: Progress(0, 5, 14)}, now=130.0)
    assert describe_open(first, 100.0 + LONG_S - 1) == []
    (sentence,) = describe_open(later, 130.0)
    assert sentence.startswith(
        "updates[0]: a producer's transaction has been open at offset 5 for 30 s; 9 offsets wait"
    )


def test_one_transaction_after_another_is_not_a_long_one() -> None:
    """The last stable offset moves."""
    transactions = {}
    for second in range(60):
        transactions = find_open(transactions, {ONE: Progress(0, second, second + 3)}, now=float(second))
    assert describe_open(transactions, 60.0) == []


def test_a_transaction_that_ended_is_forgotten() -> None:
    """Also when the next one begins at the same offset."""
    first = find_open({}, {ONE: Progress(0, 5, 11)}, now=0.0)
    ended = find_open(first, {ONE: Progress(0, 11, 11)}, now=50.0)
    assert (ended, find_open(ended, {ONE: Progress(0, 5, 11)}, now=60.0)[ONE].since) == ({}, 60.0)


def test_a_partition_whose_ends_are_unknown_is_not_counted() -> None:
    """The consumer alone does not know both."""
    assert find_open({}, {ONE: Progress(0, 5), TWO: Progress(0, None, 5)}, now=0.0) == {}
