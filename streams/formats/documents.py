"""What formats other than Holdfast's own JSON read of a record, and the draft of an event that they return. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from streams.formats.decimals import find_field, resolve_decimal
from streams.formats.scalars import ScalarError, read_id, read_time
from streams.formats.schemas import find_schema_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.formats.events import Record
    from streams.formats.schemas import Schemas

FIELDS = (
    *("attributes", "channel", "role", "text", "trigger_id", "value", "campaign", "launch", "reason"),
    *("until", "by", "model", "withdraws"),
)
"""Fields of Holdfast's events that formats take over by their names."""
MAX_ID = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOM = b"\xef\xbb\xbf"
_decoder = msgspec.json.Decoder()


class FormatError(Exception):
    """A record has a known format and cannot become an event; the message names what was found and what to write."""


@dataclass(frozen=True, slots=True)
class Document:
    """A record and its parsed value.

    Attributes:
        record: the record.
        content: the value: JSON, in a `payload` if it has a schema; None when the record has no value.
        schema: the schema that Kafka Connect's JSON converter adds; empty without one.
        types: the types that the topic carries, and the kind of each.
        id_field: the field of the customer id.
        key: the content of a key that has a schema of a registry.
    """

    record: Record
    content: Any
    schema: Mapping[str, Any]
    types: Mapping[str, str]
    id_field: str
    key: Any = None

    @property
    def only_type(self) -> str | None:
        """The type of every event of the topic, None when it carries several."""
        return next(iter(self.types)) if len(self.types) == 1 else None

    @property
    def place(self) -> str:
        """An id for an event without one: the place of its record, which a redelivery does not change."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"

    def read_id(self, value: object, where: str, schema: Mapping[str, Any] = MappingProxyType({})) -> str:
        """Return an id.

        Args:
            value: text, an integer, or a decimal as Kafka Connect writes it.
            where: what to call it in errors.
            schema: of the value, as the JSON converter adds it.

        Raises:
            FormatError: it is something else.
        """
        try:
            return read_id(resolve_decimal(value, schema))
        except ScalarError as error:
            raise FormatError(f"{where} {error}") from error

    def read_time(self, value: object, where: str) -> datetime:
        """Return a time; without a value, that of the record.

        Raises:
            FormatError: the value is no time, or there is none and the record has none either.
        """
        if value is None:
            if self.record.timestamp <= 0:
                raise FormatError(f"{where} is missing, and the record has no timestamp")
            return _EPOCH + timedelta(milliseconds=self.record.timestamp)
        try:
            return read_time(value)
        except ScalarError as error:
            raise FormatError(f"{where} {error}") from error

    def read_key(self) -> str | None:
        """Return the customer id in the record's key, None without one: text, quoted text, or a struct with the id."""
        key, content = self.record.key, self.key
        schema: Mapping[str, Any] = {}
        if not key:
            return None
        if content is None:
            try:
                content, schema = unwrap(_decoder.decode(key))
            except (msgspec.DecodeError, UnicodeDecodeError):
                content = None
        elif isinstance(content, int):
            content = str(content)
        if isinstance(content, dict):
            name = next(iter(content)) if len(content) == 1 and self.id_field not in content else self.id_field
            content, schema = content.get(name), find_field(schema, name)
            return self.read_id(content, "the key", schema) if isinstance(content, str | int | dict) else None
        if isinstance(content, str):
            return self.read_id(content, "the key", schema) if schema else content
        # A number is taken as it is written: 007 and 1e5 are ids, too.
        return key.decode(errors="replace")

    def check_key(self, customer_id: str) -> None:
        """Check that the record is keyed by its customer.

        Raises:
            WrongKeyError: it is not.
        """
        if self.read_key() != customer_id:
            raise WrongKeyError(customer_id)


class WrongKeyError(Exception):
    """A record is not keyed by its customer."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a format makes of a record, before the checks that every event passes.

    Attributes:
        kind: customer, snapshot, deletion, conversation, evaluation, outcome or feedback.
        type: the event's type in Holdfast's terms.
        others: further fields of the event, by their names in Holdfast's own JSON.
    """

    kind: str
    type: str
    id: str
    customer_id: str
    occurred_at: datetime
    others: Mapping[str, Any] = field(default_factory=dict)


class Format(NamedTuple):
    """A format.

    Attributes:
        title: its name in errors.
        recognise: whether a document has it.
        read: the draft of a document that has it; raises FormatError or WrongKeyError.
    """

    title: str
    recognise: Callable[[Document], bool]
    read: Callable[[Document], Draft]


def join_id(source: str, event_id: str) -> str:
    """Return an id that is unique among sources: as it is where it fits, else its digest."""
    joined = f"{source}#{event_id}"
    return joined if len(joined) <= MAX_ID else sha256(joined.encode()).hexdigest()


def parse(record: Record, types: Mapping[str, str], id_field: str, schemas: Schemas | None = None) -> Document | None:
    """Return the document of a record, None when its value is no JSON; a record without a value is a document, too.

    Raises:
        SchemaError: a value or a key in Confluent's wire format cannot be read.
    """
    value, key = record.value, None
    if schemas and record.key and find_schema_id(record.key) is not None:
        key = schemas.read(record.key)
    if value is None:
        return Document(record, None, {}, types, id_field, key)
    if schemas and find_schema_id(value) is not None:
        return Document(record, schemas.read(value), {}, types, id_field, key)
    try:
        content, schema = unwrap(_decoder.decode(value.removeprefix(_BOM)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Document(record, content, schema, types, id_field, key)


def unwrap(content: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return the payload and the schema of what Kafka Connect's JSON converter writes; other content unchanged."""
    if isinstance(content, dict) and content.keys() == {"schema", "payload"}:
        schema = content["schema"]
        return content["payload"], schema if isinstance(schema, dict) else {}
    return content, {}
