"""Detects producers that use another partitioner than the configured one.

The events of a customer are decided in order by one worker only if all producers choose its partition alike. The
consumer checks a few records of each chunk, which costs a chunk of a thousand records some microseconds.
"""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING

import structlog
from aiokafka.partitioner import murmur2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.formats.events import Record

SAMPLE = 4
"""Records of a chunk that are checked, evenly spaced."""
MAX_KEY_BYTES = 256
"""Longer keys are not checked: they are no customer ids, and murmur2 is slow in Python."""
FNV_OFFSET, FNV_PRIME = 0x811C9DC5, 0x01000193

log = structlog.get_logger()


def choose_partition(partitioner: str, key: bytes, partitions: int) -> int:
    """Return the partition that librdkafka's partitioner of this name chooses for a key that is not empty."""
    if partitioner.startswith("murmur2"):
        return int((murmur2(key) & 0x7FFFFFFF) % partitions)
    if partitioner.startswith("consistent"):
        return zlib.crc32(key) % partitions
    return hash_fnv1a(key) % partitions


def hash_fnv1a(key: bytes) -> int:
    """Return librdkafka's FNV-1a: the absolute value of the signed 32-bit hash."""
    value = FNV_OFFSET
    for octet in key:
        value = (value ^ octet) * FNV_PRIME & 0xFFFFFFFF
    return value if value < 1 << 31 else (1 << 32) - value


class KeyPartitionCheck:
    """Compares the partition of sampled records with the one that the configured partitioner chooses.

    Args:
        partitioner: librdkafka's name of the partitioner of all producers.

    Attributes:
        partitions: the number of partitions of each topic; records of other topics are not checked.
        misplaced: sampled records in another partition, by topic.
    """

    def __init__(self, partitioner: str) -> None:
        self._partitioner = partitioner
        self.partitions: Mapping[str, int] = {}
        self.misplaced: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def check(self, records: Sequence[Record]) -> None:
        """Check a sample of a chunk; each topic's first misplaced record is logged."""
        for record in records[:: -(-len(records) // SAMPLE)]:
            partitions, key = self.partitions.get(record.topic), record.key
            if partitions and key and len(key) <= MAX_KEY_BYTES:
                expected = choose_partition(self._partitioner, key, partitions)
                if expected != record.partition:
                    self._note(record, expected)

    def describe(self) -> list[str]:
        """Return a sentence for each topic that has misplaced records."""
        return list(self._first.values())

    def _note(self, record: Record, expected: int) -> None:
        topic, partition, offset = record.topic, record.partition, record.offset
        self.misplaced[topic] += 1
        if topic in self._first:
            return
        self._first[topic] = (
            f"topic {topic}: the record at partition {partition}, offset {offset} belongs to partition {expected} by "
            f"HOLDFAST_PARTITIONER {self._partitioner}: its producer uses another partitioner, or wrote it before "
            "partitions were added; events of one customer may be decided out of order and by several workers"
        )
        log.warning(
            "record_in_other_partition",
            topic=topic,
            partition=partition,
            offset=offset,
            expected=expected,
            partitioner=self._partitioner,
        )
