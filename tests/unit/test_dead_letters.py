from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from streams.formats.dead_letters import dead_letter, dead_letter_id
from streams.formats.events import OversizedRecord, Reject, RejectReason, take_excerpt
from streams.kafka.publishing import MAX_MESSAGE_BYTES
from tests.records import Arrived


def reject(**changes: Any) -> Reject:
    return Reject(Arrived(**changes), "decode", RejectReason.NOT_JSON, "it is none")


@pytest.mark.parametrize("value", [b"\xff\x00{", b"", None, b"x" * 300_000])
@pytest.mark.parametrize("key", [b"\x00key", b"", None])
def test_a_dead_letter_keeps_bytes_and_key(value: bytes | None, key: bytes | None) -> None:
    """Whatever they are, so that the record can be sent again."""
    letter = dead_letter(reject(value=value, key=key))
    assert (letter.value, letter.key) == (value, key)
    assert letter.destination == "dead_letters"


def test_a_dead_letter_keeps_headers_in_order() -> None:
    """Repeated names, bytes that are no text, and null values included; ours come after them."""
    theirs: Any = (("b", b"\xff"), ("a", None), ("b", b""))
    letter = dead_letter(reject(headers=theirs))
    assert letter.headers[:3] == theirs
    assert all(name.startswith("holdfast_") for name, _ in letter.headers[3:])


def test_a_dead_letter_without_headers_has_ours() -> None:
    """Aiokafka may give an empty tuple, or None."""
    nothing: Any = None
    assert dead_letter(reject(headers=nothing)).headers == dead_letter(reject()).headers


def test_a_dead_letter_says_what_happened_where() -> None:
    """Stage, reason, detail, and the record's place and time."""
    headers = dict(dead_letter(reject(topic="t", partition=3, offset=9, timestamp=12)).headers)
    assert headers.pop("holdfast_dead_letter_id")
    assert headers == {
        "holdfast_stage": b"decode",
        "holdfast_reason": b"not_json",
        "holdfast_detail": b"it is none",
        "holdfast_topic": b"t",
        "holdfast_partition": b"3",
        "holdfast_offset": b"9",
        "holdfast_timestamp_ms": b"12",
    }


def test_a_long_detail_is_cut_short() -> None:
    """The letter must fit its topic."""
    letter = dead_letter(replace(reject(), detail="x" * 5000))
    assert dict(letter.headers)["holdfast_detail"] == b"x" * 1000


def test_a_redelivered_record_makes_the_same_dead_letter() -> None:
    """Its id is that of the record's place and time; another place is another id, and so is a recreated topic's."""
    place: dict[str, Any] = {"topic": "t", "partition": 3, "offset": 9, "timestamp": 12}
    assert dead_letter(reject(**place)).message_id == dead_letter(reject(**place, value=b"other")).message_id
    others = [{**place, "topic": "u"}, {**place, "partition": 4}, {**place, "offset": 10}, {**place, "timestamp": 13}]
    assert len({dead_letter_id(Arrived(**each)) for each in (place, *others)}) == 5


def test_a_dead_letter_is_published_in_the_order_of_its_partition() -> None:
    """It belongs to the partition of its record, and to no customer."""
    letter = dead_letter(reject(partition=3))
    assert (letter.partition, letter.customer_id) == (3, "")


LARGE = b"x" * 5_000_000


def read_cut(letter: Any) -> tuple[str, str, str]:
    """Return what a letter says of what was cut: which parts, the size, the digest."""
    headers = {name: (value or b"").decode() for name, value in letter.headers}
    return tuple(headers.get(f"holdfast_{name}", "") for name in ("truncated", "size", "sha256"))  # type: ignore[return-value]


@pytest.mark.parametrize("size", [262_145, 3_000_000, 5_000_000, 150_000_000])
def test_a_value_that_is_too_large_is_cut(size: int) -> None:
    """The letter keeps the beginning, the size and the digest."""
    value = b"x" * size
    letter = dead_letter(replace(reject(value=value), reason=RejectReason.TOO_LARGE))
    assert letter.value == value[:65_536]
    assert read_cut(letter) == ("value", str(size), hashlib.sha256(value).hexdigest())


def test_what_is_not_cut_is_not_marked() -> None:
    """It can be sent back."""
    assert read_cut(dead_letter(reject(value=b"x" * 3_000_000, headers=(("h", b"v" * 99),) * 200))) == ("", "", "")


def test_a_batch_beyond_the_bound_is_one_letter() -> None:
    """Marked as a batch, at its last offset."""
    record = OversizedRecord("t", 3, 9, 12, None, (), take_excerpt(b"gz" * 40_000), 4, "too large; 4 to 9")
    letter = dead_letter(Reject(record, "decode", RejectReason.TOO_LARGE, record.problem))
    headers = dict(letter.headers)
    assert (headers["holdfast_offset"], headers["holdfast_detail"]) == (b"9", b"too large; 4 to 9")
    assert read_cut(letter)[:2] == ("batch,value", "80000")
    assert letter.value == b"gz" * 32_768


@pytest.mark.parametrize("reason", [RejectReason.TOO_LARGE, RejectReason.UNDECIDABLE, RejectReason.WRONG_KEY])
@pytest.mark.parametrize("count", [0, 1, 200, 100_000])
def test_no_letter_is_larger_than_its_producer_allows(reason: RejectReason, count: int) -> None:
    """Whatever its value, key and headers; the first headers that fit are kept, in order."""
    headers = tuple((f"h{number}", b"v" * (5_000_000 // count)) for number in range(count))
    letter = dead_letter(replace(reject(value=LARGE, key=LARGE, headers=headers), reason=reason, detail="d" * 5000))
    size = sum(len(name) + len(value or b"") + 20 for name, value in letter.headers)
    assert len(letter.value or b"") + len(letter.key or b"") + size < MAX_MESSAGE_BYTES
    assert read_cut(letter)[0] == ("value,key,headers" if count else "value,key")
    kept = [header for header in letter.headers if header[0].startswith("h") and not header[0].startswith("holdfast")]
    assert tuple(kept) == headers[: len(kept)]
