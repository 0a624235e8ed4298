"""Records in Confluent's wire format: Avro and JSON by a schema of the registry, keys and values."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import fastavro
import msgspec
import pytest
from aiohttp import web

from streams.errors import RegistryUnavailableError
from streams.formats.events import RejectReason
from streams.formats.schemas import RegisteredSchema, Schemas, find_schema_id
from streams.observability.health import Health
from streams.runtime.batching import Batch, Chunk
from streams.runtime.retry import RetryPolicy
from streams.schema_registry import SchemaRegistry, collect_with_schemas, load_schemas
from tests.records import Arrived, decode_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALLOWED = f"Basic {b64encode(b'ann:p@ss').decode()}"
NOON = datetime(2011, 6, 1, 12, tzinfo=UTC)
ROW: dict[str, Any] = {
    "type": "record",
    "name": "Customer",
    "namespace": "crm",
    "fields": [
        {"name": "customer_id", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 0}},
        {"name": "plan", "type": ["null", "string"], "default": None},
        {"name": "since", "type": {"type": "int", "logicalType": "date"}},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
KEY = {"type": "record", "name": "Key", "fields": [{"name": "customer_id", "type": "int"}]}
ENVELOPE: dict[str, Any] = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "before", "type": ["null", KEY | {"name": "Value"}], "default": None},
        {"name": "after", "type": ["null", "Value"], "default": None},
        {"name": "source", "type": {"type": "record", "name": "Source", "fields": [{"name": "ts_ms", "type": "long"}]}},
        {"name": "op", "type": "string"},
    ],
}
SCHEMAS = {
    1: RegisteredSchema("AVRO", json.dumps(ROW)),
    2: RegisteredSchema("AVRO", json.dumps(KEY)),
    3: RegisteredSchema("AVRO", json.dumps(ENVELOPE)),
    4: RegisteredSchema("JSON", "{}"),
    5: RegisteredSchema("PROTOBUF", 'syntax = "proto3";'),
    6: RegisteredSchema("AVRO", json.dumps(ROW), references=True),
    7: RegisteredSchema("AVRO", '"no such type"'),
    8: RegisteredSchema("AVRO", '"int"'),
    9: None,
}
CONTENT = {"customer_id": Decimal(17850), "plan": None, "since": NOON.date(), "occurred_at": NOON}
CHANGE = {"before": None, "after": {"customer_id": 17850}, "source": {"ts_ms": int(NOON.timestamp() * 1000)}, "op": "u"}


def frame(schema_id: int, data: bytes) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + data


def write(schema_id: int, content: Any) -> bytes:
    """Return content in Avro as a serializer of the registry frames it."""
    stream = io.BytesIO()
    schema = SCHEMAS[schema_id]
    assert schema is not None
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(schema.text)), content)
    return frame(schema_id, stream.getvalue())


@pytest.fixture
def schemas() -> Schemas:
    known = Schemas()
    for schema_id, schema in SCHEMAS.items():
        known.add(schema_id, schema)
    return known


READ = {
    "a row keyed by text": (b"17850", write(1, CONTENT)),
    "a row keyed by Avro": (write(2, {"customer_id": 17850}), write(1, CONTENT)),
    "a change of Debezium": (write(2, {"customer_id": 17850}), write(3, CHANGE)),
    "JSON with a schema": (b"17850", frame(4, msgspec.json.encode({"customer_id": 17850, "occurred_at": NOON}))),
}


@pytest.mark.parametrize(("key", "value"), READ.values(), ids=READ)
def test_an_event_is_read_by_its_schema(schemas: Schemas, key: bytes, value: bytes) -> None:
    decoded = decode_batch([Arrived(key=key, value=value)], schemas=schemas)
    assert not decoded.rejects, decoded.rejects
    (event,) = decoded.events.updated
    assert (event.customer_id, event.wire.occurred_at) == ("17850", NOON)


def test_a_tombstone_with_a_key_in_avro_is_a_deletion(schemas: Schemas) -> None:
    record = Arrived(key=write(2, {"customer_id": 17850}), value=None)
    (event,) = decode_batch([record], schemas=schemas).events.deleted
    assert event.customer_id == "17850"


REJECTED = {
    "an unknown schema": (frame(9, b""), "the registry has no schema 9"),
    "Protobuf": (frame(5, b"\0"), "schema 5 is PROTOBUF; AVRO and JSON are read"),
    "a schema with references": (frame(6, b""), "schema 6 refers to other schemas"),
    "a schema that is none": (frame(7, b""), "schema 7 is no Avro schema"),
    "a value that is cut off": (write(1, CONTENT)[:-3], "the value does not fit schema 1"),
    "a value that is too long": (write(1, CONTENT) + b"x", "the value is longer than schema 1 describes"),
    "JSON that is none": (frame(4, b"{"), "the value is no JSON"),
}


@pytest.mark.parametrize(("value", "detail"), REJECTED.values(), ids=REJECTED)
def test_what_its_schema_cannot_read_is_one_dead_letter(schemas: Schemas, value: bytes, detail: str) -> None:
    (reject,) = decode_batch([Arrived(key=b"17850", value=value)], schemas=schemas).rejects
    assert reject.reason is RejectReason.INVALID_EVENT
    assert detail in reject.detail


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0\0\0", b"{}", b"\x01\0\0\0\x01", None])
def test_other_bytes_have_no_schema(content: bytes | None) -> None:
    assert find_schema_id(content) is None


@pytest.fixture
async def registry(unused_tcp_port: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A stand-in for a registry: its URL with user and password, and the paths that were asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.headers.get("Authorization") != ALLOWED:
            return web.json_response({"error_code": 401}, status=401)
        schema = SCHEMAS.get(int(request.match_info["id"]))
        if schema is None:
            return web.json_response({"error_code": 40403, "message": "Schema not found"}, status=404)
        # The registry leaves the type of Avro out.
        kind = {} if schema.kind == "AVRO" else {"schemaType": schema.kind}
        return web.json_response({"schema": schema.text, **kind}, content_type="application/vnd.schemaregistry.v1+json")

    app = web.Application()
    app.router.add_get("/schemas/ids/{id}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    yield f"http://ann:p%40ss@127.0.0.1:{unused_tcp_port}/", asked
    await runner.cleanup()


async def test_each_schema_is_fetched_once(registry: tuple[str, list[str]]) -> None:
    """Those of keys, too; an id that the registry does not know is remembered."""
    url, asked = registry
    known, source = Schemas(), SchemaRegistry(url)
    key, values = write(2, {"customer_id": 17850}), [write(1, CONTENT), frame(4, b"{}"), frame(9, b""), b"{}"]
    records = [Arrived(key=key, value=value) for value in values]
    await load_schemas(known, source, records)
    await load_schemas(known, source, records)
    assert sorted(asked) == [f"/schemas/ids/{number}" for number in (1, 2, 4, 9)]
    decoded = decode_batch(records[:1], schemas=known)
    assert [event.customer_id for event in decoded.events] == ["17850"]


async def test_a_batch_waits_until_its_schemas_are_there() -> None:
    """Health names the registry meanwhile."""
    health, seen = Health(), []

    class Restarting:
        async def find(self, schema_id: int) -> RegisteredSchema | None:
            seen.append(list(health.retrying))
            if len(seen) <= 2:
                raise RegistryUnavailableError("no")
            return SCHEMAS[schema_id]

    batch = Batch((Chunk("p.customer-updates", 1, 7, 8, [Arrived(key=b"17850", value=write(1, CONTENT))], 1),))

    async def collect() -> Batch:
        return batch

    known, retry = Schemas(), RetryPolicy(health, first_pause_s=0)
    assert await collect_with_schemas(collect, retry, known, Restarting())() is batch
    assert seen == [[], ["schema_registry"], ["schema_registry"]]
    assert len(decode_batch(batch.records, schemas=known).events) == 1


@pytest.mark.parametrize("change", [("p%40ss", "wrong"), ("127.0.0.1", "127.0.0.2")])
async def test_a_registry_that_does_not_answer_is_retried(
    registry: tuple[str, list[str]], change: tuple[str, str]
) -> None:
    """The error names the setting and the schema, and not the password."""
    url, _ = registry
    source = SchemaRegistry(url.replace(*change), answer_s=1)
    with pytest.raises(RegistryUnavailableError, match=r"HOLDFAST_SCHEMA_REGISTRY_URL: .* schema 1 ") as raised:
        await load_schemas(Schemas(), source, [Arrived(value=frame(1, b""))])
    assert "p@ss" not in str(raised.value)
    assert "ann" not in str(raised.value)
