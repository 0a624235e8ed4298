"""What an operator sees of dead letters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from campaigns.dead_letters import DeadLetter, Resolution, part_headers
from console.dead_letter_views import as_object, describe, hex_dump, inline, render, report, summarize, tabulate
from console.use_cases.dead_letters import DeadLetterList, Requeued, describe_resolution
from streams.formats.dead_letters import dead_letter
from streams.formats.events import Reject, RejectReason

AT = datetime(2011, 6, 1, 12, 30, 15, 999, tzinfo=UTC)
LETTER = DeadLetter(
    letter_id="one",
    number=1,
    created_at=AT,
    key=b"ann",
    headers=(("trace", b"\xff\x00"), ("empty", None)),
    size=7,
    stage="decode",
    reason="not_json",
    detail="JSON is malformed",
    topic="outcomes",
    partition=3,
    offset=41,
)


def test_headers_part_into_theirs_and_ours() -> None:
    record = SimpleNamespace(
        topic="outcomes", partition=3, offset=41, timestamp=1, key=None, value=b"", headers=[("a", None), ("a", b"2")]
    )
    message = dead_letter(Reject(record, "decode", RejectReason.EMPTY_VALUE, "the record has no value"))
    theirs, ours = part_headers(message.headers)
    assert theirs == (("a", None), ("a", b"2"))
    assert (ours["holdfast_reason"], ours["holdfast_offset"]) == ("empty_value", "41")


def test_headers_like_ours_that_a_producer_sent_are_theirs() -> None:
    """Somebody published a dead letter again by hand, headers and all."""
    earlier = (("holdfast_dead_letter_id", b"old"), ("holdfast_reason", b"not_json"))
    ours = (("holdfast_dead_letter_id", b"new"), ("holdfast_reason", b"wrong_key"))
    assert part_headers((*earlier, *ours)) == (
        earlier,
        {"holdfast_dead_letter_id": "new", "holdfast_reason": "wrong_key"},
    )


def test_a_table_has_one_line_for_each_letter_in_columns() -> None:
    assert tabulate([LETTER, replace(LETTER, letter_id="second", size=None)]) == [
        "id      status  reason    topic/partition/offset  written                    bytes",
        "one     open    not_json  outcomes/3/41           2011-06-01T12:30:15+00:00  7",
        "second  open    not_json  outcomes/3/41           2011-06-01T12:30:15+00:00  none",
    ]


def test_the_summary_counts_all_by_reason_also_those_not_shown() -> None:
    three = DeadLetterList([LETTER], {"not_json": 2, "wrong_key": 1})
    assert summarize(three) == "3 dead letters, the newest 1 shown: 2 not_json, 1 wrong_key"
    assert summarize(DeadLetterList([LETTER], {"not_json": 1})) == "1 dead letter: 1 not_json"
    assert summarize(DeadLetterList([], {})) == "no dead letters"


def test_json_counts_all_and_lists_what_is_shown() -> None:
    listed = as_object(DeadLetterList([LETTER], {"not_json": 2}))
    assert (listed["matching"], listed["by_reason"], len(listed["letters"])) == (2, {"not_json": 2}, 1)
    assert (listed["letters"][0]["key"], listed["letters"][0]["settled_at"]) == ("ann", None)


def test_a_message_that_was_refused_has_no_offset() -> None:
    letter = replace(LETTER, topic="campaign-triggers", partition=None, offset=None)
    assert tabulate([letter])[1].split()[3:5] == ["to", "campaign-triggers"]


def test_a_requeue_says_which_letters_it_left_out() -> None:
    assert report(Requeued(["a"], left_out={"b": "b holds only the beginning"})) == [
        "requeued 1",
        "left out: b holds only the beginning",
    ]


def test_a_description_has_every_part() -> None:
    settled = replace(LETTER, resolution=Resolution.DISCARDED, resolved_at=AT, actor="bob", why="a test")
    assert describe(settled) == [
        "one is discarded since 2011-06-01T12:30:15+00:00 by bob: a test",
        "reason   not_json",
        "stage    decode",
        "detail   JSON is malformed",
        "source   outcomes/3/41",
        "written  2011-06-01T12:30:15+00:00",
        "size     7 bytes",
        "key      ann",
        "headers",
        "  trace: 0xff00",
        "  empty: (null)",
    ]


def test_a_description_says_what_is_missing_of_a_value() -> None:
    cut = replace(LETTER, truncated="value", size=5_000_000, digest="c0ffee")
    assert "size     5,000,000 bytes, not kept whole (cut: value), SHA-256 c0ffee" in describe(cut)


def test_an_open_letter_has_no_history() -> None:
    assert describe_resolution(LETTER) == "one is open"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "(null)"),
        (b"", "(empty)"),
        (b'{"a":\n1}', '{"a":\n1}'),
        (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\u202e".encode(), "\\u202e"),
        (b"\xff\xfe", "00000000  ff fe                                            .."),
    ],
)
def test_a_value_is_shown_as_text_or_as_hex(value: bytes | None, shown: str) -> None:
    """What a terminal would obey is escaped."""
    assert render(value, 10) == shown


def test_a_long_value_is_cut_between_characters() -> None:
    euros = "\u20ac" * 4
    assert render(euros.encode(), 4) == "\u20ac\n... 8 bytes more; --full shows them"
    assert render(euros.encode(), None) == euros


def test_a_hex_dump_has_sixteen_bytes_a_line() -> None:
    assert hex_dump(bytes(range(0x3C, 0x4E))) == (
        "00000000  3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b  <=>?@ABCDEFGHIJK\n"
        "00000010  4c 4d                                            LM"
    )


@pytest.mark.parametrize(("value", "shown"), [(None, "(null)"), (b"a\nb", "a\\nb"), (b"\xff", "0xff"), (b"", "")])
def test_a_key_or_header_stays_on_its_line(value: bytes | None, shown: str) -> None:
    assert inline(value) == shown
