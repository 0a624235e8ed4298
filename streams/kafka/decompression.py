"""Decompression of record batches within a bound, so that a producer cannot exhaust a worker's memory.

aiokafka decompresses a whole batch at once, without a limit. Here its functions are replaced by ones that stop at a
bound. A batch beyond it becomes one OversizedRecord at its last offset, so that the consumer's position moves past
the batch exactly when that record is taken. A record of a large batch that is itself too large is cut as it is fetched:
it never reaches the queues whole.
"""

from __future__ import annotations

import mmap
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import aiokafka.codec
from aiokafka.record.default_records import DefaultRecordBatch

from streams.errors import MissingCodecError
from streams.formats.events import Excerpt, OversizedRecord, take_excerpt
from streams.formats.validation import MAX_BATCH_BYTES, MAX_EVENT_BYTES, describe_size

try:
    import cramjam
except ImportError:  # check_codecs then stops the worker at its start
    cramjam = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faust.types import TP

CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
# Records of smaller batches are not checked one by one: the size of the batch bounds their memory.
LARGE_BATCH_BYTES = 4_194_304
XERIAL_MAGIC = b"\x82SNAPPY\x00"
XERIAL_HEADER = 16


class OversizedBatchError(Exception):
    """A batch does not decompress within the bound."""

    def __init__(self, excerpt: Excerpt, reason: str) -> None:
        super().__init__(reason)
        self.excerpt = excerpt
        self.reason = reason


class BoundedDecompressor:
    """Decompresses record batches up to a bound. For one thread.

    Args:
        max_bytes: a batch that is larger when decompressed is not decompressed.

    Attributes:
        size: bytes of the last batch that was decompressed.
    """

    def __init__(self, max_bytes: int = MAX_BATCH_BYTES) -> None:
        self._max_bytes = max_bytes
        # Memory is taken as it is written to. A new buffer for each batch would cost more than decompressing it.
        self._scratch = mmap.mmap(-1, max_bytes)
        self.size = 0

    def install(self) -> None:
        """Make aiokafka decompress with this object; aiokafka has no setting for it."""
        module = sys.modules[DefaultRecordBatch.__module__]
        functions = {"gzip": self.gunzip, "snappy": self.unsnappy, "lz4": self.unlz4, "zstd": self.unzstd}
        for name, function in functions.items():
            setattr(module, f"{name}_decode", function)

    def gunzip(self, data: Any) -> bytes:
        """Decompress gzip; a member after the first counts too."""
        parts: list[bytes] = []
        rest, size = bytes(data), 0
        while rest:
            stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            while not stream.eof:
                part = stream.decompress(rest, 1_048_576)
                size += len(part)
                rest = stream.unconsumed_tail
                if size > self._max_bytes:
                    raise self._oversized("gzip", data)
                if not part and not rest and not stream.eof:
                    raise EOFError("a gzip batch ends too early")
                parts.append(part)
            rest = stream.unused_data
        self.size = size
        return b"".join(parts)

    def unsnappy(self, data: Any) -> bytes:
        """Decompress snappy, raw or in the blocks of Java's library; each block begins with its size."""
        blocks = list(split_xerial(bytes(data)))
        self.size = sum(map(cramjam.snappy.decompress_raw_len, blocks))
        if self.size > self._max_bytes:
            raise self._oversized("snappy", data)
        return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)

    def unlz4(self, data: Any) -> bytes:
        """Decompress an lz4 frame."""
        return self._decompress(cramjam.lz4, "lz4", bytes(data))

    def unzstd(self, data: Any) -> bytes:
        """Decompress a zstd frame."""
        return self._decompress(cramjam.zstd, "zstd", bytes(data))

    def _decompress(self, codec: Any, name: str, data: bytes) -> bytes:
        try:
            self.size = codec.decompress_into(data, self._scratch)
        except (cramjam.DecompressionError, OSError) as error:
            raise self._oversized(name, data, f" ({error})") from error
        decompressed = self._scratch[: self.size]
        self._release()
        return decompressed

    def _oversized(self, codec: str, data: Any, why: str = "") -> OversizedBatchError:
        self._release()
        allowed = f"{self._max_bytes:,} bytes, HOLDFAST_MAX_BATCH_BYTES{why}"
        reason = f"the batch of {len(data):,} bytes, {codec}, does not decompress within {allowed}"
        return OversizedBatchError(take_excerpt(data), reason)

    def _release(self) -> None:
        """Return the memory of a large batch to the system."""
        if self.size > LARGE_BATCH_BYTES:
            self._scratch.madvise(mmap.MADV_DONTNEED)


def split_xerial(data: bytes) -> Iterator[bytes]:
    """Return the raw snappy blocks of a batch."""
    if not data.startswith(XERIAL_MAGIC):
        yield data
        return
    place = XERIAL_HEADER
    while place < len(data):
        (size,) = struct.unpack_from("!i", data, place)
        yield data[place + 4 : place + 4 + size]
        place += 4 + size


class CutRecord(NamedTuple):
    """A record in place of one that was too large, as aiokafka's batches hold them."""

    offset: int
    timestamp: int
    key: bytes | None
    value: None
    headers: tuple[tuple[str, bytes], ...]
    excerpt: Excerpt
    first_offset: int
    problem: str


class BoundedBatch:
    """A compressed batch of aiokafka, iterated within the bound; other attributes are those of the batch."""

    def __init__(self, batch: Any, decompressor: BoundedDecompressor, max_event_bytes: int) -> None:
        self._batch = batch
        self._decompressor = decompressor
        self._max_event_bytes = max_event_bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        batch = self._batch
        try:
            records: Iterator[Any] = iter(batch)
        except OversizedBatchError as error:
            return iter([self._cut_batch(error)])
        return self._cut_records(records) if self._decompressor.size > LARGE_BATCH_BYTES else records

    def _cut_batch(self, error: OversizedBatchError) -> CutRecord:
        batch = self._batch
        first, last = batch.base_offset, batch.next_offset - 1
        problem = f"{error.reason}; its offsets are {first} to {last}"
        return CutRecord(last, batch.max_timestamp, None, None, (), error.excerpt, first, problem)

    def _cut_records(self, records: Iterable[Any]) -> Iterator[Any]:
        for record in records:
            value, allowed = record.value, self._max_event_bytes
            if value is None or len(value) <= allowed:
                yield record
            else:
                excerpt, problem = take_excerpt(value), describe_size(len(value), allowed)
                headers = tuple(record.headers)
                yield CutRecord(
                    record.offset, record.timestamp, record.key, None, headers, excerpt, record.offset, problem
                )


class BoundedBatches:
    """The batches of a fetch, as aiokafka reads them.

    Args:
        batches: aiokafka's own.
        decompressor: decompresses them.
        max_event_bytes: a larger record is cut.
    """

    def __init__(self, batches: Any, decompressor: BoundedDecompressor, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._batches = batches
        self._decompressor = decompressor
        self._max_event_bytes = max_event_bytes

    def has_next(self) -> bool:
        """Return whether there is another batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """Return the next batch; one that is not compressed is aiokafka's own."""
        batch = self._batches.next_batch()
        if not getattr(batch, "compression_type", 0):
            return batch
        return BoundedBatch(batch, self._decompressor, self._max_event_bytes)


def oversized_record(tp: TP, record: CutRecord) -> OversizedRecord:
    """Return what is delivered in place of a record or batch that was too large."""
    return OversizedRecord(
        tp.topic,
        tp.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.headers,
        record.excerpt,
        record.first_offset,
        record.problem,
    )


def check_codecs(available: Mapping[str, bool] | None = None) -> None:
    """Refuse to start when batches of a codec could not be read.

    Args:
        available: whether each codec can be used; by default what aiokafka found when it was imported.

    Raises:
        MissingCodecError: a codec is missing; the message names the package to install.
    """
    found = available or {name: getattr(aiokafka.codec, f"has_{name}")() for name in CODECS.values()}
    missing = [name for name, is_there in found.items() if not is_there]
    if missing:
        raise MissingCodecError(
            f"records compressed with {', '.join(missing)} cannot be read: install the package cramjam "
            "(pip install cramjam), or install Holdfast again with its dependencies"
        )
