from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from campaigns.dead_letters import DeadLetter, part_headers, read_message, refuse_requeue
from campaigns.ports import OutboxRow, Refusal
from campaigns.triggers import Message
from campaigns.unpublishable import set_aside
from streams.formats.dead_letters import dead_letter
from streams.formats.events import Reject, RejectReason
from tests.builders import AS_OF
from tests.records import Arrived

REFUSAL = Refusal("p.campaign-triggers", "Broker: Message size too large")
SMALL = 16_384
"""Bytes that every topic takes."""


def row(**changes: Any) -> OutboxRow:
    defaults = {
        "message_id": "m-1",
        "customer_id": "ann",
        "destination": "campaign_triggers",
        "key": b"ann",
        "headers": (("ce_id", b"m-1"),),
        "value": b"x" * 5_000,
        "partition": 3,
    }
    return OutboxRow(7, Message(**{**defaults, **changes}))


def size(message: Message) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


def test_the_letter_of_a_refused_message_has_its_place_digest_and_beginning() -> None:
    found = set_aside(row(), REFUSAL)
    _, ours = part_headers(found.message.headers)
    assert (found.sequence, found.message.partition, found.message.destination) == (7, 3, "dead_letters")
    assert (ours["holdfast_reason"], ours["holdfast_topic"]) == ("unpublishable", "p.campaign-triggers")
    assert ours["holdfast_detail"] == "message m-1: Broker: Message size too large"
    assert ours["holdfast_sha256"] == hashlib.sha256(b"x" * 5_000).hexdigest()
    assert (ours["holdfast_size"], ours["holdfast_truncated"], found.message.value) == ("5000", "value", b"x" * 1_000)


def test_a_message_is_set_aside_the_same_way_whenever_it_is() -> None:
    """After a crash the next owner publishes the same letter."""
    assert set_aside(row(), REFUSAL) == set_aside(row(), REFUSAL)
    assert set_aside(row(), REFUSAL).message.message_id != set_aside(row(message_id="m-2"), REFUSAL).message.message_id


def test_a_refused_dead_letter_keeps_its_id_and_what_is_ours() -> None:
    """The ledger has all of it: what is published is cut."""
    reject = Reject(Arrived(value=b"y" * 5_000_000), "decode", RejectReason.TOO_LARGE, "5,000,000 bytes")
    whole = dead_letter(reject)
    cut = set_aside(OutboxRow(7, whole), REFUSAL).message
    before, after = part_headers(whole.headers)[1], part_headers(cut.headers)[1]
    assert cut.message_id == whole.message_id
    assert before.items() <= after.items()
    assert (after["holdfast_size"], after["holdfast_truncated"]) == ("5000000", "value")
    assert after["holdfast_refused"] == REFUSAL.reason


@given(
    key=st.one_of(st.none(), st.binary(max_size=20_000)),
    value=st.one_of(st.none(), st.binary(max_size=20_000)),
    headers=st.lists(st.tuples(st.text(max_size=30), st.one_of(st.none(), st.binary(max_size=9_000))), max_size=20),
    reason=st.text(max_size=3_000),
    is_letter=st.booleans(),
)
def test_a_letter_fits_everywhere_and_is_readable(
    key: bytes | None, value: bytes | None, headers: Any, reason: str, is_letter: bool
) -> None:
    refusal = Refusal("t", reason.encode(errors="ignore").decode())
    if is_letter:
        detail = refusal.reason
        record = Arrived(key=key, value=value, headers=headers)
        refused = OutboxRow(1, dead_letter(Reject(record, "decode", RejectReason.NOT_JSON, detail)))
    else:
        refused = row(key=key, value=value, headers=tuple(headers))
    found = set_aside(refused, refusal).message
    assert size(found) < SMALL
    assert read_message(found).reason
    assert set_aside(OutboxRow(1, found), refusal).message.message_id == found.message_id


def test_what_was_cut_or_is_ours_cannot_be_requeued() -> None:
    letter = DeadLetter(
        letter_id="one",
        number=1,
        created_at=AS_OF,
        stage="decode",
        reason="not_json",
        detail="",
        topic="outcomes",
        partition=3,
        offset=41,
        key=None,
        headers=(),
        size=7,
    )
    assert refuse_requeue(letter) is None
    assert "only the beginning" in str(refuse_requeue(replace(letter, truncated="value", size=5_000_000)))
    assert "has been decided" in str(refuse_requeue(replace(letter, stage="publish")))
