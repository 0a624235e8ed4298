"""Record batches are decompressed within a bound, through aiokafka's own reading of a fetch."""

from __future__ import annotations

import gzip
import hashlib
import random
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import cramjam
import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP

from streams.errors import MissingCodecError
from streams.formats.events import OversizedRecord
from streams.kafka.decompression import (
    CODECS,
    LARGE_BATCH_BYTES,
    BoundedBatches,
    BoundedDecompressor,
    check_codecs,
    split_xerial,
)
from streams.kafka.fetching import _make_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLACE = TP("updates", 3)
NUMBERS = {name: number for number, name in CODECS.items()}
BOUND = 8 * 1_048_576
NOISE = random.Random(7).randbytes(300_000)


@pytest.fixture(scope="module")
def decompressor() -> BoundedDecompressor:
    """Aiokafka decompresses by it."""
    decompressor = BoundedDecompressor(BOUND)
    decompressor.install()
    return decompressor


def batch(codec: int, values: Sequence[bytes], *, first: int = 0) -> bytes:
    """Return a batch as a producer sends it and a broker numbers it."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 30)
    for offset, value in enumerate(values):
        builder.append(offset, 1_000 + offset, b"key", value, [("h", b"x")])
    built = builder.build()
    struct.pack_into(">q", built, 0, first)
    return bytes(built)


def read(decompressor: BoundedDecompressor, *batches: bytes, position: int = 0) -> Iterator[Any]:
    """Return the records of a fetch, as the consumer delivers them."""
    fetched = PartitionRecords(PLACE, MemoryRecords(b"".join(batches)), [], position, None, None, True, READ_COMMITTED)
    fetched._records = BoundedBatches(fetched._records, decompressor, 262_144)
    fetched._consumer_record = _make_record
    yield from fetched
    yield fetched.next_fetch_offset


@pytest.mark.parametrize("codec", [0, *CODECS], ids=["none", *CODECS.values()])
def test_every_codec_is_read(decompressor: BoundedDecompressor, codec: int) -> None:
    """Bytes, offsets, timestamps, keys and headers, as they were sent."""
    values = [b"one", b"", NOISE]
    *records, position = read(decompressor, batch(codec, values, first=40), batch(codec, [b"next"], first=43))
    assert [each.value for each in records] == [*values, b"next"]
    assert [each.offset for each in records] == [40, 41, 42, 43]
    assert {(each.key, tuple(each.headers)) for each in records} == {(b"key", (("h", b"x"),))}
    assert position == 44


@pytest.mark.parametrize("codec", CODECS, ids=CODECS.values())
def test_a_batch_beyond_the_bound_is_one_record(decompressor: BoundedDecompressor, codec: int) -> None:
    """At its last offset, with digest, size and beginning of the compressed bytes; its neighbours are read."""
    bomb = batch(codec, [b"x" * 3_000_000] * 4, first=11)
    records = [batch(codec, [b"before"], first=10), bomb, batch(codec, [b"after"], first=15)]
    before, large, after, position = read(decompressor, *records, position=10)
    assert (before.value, after.value, position) == (b"before", b"after", 16)
    assert isinstance(large, OversizedRecord)
    assert (large.first_offset, large.offset, large.timestamp) == (11, 14, 1_003)
    compressed = bomb[61:]
    assert large.excerpt.size == len(compressed)
    assert large.excerpt.sha256 == hashlib.sha256(compressed).hexdigest()
    assert large.excerpt.prefix == compressed[:65_536]
    assert CODECS[codec] in large.problem
    assert "offsets are 11 to 14" in large.problem


@pytest.mark.parametrize("position", [11, 13, 14])
def test_reading_from_within_a_batch_beyond_the_bound_gives_the_same_record(
    decompressor: BoundedDecompressor, position: int
) -> None:
    """A redelivery from any of its offsets makes the same dead letter."""
    (large, end) = read(decompressor, batch(1, [b"x" * 3_000_000] * 4, first=11), position=position)
    assert (large.offset, end) == (14, 15)


@pytest.mark.parametrize("codec", CODECS, ids=CODECS.values())
def test_a_large_record_within_the_bound_is_cut(decompressor: BoundedDecompressor, codec: int) -> None:
    """It keeps its key, headers and place; smaller records of the batch are whole."""
    value = b"y" * (LARGE_BATCH_BYTES + 1)
    small, large, other, _ = read(decompressor, batch(codec, [b"small", value, b"other"]))
    assert (small.value, other.value) == (b"small", b"other")
    assert isinstance(large, OversizedRecord)
    assert (large.key, large.headers, large.value) == (b"key", (("h", b"x"),), None)
    assert (large.offset, large.first_offset) == (1, 1)
    assert (large.excerpt.size, large.excerpt.prefix) == (len(value), value[:65_536])
    assert "4,194,305 bytes; 262,144 are allowed" in large.problem


@pytest.mark.parametrize("codec", CODECS, ids=CODECS.values())
def test_a_batch_at_the_bound_is_read(codec: int) -> None:
    """The bound is the largest size allowed."""
    record = batch(codec, [b"z" * 2_000_000])
    exact = BoundedDecompressor(BOUND)
    exact.install()
    next(read(exact, record))
    for bound, is_read in ((exact.size, True), (exact.size - 1, False)):
        decompressor = BoundedDecompressor(bound)
        decompressor.install()
        (found, _) = read(decompressor, record)
        assert isinstance(found, OversizedRecord) is not is_read


def test_gzip_of_several_members_is_read_within_the_bound(decompressor: BoundedDecompressor) -> None:
    """Members count together."""
    assert decompressor.gunzip(gzip.compress(b"one") + gzip.compress(b"two")) == b"onetwo"
    with pytest.raises(Exception, match="does not decompress within"):
        decompressor.gunzip(gzip.compress(b"x" * 5_000_000) * 2)
    with pytest.raises(EOFError):
        decompressor.gunzip(gzip.compress(NOISE)[:1000])


def test_snappy_in_blocks_is_read(decompressor: BoundedDecompressor) -> None:
    """Java's producers write blocks, others one."""
    blocks = [bytes(cramjam.snappy.compress_raw(part)) for part in (b"one" * 99, b"two" * 99)]
    xerial = b"\x82SNAPPY\x00" + struct.pack("!ii", 1, 1) + b"".join(struct.pack("!i", len(b)) + b for b in blocks)
    assert list(split_xerial(xerial)) == blocks
    assert decompressor.unsnappy(xerial) == b"one" * 99 + b"two" * 99
    assert decompressor.unsnappy(blocks[0]) == b"one" * 99


def test_a_missing_codec_is_named_at_the_start() -> None:
    """With the package to install."""
    check_codecs()
    with pytest.raises(MissingCodecError, match="compressed with snappy, zstd cannot be read: install the package cr"):
        check_codecs({"gzip": True, "snappy": False, "lz4": True, "zstd": False})


def test_a_worker_without_the_package_refuses_to_start_in_one_sentence() -> None:
    """The codecs' package is imported nowhere without it being said what to install."""
    program = (
        "import sys; sys.modules['cramjam'] = None; sys.argv[1:] = ['worker']; import console.cli as cli; cli.main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "records compressed with snappy, lz4, zstd cannot be read: install the package cramjam" in ended.stderr
    assert "Traceback" not in ended.stderr
