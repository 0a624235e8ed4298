from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.formats.dead_letters import dead_letter, dead_letter_id
from streams.formats.events import Reject, RejectReason
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
    """Its id is that of the record's place; another place is another id."""
    place: dict[str, Any] = {"topic": "t", "partition": 3, "offset": 9}
    assert dead_letter(reject(**place)).message_id == dead_letter(reject(**place, value=b"other")).message_id
    others = [{**place, "topic": "u"}, {**place, "partition": 4}, {**place, "offset": 10}]
    assert len({dead_letter_id(Arrived(**each)) for each in (place, *others)}) == 4


def test_a_dead_letter_is_published_in_the_order_of_its_partition() -> None:
    """It belongs to the partition of its record, and to no customer."""
    letter = dead_letter(reject(partition=3))
    assert (letter.partition, letter.customer_id) == (3, "")
