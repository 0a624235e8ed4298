"""Confluent's wire format: a zero byte, the id of a schema in four bytes, then the value in Avro or JSON. Pure.

The schemas of a batch are fetched before it is decoded (schema_registry.py). A schema never changes, so each is fetched
once.
"""

from __future__ import annotations

import json
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.formats.events import Record

HEADER_BYTES = 5
_decoder = msgspec.json.Decoder()


class RegisteredSchema(NamedTuple):
    """A schema as the registry returns it.

    Attributes:
        kind: AVRO, JSON or PROTOBUF.
        text: the schema itself.
        references: whether it refers to other schemas.
    """

    kind: str
    text: str
    references: bool = False


class SchemaError(Exception):
    """A value cannot be read with its schema; the message says why."""


class Schemas:
    """The schemas that are known, by id."""

    def __init__(self) -> None:
        self._readers: dict[int, Callable[[bytes], Any]] = {}

    def find_missing(self, records: Iterable[Record]) -> set[int]:
        """Return the ids of the schemas of keys and values that are not known yet."""
        found = {find_schema_id(data) for record in records for data in (record.key, record.value)}
        return {each for each in found if each is not None} - self._readers.keys()

    def add(self, schema_id: int, schema: RegisteredSchema | None) -> None:
        """Add a schema; None for an id that the registry does not know."""
        self._readers[schema_id] = _choose_reader(schema_id, schema)

    def read(self, data: bytes) -> Any:
        """Return the content of a key or a value in the wire format.

        Raises:
            SchemaError: the schema is not known, of a kind that is not read, or does not fit the value.
        """
        schema_id = find_schema_id(data)
        reader = self._readers.get(-1 if schema_id is None else schema_id)
        if reader is None:
            raise SchemaError(f"the schema {schema_id} is not known")
        return reader(data[HEADER_BYTES:])


def find_schema_id(data: bytes | None) -> int | None:
    """Return the schema id of a key or a value in the wire format, None of any other."""
    if not data or data[0] or len(data) < HEADER_BYTES:
        return None
    return int.from_bytes(data[1:HEADER_BYTES], "big")


def _choose_reader(schema_id: int, schema: RegisteredSchema | None) -> Callable[[bytes], Any]:
    if schema is None:
        return _refuse(f"the registry has no schema {schema_id}")
    if schema.kind == "JSON":
        return _read_json
    if schema.kind != "AVRO":
        return _refuse(f"schema {schema_id} is {schema.kind}; AVRO and JSON are read")
    if schema.references:
        return _refuse(f"schema {schema_id} refers to other schemas, which is not supported; register it in one piece")
    return _avro_reader(schema_id, schema.text)


def _refuse(why: str) -> Callable[[bytes], Any]:
    def refuse(_: bytes) -> Any:
        raise SchemaError(why)

    return refuse


def _read_json(data: bytes) -> Any:
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaError(f"the value is no JSON: {error}") from error


def _avro_reader(schema_id: int, text: str) -> Callable[[bytes], Any]:
    # An extra: only users of a schema registry need it, and check_avro looks for it at the start.
    from fastavro import parse_schema, schemaless_reader  # noqa: PLC0415
    from fastavro.schema import SchemaParseException, UnknownType  # noqa: PLC0415

    try:
        schema = parse_schema(json.loads(text))
    except (SchemaParseException, UnknownType, ValueError) as error:
        return _refuse(f"schema {schema_id} is no Avro schema: {error}")

    def read(data: bytes) -> Any:
        stream = BytesIO(data)
        try:
            content = schemaless_reader(stream, schema, None)
        # What fastavro raises on bytes that do not fit a schema.
        except (EOFError, ValueError, IndexError, TypeError, KeyError, OverflowError, MemoryError) as error:
            raise SchemaError(f"the value does not fit schema {schema_id}: {error or type(error).__name__}") from error
        if stream.read(1):
            raise SchemaError(f"the value is longer than schema {schema_id} describes")
        return _simplify(content)

    return read


def _simplify(value: Any) -> Any:
    """Return a value of Avro's logical types in the types of JSON; times stay times."""
    match value:
        case dict():
            return {name: _simplify(each) for name, each in value.items()}
        case list():
            return [_simplify(each) for each in value]
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return value
        case date() | time():
            return value.isoformat()
        case _:
            return value
