"""Records in other formats than Holdfast's own JSON: the event of each, or one dead letter that names the format."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.formats.codecs import FORMAT_NAMES
from streams.formats.events import RejectReason
from tests.records import PREFIX, TRIGGER_ID, Arrived, body, decode_batch, message, outcome

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
PLACE = f"{PREFIX}customer-updates/1/7"


def record(content: Any, topic: str = "customer-updates", key: bytes | None = b"17850", **changes: Any) -> Arrived:
    """Return a record with this value in JSON, at noon."""
    value = content if content is None or isinstance(content, bytes) else msgspec.json.encode(content)
    return Arrived(f"{PREFIX}{topic}", timestamp=NOON_MS, key=key, value=value, **changes)


def row(**changes: Any) -> dict[str, Any]:
    return {"customer_id": 17850, "total_revenue": 310.5, "plan": None, **changes}


def change(op: str, **changes: Any) -> dict[str, Any]:
    """Return an envelope of Debezium's PostgreSQL connector."""
    source = {"connector": "postgresql", "db": "crm", "schema": "public", "table": "customers", "lsn": 24023128}
    source |= {"ts_ms": NOON_MS, "ts_us": NOON_MS * 1000, "ts_ns": NOON_MS * 1_000_000, "snapshot": "false"}
    rows = {"before": None, "after": None} | ({"before": row()} if op == "d" else {"after": row()})
    return {**rows, "source": source, "op": op, "ts_ms": NOON_MS + 90_000, "transaction": None, **changes}


def with_schema(payload: Any, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "struct", "fields": list(fields), "optional": False}, "payload": payload}


def decimal_row(value: object, **field: Any) -> dict[str, Any]:
    """Return an envelope whose customer id is a decimal."""
    schema = {"field": "after", "type": "struct", "fields": [{"field": "customer_id", **field}]}
    return with_schema(change("u", after=row(customer_id=value)), schema)


def base64(number: int, size: int = 3) -> str:
    return b64encode(number.to_bytes(size, "big", signed=True)).decode()


def cloud_event(**changes: Any) -> dict[str, Any]:
    """Return a CloudEvent in structured mode; a change to None removes the attribute."""
    attributes = {
        "specversion": "1.0",
        "id": "A234",
        "source": "/dwh",
        "type": "com.acme.customer.changed.v2",
        "time": "2026-01-31T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {"customer_id": "17850"},
        **changes,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def call(kind: str = "identify", **changes: Any) -> dict[str, Any]:
    """Return a call of Segment's tracking API."""
    return {
        "type": kind,
        "userId": "17850",
        "anonymousId": "507f191e810c19729de860ea",
        "messageId": "ajs-next-1",
        "timestamp": "2026-01-31T12:00:00.000Z",
        "sentAt": "2026-01-31T12:00:01.000Z",
        "traits": {"plan": "gold"},
        "context": {"library": {"name": "analytics.js"}},
        "writeKey": "shop",
        **changes,
    }


DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "0"}}
HEADERS = (("ce_specversion", b"1.0"), ("ce_id", b"A234"), ("ce_source", b"/dwh"), ("ce_type", b"x"))
TIMED = (*HEADERS, ("ce_time", b"2026-01-31T13:00:00+01:00"), ("content-type", b"application/json"))
UPDATES = {
    "a row without schema": (record(row()), "customer", PLACE),
    "a row with schema": (record(with_schema(row())), "customer", PLACE),
    "a row keyed by quoted text": (record(row(), key=b'"17850"'), "customer", PLACE),
    "a row keyed by a struct": (record(row(), key=b'{"customer_id": 17850}'), "customer", PLACE),
    "a row keyed by a struct with schema": (
        record(row(), key=msgspec.json.encode(with_schema({"customer_id": 17850}))),
        "customer",
        PLACE,
    ),
    "a row with a decimal": (
        record(with_schema(row(customer_id=base64(17850)), {"field": "customer_id", **DECIMAL})),
        "customer",
        PLACE,
    ),
    "a row keyed by a decimal": (
        record(row(), key=msgspec.json.encode({"schema": DECIMAL, "payload": base64(17850)})),
        "customer",
        PLACE,
    ),
    "a row with a type of its own": (record(row(type="gold")), "customer", PLACE),
    "Debezium c": (record(change("c")), "customer", PLACE),
    "Debezium u": (record(change("u")), "customer", PLACE),
    "Debezium u with schema": (record(with_schema(change("u"))), "customer", PLACE),
    "Debezium r": (record(change("r")), "snapshot", PLACE),
    "Debezium d": (record(change("d")), "deletion", PLACE),
    "Debezium d with the key alone": (record(change("d", before={}), key=b'{"id": 17850}'), "deletion", PLACE),
    "a tombstone": (record(None, key=b'{"customer_id": 17850}'), "deletion", PLACE),
    "a tombstone keyed by a decimal": (
        record(None, key=msgspec.json.encode(with_schema({"id": base64(17850)}, {"field": "id", **DECIMAL}))),
        "deletion",
        PLACE,
    ),
    "a new row": (record(row(__deleted="false", __op="c", __source_ts_ms=NOON_MS)), "customer", PLACE),
    "a new row of a snapshot": (record(row(__op="r")), "snapshot", PLACE),
    "a deleted row": (record(row(__deleted="true")), "deletion", PLACE),
    "a value too large for the log": (
        record(change("u", after=row(plan="__debezium_unavailable_value"))),
        "customer",
        PLACE,
    ),
    "a decimal in base64": (record(decimal_row(base64(17850), **DECIMAL)), "customer", PLACE),
    "a decimal as a number": (record(decimal_row(17850, **DECIMAL)), "customer", PLACE),
    "a decimal with a scale": (
        record(decimal_row(base64(1785000), **DECIMAL | {"parameters": {"scale": "2"}})),
        "customer",
        PLACE,
    ),
    "a decimal with its own scale": (
        record(change("u", after=row(customer_id={"scale": 0, "value": base64(17850)}))),
        "customer",
        PLACE,
    ),
    "CloudEvents, structured": (record(cloud_event()), "customer", "/dwh#A234"),
    "CloudEvents, subject": (record(cloud_event(data=None, subject="17850")), "customer", "/dwh#A234"),
    "CloudEvents, extension": (record(cloud_event(data=None, customerid=17850)), "customer", "/dwh#A234"),
    "CloudEvents, binary": (record({"customer_id": "17850"}, headers=TIMED), "customer", "/dwh#A234"),
    "CloudEvents, without time": (record({"customer_id": "17850"}, headers=HEADERS), "customer", "/dwh#A234"),
    "CloudEvents, without data": (
        record(b"{}", headers=(*TIMED, ("ce_subject", b"17850"))),
        "customer",
        "/dwh#A234",
    ),
    "Segment identify": (record(call()), "customer", "shop#ajs-next-1"),
    "Segment track": (record(call("track", event="Viewed")), "customer", "shop#ajs-next-1"),
    "Segment, a number": (record(call(userId=17850)), "customer", "shop#ajs-next-1"),
    "our JSON with a byte order mark": (
        record(b"\xef\xbb\xbf" + msgspec.json.encode(body(customer_id="17850", occurred_at="2026-01-31T12:00:00Z"))),
        "customer",
        "e1",
    ),
    "our JSON keyed by quoted text": (
        record(body(customer_id="17850", occurred_at="2026-01-31T12:00:00Z"), key=b'"17850"'),
        "customer",
        "e1",
    ),
    "our JSON with integer ids": (
        record(body(customer_id=17850, id=4, occurred_at="2026-01-31T12:00:00Z")),
        "customer",
        "4",
    ),
}


@pytest.mark.parametrize(("found", "kind", "event_id"), UPDATES.values(), ids=UPDATES)
def test_an_update_is_read_in_the_format_that_its_record_has(found: Arrived, kind: str, event_id: str) -> None:
    decoded = decode_batch([found])
    assert not decoded.rejects, decoded.rejects
    (event,) = decoded.events
    assert (event.kind, event.customer_id, event.wire.id) == (kind, "17850", event_id)
    assert (event.wire.occurred_at, event.wire.type) == (NOON, "customer.updated")
    assert event.record is found


@pytest.mark.parametrize(
    "written",
    [
        NOON_MS // 1000,
        NOON_MS / 1000,
        NOON_MS,
        NOON_MS * 1000,
        NOON_MS * 1_000_000,
        str(NOON_MS),
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T17:30:00+05:30",
    ],
)
def test_a_time_of_one_meaning_is_read(written: object) -> None:
    """A number in the only unit that gives a time of this century; a time without a zone is UTC."""
    (event,) = decode_batch([record(body(customer_id="17850", occurred_at=written))]).events
    assert event.wire.occurred_at == NOON


def test_nanoseconds_are_read_to_the_microsecond() -> None:
    (event,) = decode_batch([record(body(customer_id="17850", occurred_at=1_769_860_800_123_456_789))]).events
    assert event.wire.occurred_at == NOON.replace(microsecond=123_456)


MESSAGE = {"text": "Please cancel.", "role": "customer", "channel": "email"}
MESSAGES = {
    "a row": row(id=9, occurred_at=NOON_MS, **MESSAGE),
    "CloudEvents": cloud_event(data={"customer_id": "17850", **MESSAGE}),
    "Segment": call("track", event="Message Received", properties=MESSAGE),
}


@pytest.mark.parametrize("content", MESSAGES.values(), ids=MESSAGES)
def test_a_message_has_its_text_and_role(content: dict[str, Any]) -> None:
    (event,) = decode_batch([record(content, "conversations")]).events
    assert (event.kind, event.wire.text, event.wire.role, event.wire.channel) == ("conversation", *MESSAGE.values())
    assert event.wire.occurred_at == NOON


ANSWERS = {
    "CloudEvents": cloud_event(
        type="com.esp.email.converted", data={"customer_id": 17850, "trigger_id": TRIGGER_ID, "value": 25}
    ),
    "Segment": call("track", event="Order Completed", properties={"trigger_id": TRIGGER_ID, "revenue": 25}),
    "our JSON": outcome("converted", customer_id=17850, value=25, occurred_at=NOON_MS),
}


@pytest.mark.parametrize("content", ANSWERS.values(), ids=ANSWERS)
def test_an_outcome_has_its_trigger_and_value(content: dict[str, Any]) -> None:
    (event,) = decode_batch([record(content, "outcomes")]).events
    assert (event.kind, event.wire.type) == ("outcome", "outcome.converted")
    assert (event.wire.trigger_id, event.wire.value) == (TRIGGER_ID, 25)


@pytest.mark.parametrize("source", ["/dwh", "https://example.com/" + "a" * 300])
def test_messages_of_two_sources_with_one_id_are_two(source: str) -> None:
    """An id is unique within its source; a long source gives a digest."""
    data = {"customer_id": "17850", **MESSAGE}
    contents = [cloud_event(data=data, source=each) for each in (source, source, f"{source}2")]
    first, again, other = (decode_batch([record(each, "conversations")]).events.said[0].wire.id for each in contents)
    assert first == again != other


INVALID, WRONG_KEY = RejectReason.INVALID_EVENT, RejectReason.WRONG_KEY
REJECTED = {
    "Avro": (record(b"\x00\x00\x00\x00\x07\x0a17850"), RejectReason.NOT_JSON, "set HOLDFAST_SCHEMA_REGISTRY_URL"),
    "a CloudEvents batch": (record([cloud_event()]), INVALID, "CloudEvents: a batch of events in one record"),
    "CloudEvents without source": (record(cloud_event(source=None)), INVALID, "CloudEvents: the attribute source"),
    "CloudEvents 0.3": (record(cloud_event(specversion="0.3")), INVALID, "specversion is '0.3'"),
    "CloudEvents without a customer": (record(cloud_event(data={})), INVALID, "CloudEvents: no customer"),
    "CloudEvents with binary data": (record(cloud_event(data_base64="eA==")), INVALID, "data_base64"),
    "CloudEvents with text": (record(cloud_event(data="x")), INVALID, "the data is str"),
    "CloudEvents of another key": (record(cloud_event(), key=b"1"), WRONG_KEY, "key b'1', customer_id '17850'"),
    "CloudEvents of an unknown outcome": (record(cloud_event(), "outcomes"), INVALID, "must end in one of bounced"),
    "CloudEvents without text": (record(cloud_event(), "conversations"), INVALID, "`text`"),
    "Segment page": (record(call("page")), INVALID, "Segment: type is 'page'; only identify and track are read"),
    "an anonymous call": (record(call(userId=None)), INVALID, "Segment: userId is missing"),
    "Segment identify as message": (record(call(), "conversations"), INVALID, "only track is read"),
    "an unknown Segment event": (record(call("track", event="Viewed"), "outcomes"), INVALID, "event is 'Viewed'"),
    "Debezium t": (record(change("t", after=None)), INVALID, "Debezium: op is 't'; c, u, r, d are read"),
    "Debezium without key": (record(change("u"), key=None), WRONG_KEY, "no key"),
    "Debezium on another topic": (record(change("u"), "outcomes"), INVALID, "send them to customer-updates"),
    "a decimal id with decimals": (
        record(decimal_row(base64(1785001), **DECIMAL | {"parameters": {"scale": "2"}})),
        INVALID,
        "customer_id has decimals",
    ),
    "a row of another key": (record(row(), key=b"1"), WRONG_KEY, "key b'1', customer_id '17850'"),
    "a row with a broken time": (
        record(row(occurred_at="x", id=1, type="customer.updated")),
        INVALID,
        "occurred_at is 'x'",
    ),
    "a row of a message without id": (record(row(occurred_at=NOON_MS, **MESSAGE), "conversations"), INVALID, "`id`"),
    "a fraction as id": (
        record(row(customer_id=1.5)),
        INVALID,
        "JSON: customer_id is 1.5; it must be text",
    ),
}


@pytest.mark.parametrize(("found", "reason", "detail"), REJECTED.values(), ids=REJECTED)
def test_what_cannot_be_read_is_one_dead_letter_that_names_the_format(
    found: Arrived, reason: RejectReason, detail: str
) -> None:
    decoded = decode_batch([found])
    assert not decoded.events
    (reject,) = decoded.rejects
    assert (reject.reason, reject.stage, reject.record) == (reason, "decode", found)
    assert detail in reject.detail


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_a_topic_with_a_format_takes_no_other(name: str) -> None:
    """Each format is read by its own name; the others are rejected."""
    contents = {
        "native": body(customer_id="17850"),
        "cloudevents": cloud_event(),
        "debezium": change("u"),
        "segment": call(),
        "json": row(),
    }
    for other, content in contents.items():
        decoded = decode_batch([record(content)], formats={"customer-updates": name})
        # A row is what every object with a customer id can be read as.
        assert len(decoded.events) == (other == name or (name, other) == ("json", "native")), other


@pytest.mark.parametrize("name", ["debezium", "json"])
def test_the_customer_id_may_have_another_name(name: str) -> None:
    content = change("u", after={"client": 17850}) if name == "debezium" else {"client": 17850}
    (event,) = decode_batch([record(content)], id_field="client").events
    assert event.customer_id == "17850"


def test_a_tombstone_is_empty_where_only_our_json_is_read() -> None:
    (reject,) = decode_batch([record(None)], formats={"customer-updates": "native"}).rejects
    assert reject.reason is RejectReason.EMPTY_VALUE


def test_the_page_shows_an_example_of_each_format() -> None:
    """Each is decided with the key that the page names."""
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    section = page.partition("\n## Formats\n")[2].partition("\n## ")[0]
    examples = [each for each in section.split("\n\n") if each.startswith("    {")]
    events = [event for each in examples for event in decode_batch([record(each.encode())]).events]
    assert [event.customer_id for event in events] == ["17850"] * len(examples)
    assert (
        len({event.wire.id for event in events}) == len(FORMAT_NAMES) - 2
    )  # two are known by the place of their record
    assert all(f"`{name}`" in section for name in FORMAT_NAMES)


def test_events_of_our_json_are_read_among_others() -> None:
    """Formats are detected for each record."""
    ours = body(customer_id="17850", id="ours"), message(customer_id="17850")
    records = [record(row()), record(ours[0]), record(ours[1], "conversations"), record(change("r"))]
    events = decode_batch(records).events
    assert [event.wire.id for event in events.updated] == [PLACE, "ours"]
    assert (len(events.said), len(events.snapshots)) == (1, 1)
