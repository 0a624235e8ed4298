from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from streams.formats.codecs import decode_records
from streams.formats.events import OUTCOMES, RejectReason
from tests.records import PREFIX, TRIGGER_ID, Arrived, arrive, body, decode, message, outcome

GOOD = [
    body(attributes={"order_id": 7, "lines": [{"sku": None}]}),
    body(customer_id="Zo\u00eb \U0001f600"),
    body(customer_id="no-break\u00a0space \u2028"),
    body(occurred_at="2011-06-01T12:30:00.123456-05:00", unknown="field"),
    message(channel="chat"),
    message(role="agent", text=""),
    body(type="evaluation.requested", reason="launch", campaign="vip", launch="spring"),
    body(type="evaluation.requested"),
    *(outcome(kind, value=12.5) for kind in OUTCOMES),
    *(outcome(kind, trigger_id=unknown) for kind in ("unsubscribed", "complained") for unknown in (None, "", "17")),
    outcome("resubscribed", trigger_id=None, channel="email"),
]


@pytest.mark.parametrize("content", GOOD, ids=lambda content: content["type"])
def test_a_good_event_is_decoded(content: dict[str, object]) -> None:
    """With its record, and nothing rejected."""
    record = arrive(content)
    decoded = decode(record)
    (event,) = decoded.events
    assert (event.wire.id, event.customer_id, event.wire.type) == ("e1", content["customer_id"], content["type"])
    assert event.record is record
    assert decoded.rejects == []


def test_events_are_separated_by_kind() -> None:
    """Each kind in the order of arrival; an outcome alone has no customer evaluated."""
    contents = [message(id="m"), body(id="u"), outcome(id="o"), body(id="r", type="evaluation.requested"), body(id="v")]
    found = decode(*map(arrive, contents)).events
    kinds = found.updated, found.said, found.requested, found.reported
    assert [[event.wire.id for event in kind] for kind in kinds] == [["u", "v"], ["m"], ["r"], ["o"]]
    assert [event.wire.id for event in found.to_evaluate] == ["u", "v", "m", "r"]
    assert len(list(found)) == len(found) == len(contents)


def test_an_opt_out_may_have_null_where_it_has_nothing() -> None:
    """Many producers write every field."""
    content = {**outcome("unsubscribed"), "trigger_id": None, "channel": None, "value": None}
    assert len(decode(arrive(content)).events) == 1


def raw(value: bytes | None) -> Arrived:
    return Arrived(value=value)


EMPTY, LARGE, NOT_JSON = RejectReason.EMPTY_VALUE, RejectReason.TOO_LARGE, RejectReason.NOT_JSON
INVALID, WRONG_TYPE, WRONG_KEY = RejectReason.INVALID_EVENT, RejectReason.WRONG_TYPE, RejectReason.WRONG_KEY
BAD = {
    "null value": (Arrived(f"{PREFIX}outcomes"), EMPTY, "no value"),
    "empty value": (raw(b""), EMPTY, "no value"),
    "over the size limit": (raw(b"x" * 2001), LARGE, "2,001 bytes; 2,000 are allowed"),
    "bad UTF-8": (raw(b'{"id": "\xff"}'), NOT_JSON, ""),
    "bad JSON": (raw(b'{"id": '), NOT_JSON, "truncated"),
    "two objects": (raw(msgspec.json.encode(body()) + b"{}"), NOT_JSON, ""),
    "half a surrogate pair": (raw(rb'{"id": "\ud800"}'), NOT_JSON, ""),
    "a list": (raw(b"[1]"), INVALID, "Expected `object`"),
    "a number": (raw(b"1"), INVALID, "Expected `object`"),
    "null": (raw(b"null"), INVALID, "Expected `object`"),
    "no id": (arrive(body(id=None)), INVALID, "`id`"),
    "id too long": (arrive(body(id="x" * 201)), INVALID, "$.id"),
    "id with NUL": (arrive(body(id="a\0")), INVALID, "$.id"),
    "id with line feed": (arrive(body(id="a\n")), INVALID, "$.id"),
    "missing customer": (arrive(body(customer_id=None)), INVALID, "`customer_id`"),
    "empty customer": (arrive(body(customer_id="")), INVALID, "customer_id is ''; it must be text"),
    "customer with NUL": (arrive(body(customer_id="a\0b")), INVALID, "$.customer_id"),
    "customer is a list": (
        arrive(body(), value=msgspec.json.encode(body(customer_id=[7]))),
        INVALID,
        "customer_id is [7]",
    ),
    "customer is true": (
        arrive(body(), value=msgspec.json.encode(body(customer_id=True))),
        INVALID,
        "customer_id is True",
    ),
    "no such day": (arrive(body(occurred_at="2011-02-30T12:30:00Z")), INVALID, "occurred_at is '2011-02-30T12:30:00Z'"),
    "no certain unit": (
        arrive(body(occurred_at=5_000_000_000)),
        INVALID,
        "occurred_at is 5000000000, which",
    ),
    "before 1970": (arrive(body(occurred_at="0001-01-01T00:00:00+14:00")), INVALID, "1970 to 2199"),
    "after 2199": (arrive(body(occurred_at="9999-12-31T23:59:59-14:00")), INVALID, "1970 to 2199"),
    "campaign with DEL": (arrive(body(type="evaluation.requested", campaign="\x7f")), INVALID, "$.campaign"),
    "launch with NUL": (arrive(body(type="evaluation.requested", launch="\0")), INVALID, "$.launch"),
    "role unknown": (arrive(message(role="boss")), INVALID, "'boss'"),
    "role missing": (arrive(message(role=None)), INVALID, "role"),
    "text missing": (arrive(message(text=None)), INVALID, "`text`"),
    "trigger missing": (arrive(outcome(trigger_id=None)), INVALID, "trigger_id"),
    "trigger is no UUID": (arrive(outcome(trigger_id=TRIGGER_ID[:-1])), INVALID, "UUID"),
    "value is no number": (arrive(outcome(value="much")), INVALID, "$.value"),
    "value is infinite": (raw(msgspec.json.encode(outcome(value=1.5)).replace(b"1.5", b"1e999")), INVALID, "$.value"),
    "another topic's type": (arrive(body(), topic=f"{PREFIX}outcomes"), WRONG_TYPE, "'outcome.delivered' or"),
    "no type of ours": (arrive(body(), value=msgspec.json.encode(body(type="x"))), WRONG_TYPE, "'x'"),
    "no outcome of ours": (arrive(outcome("lost")), WRONG_TYPE, "'outcome.lost'"),
    "an outcome's first part": (arrive(outcome("")), WRONG_TYPE, "'outcome.'"),
    "wrong key": (arrive(body(), key=b"bob"), WRONG_KEY, "b'bob'"),
    "no key": (arrive(body(), key=None), WRONG_KEY, "no key"),
    "empty key": (arrive(body(), key=b""), WRONG_KEY, "key b''"),
    "key in other case": (arrive(body(), key=b"Ann"), WRONG_KEY, "'ann'"),
}


@pytest.mark.parametrize(("record", "reason", "detail"), BAD.values(), ids=BAD)
def test_a_bad_record_is_one_reject(record: Arrived, reason: RejectReason, detail: str) -> None:
    """It says at which stage, for which reason, and what was wrong."""
    decoded = decode(record, max_bytes=2000)
    (reject,) = decoded.rejects
    assert (reject.stage, reject.reason) == ("decode", reason)
    assert detail in reject.detail
    assert reject.record is record
    assert not decoded.events


@pytest.mark.parametrize("opening", [b"[", b'{"attributes":', b'{"id":"x","attributes":{"a":' + b"[", b'{"a":'])
def test_deep_nesting_is_a_reject(opening: bytes) -> None:
    """A hundred thousand brackets end no process."""
    decoded = decode(raw(opening * 100_000), max_bytes=10_000_000)
    assert [reject.reason in (NOT_JSON, INVALID) for reject in decoded.rejects] == [True]


def test_an_event_at_the_limit_is_taken() -> None:
    """The limit is the largest size allowed."""
    record = arrive(body())
    assert record.value is not None
    assert len(decode(record, max_bytes=len(record.value)).events) == 1


def test_a_wrong_key_is_cut_short_in_the_detail() -> None:
    """Keys have no limit of their own."""
    (reject,) = decode(arrive(body(), key=b"k" * 10_000)).rejects
    assert len(reject.detail) < 300


def test_each_record_of_a_batch_meets_its_own_fate() -> None:
    """Bad records leave the good ones as they are, in order."""
    records = [arrive(body(id="1")), raw(b"?"), arrive(body(id="2")), raw(b""), arrive(message(id="3"))]
    decoded = decode(*records)
    assert [event.wire.id for event in decoded.events] == ["1", "2", "3"]
    assert [reject.reason for reject in decoded.rejects] == [NOT_JSON, EMPTY]


STAMPED_MS = 1_306_931_400_000
STAMPED = datetime.fromtimestamp(STAMPED_MS / 1000, UTC)


def dated(seconds_ahead: float, *, timestamp: int = STAMPED_MS) -> Arrived:
    """Return an event dated so long after STAMPED."""
    occurred_at = (STAMPED + timedelta(seconds=seconds_ahead)).isoformat()
    return arrive(body(occurred_at=occurred_at), timestamp=timestamp)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (dated(-3e8), None),
        (dated(3599.999), None),
        (dated(3600), RejectReason.FUTURE_TIME),
        (dated(3e9), RejectReason.FUTURE_TIME),
        (dated(6e9), INVALID),
        (dated(3e9, timestamp=-1), None),
        (dated(3e9, timestamp=0), None),
        (dated(3e9, timestamp=2**62), None),
    ],
    ids=[
        "a replay, years later",
        "just within the limit",
        "at the limit",
        "in 95 years",
        "after 2199",
        "no timestamp",
        "timestamp zero",
        "a timestamp after 2199",
    ],
)
@pytest.mark.parametrize(
    "others", [[], [dated(0)], [dated(-3e8, timestamp=-1)], [dated(-STAMPED_MS / 1000, timestamp=1)]]
)
def test_an_event_is_dated_by_its_own_records_timestamp(
    record: Arrived, reason: RejectReason | None, others: list[Arrived]
) -> None:
    """An event too far after its record is a reject, whatever other records its batch has."""
    decoded = decode(*others, record, max_future_s=3600)
    assert [each.reason for each in decoded.rejects if each.record is record] == ([reason] if reason else [])
    assert len(decoded.events) == len(others) + (reason is None)


def test_a_future_event_names_both_times_and_what_to_do() -> None:
    """An operator has to compare two clocks."""
    (reject,) = decode(dated(1e7)).rejects
    assert "2011-09-25 06:16:40+00:00" in reject.detail
    assert "2011-06-01 12:30:00+00:00" in reject.detail
    assert "HOLDFAST_MAX_FUTURE_S" in reject.detail


def test_every_format_has_a_decoder_of_the_same_shape() -> None:
    """A topic's format chooses its decoder; topics not named are native."""
    record = arrive(body())
    named = decode_records([record], topic_prefix=PREFIX, formats={"customer-updates": "native"})
    assert named == decode(record)
    with pytest.raises(KeyError):
        decode_records([record], topic_prefix=PREFIX, formats={"customer-updates": "another"})
