from __future__ import annotations

from typing import Any

import pytest

from streams.kafka.fetching import FetchedRecord
from streams.kafka.key_partitions import MAX_KEY_BYTES, KeyPartitionCheck, choose_partition

KEYS = [b"c%d" % number for number in range(40)]


def record(partition: int, key: bytes | None, offset: int = 0, topic: str = "updates") -> FetchedRecord:
    return FetchedRecord(topic, partition, offset, 0, key, b"", ())


def given_check(partitions: int = 4, partitioner: str = "murmur2_random") -> KeyPartitionCheck:
    check = KeyPartitionCheck(partitioner)
    check.partitions = {"updates": partitions}
    return check


@pytest.mark.parametrize("partitioner", ["murmur2", "murmur2_random", "consistent", "consistent_random", "fnv1a"])
def test_records_of_the_configured_partitioner_are_in_their_partition(partitioner: str) -> None:
    """Health then contains nothing."""
    check = given_check(partitioner=partitioner)
    for key in KEYS:
        check.check([record(choose_partition(partitioner, key, 4), key)])
    assert (check.misplaced, check.describe()) == ({}, [])


def test_another_partitioner_is_named_once_for_each_topic() -> None:
    """All are counted; the first one is named with its place and the expected partition."""
    check = given_check()
    key = next(key for key in KEYS if choose_partition("murmur2", key, 4) == 1)
    for offset in (7, 8):
        check.check([record(3, key, offset)])
    assert check.misplaced == {"updates": 2}
    (sentence,) = check.describe()
    assert "topic updates: the record at partition 3, offset 7 belongs to partition 1 by" in sentence
    assert "HOLDFAST_PARTITIONER murmur2_random" in sentence


@pytest.mark.parametrize("key", [None, b"", b"x" * (MAX_KEY_BYTES + 1)], ids=["null", "empty", "long"])
def test_a_key_without_a_certain_partition_is_not_checked(key: bytes | None) -> None:
    """Producers place null and empty keys at random."""
    check = given_check()
    for partition in range(4):
        check.check([record(partition, key)])
    assert check.describe() == []


def test_a_topic_whose_partitions_are_unknown_is_not_checked() -> None:
    """As before the first metadata."""
    check = KeyPartitionCheck("murmur2")
    check.check([record(1, b"c1"), record(2, b"c1")])
    assert check.describe() == []


@pytest.mark.parametrize(("count", "checked"), [(1, 1), (4, 4), (5, 3), (1000, 4), (1001, 4)])
def test_a_few_records_of_a_chunk_are_checked(count: int, checked: int) -> None:
    """However many there are."""
    check = given_check()
    wrong: Any = next(key for key in KEYS if choose_partition("murmur2", key, 4) != 0)
    check.check([record(0, wrong)] * count)
    assert check.misplaced == {"updates": checked}
