"""Records as the formats' own libraries write them: the SDKs of CloudEvents and Segment, Confluent's serializers."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cloudevents.core.bindings.kafka import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from segment.analytics import Client

from streams.formats.schemas import RegisteredSchema, Schemas
from tests.records import PREFIX, TRIGGER_ID, Arrived, decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEXT = "Ich möchte kündigen 😠"


def record(topic: str, value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Arrived:
    return Arrived(
        f"{PREFIX}{topic}", timestamp=int(NOON.timestamp() * 1000), key=b"17850", value=value, headers=headers
    )


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event], ids=["binary", "structured"])
@pytest.mark.parametrize(
    ("topic", "foreign", "data", "own"),
    [
        ("customer-updates", "com.acme.customer.changed", {}, {"type": "customer.updated"}),
        ("conversations", "com.acme.chat", {"text": TEXT, "role": "customer"}, {"text": TEXT, "role": "customer"}),
        ("outcomes", "com.esp.mail.opened", {"trigger_id": TRIGGER_ID}, {"type": "outcome.opened"}),
    ],
)
def test_an_event_of_the_cloudevents_sdk_is_read(
    topic: str, foreign: str, data: dict[str, Any], own: dict[str, Any], write: Any
) -> None:
    attributes = {"id": "A1", "source": "/dwh", "type": foreign, "specversion": "1.0", "time": NOON, "subject": "17850"}
    event = CloudEvent({**attributes, "datacontenttype": "application/json"}, data)
    written = write(event)
    decoded = decode_batch([record(topic, written.value, tuple(written.headers.items()))])
    assert not decoded.rejects, decoded.rejects
    (found,) = decoded.events
    assert (found.customer_id, found.wire.id, found.wire.occurred_at) == ("17850", "/dwh#A1", NOON)
    assert {name: getattr(found.wire, name) for name in own} == own


AVRO = {
    "type": "record",
    "name": "Customer",
    "fields": [
        {"name": "customer_id", "type": "long"},
        {"name": "plan", "type": ["null", "string"]},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
JSON = {"title": "Customer", "type": "object", "properties": {"customer_id": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("AVRO", {"customer_id": 17850, "plan": None, "occurred_at": NOON}),
        ("JSON", {"customer_id": 17850, "plan": None, "occurred_at": NOON.isoformat()}),
    ],
)
def test_what_confluents_serializers_write_is_read(kind: str, content: dict[str, Any]) -> None:
    """The registry is the one in memory that comes with them."""
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    write = AvroSerializer(registry, json.dumps(AVRO)) if kind == "AVRO" else JSONSerializer(json.dumps(JSON), registry)
    value = write(content, SerializationContext("customer-updates", MessageField.VALUE))
    schemas = Schemas()
    schemas.add(1, RegisteredSchema(kind, str(registry.get_schema(1).schema_str)))
    decoded = decode_batch([record("customer-updates", value)], schemas=schemas)
    assert not decoded.rejects, decoded.rejects
    (found,) = decoded.events
    assert (found.customer_id, found.wire.type, found.wire.occurred_at) == ("17850", "customer.updated", NOON)


@contextmanager
def receiving_calls() -> Iterator[tuple[Client, list[dict[str, Any]]]]:
    """Lend a client of Segment, and the calls that its server has received."""
    calls: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.extend(msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))["batch"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:  # type: ignore[override]
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Client("key", host=f"http://127.0.0.1:{server.server_port}", sync_mode=True), calls
        server.shutdown()


def test_calls_of_segments_library_are_read() -> None:
    """A destination writes each call of a batch as a record; the library's messageId is the event's id."""
    with receiving_calls() as (client, calls):
        client.identify(17850, {"plan": "gold"}, timestamp=NOON)
        client.track("17850", "Message Received", {"text": TEXT}, timestamp=NOON)
        client.track("17850", "Order Completed", {"trigger_id": TRIGGER_ID, "revenue": 25}, timestamp=NOON)
    topics = ("customer-updates", "conversations", "outcomes")
    decoded = decode_batch(
        [record(topic, msgspec.json.encode(call)) for topic, call in zip(topics, calls, strict=True)]
    )
    assert not decoded.rejects, decoded.rejects
    found = {event.wire.type: event.wire for event in decoded.events}
    assert {(event.customer_id, event.wire.occurred_at) for event in decoded.events} == {("17850", NOON)}
    assert [each.id for each in found.values()] == [f"segment#{call['messageId']}" for call in calls]
    assert found["conversation.message"].text == TEXT
    assert (found["outcome.converted"].value, found["outcome.converted"].trigger_id) == (25, TRIGGER_ID)
