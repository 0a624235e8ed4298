"""Change events of Debezium, on `customer-updates` only: the row is read from the warehouse, not from the event. Pure.

`c` and `u` announce a change. `r`, a row of a snapshot, sets memberships that never fire. `d`, and a record without a
value, invalidates what is cached of the customer. The event time is that of the database's transaction (`source`).
The key is the row's primary key, which need not be the customer id.
Source: documentation of Debezium 3 for its PostgreSQL connector, and of the transformation ExtractNewRecordState.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.formats.decimals import find_field
from streams.formats.documents import Draft, Format, FormatError, WrongKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.formats.documents import Document

KINDS = {"c": "customer", "u": "customer", "r": "snapshot", "d": "deletion"}
_TIMES = ("ts_ns", "ts_us", "ts_ms")
_FLAT = ("__deleted", "__op")


def recognise(document: Document) -> bool:
    """Return whether a record is an envelope, a row that ExtractNewRecordState marked, or has no value."""
    content = document.content
    if not isinstance(content, dict):
        return document.record.value is None and "customer.updated" in document.types
    return ("op" in content and ("after" in content or "before" in content or "source" in content)) or any(
        name in content for name in _FLAT
    )


def read(document: Document) -> Draft:
    """Return the draft of a change.

    Raises:
        FormatError: the operation is unknown, or the customer id cannot be read.
        WrongKeyError: the record has no key.
    """
    if "customer.updated" not in document.types:
        raise FormatError(f"topic {document.record.topic} takes no changes of rows; send them to customer-updates")
    content = document.content if document.content is not None else {}
    operation, row, source = _read_envelope(content) if "op" in content else _read_flat(content)
    kind = KINDS.get(operation)
    if kind is None:
        raise FormatError(f"op is {operation!r}; {', '.join(KINDS)} are read")
    if document.record.key is None:
        raise WrongKeyError("")
    moment = next((source[name] for name in _TIMES if source.get(name)), None)
    occurred_at = document.read_time(moment, "source.ts_ms")
    return Draft(kind, "customer.updated", document.place, _find_customer(document, row), occurred_at)


def _read_envelope(content: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any], Mapping[str, Any]]:
    row = content.get("before") if content["op"] == "d" else content.get("after")
    source = content.get("source") or content
    return content["op"], row if isinstance(row, dict) else {}, source if isinstance(source, dict) else {}


def _read_flat(content: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any], Mapping[str, Any]]:
    deleted = not content or str(content.get("__deleted")).lower() == "true"
    source = {name: content.get(f"__source_{name}") or content.get(f"__{name}") for name in _TIMES}
    return "d" if deleted else content.get("__op") or "u", content, source


def _find_customer(document: Document, row: Mapping[str, Any]) -> str:
    value = row.get(document.id_field)
    if value is not None:
        return document.read_id(value, document.id_field, _id_schema(document))
    # Without REPLICA IDENTITY FULL, what a deletion has of a row is its key.
    key = document.read_key()
    if key is None:
        raise FormatError(f"the row has no {document.id_field}; name it in HOLDFAST_CUSTOMER_ID_FIELD")
    return key


def _id_schema(document: Document) -> Mapping[str, Any]:
    """Return the schema of the customer id, in the rows of an envelope or in a flat row."""
    row = find_field(document.schema, "after") or find_field(document.schema, "before") or document.schema
    return find_field(row, document.id_field)


DEBEZIUM = Format("Debezium", recognise, read)
