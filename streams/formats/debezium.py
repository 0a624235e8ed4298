"""Change events of Debezium, on `customer-updates` only: the row is read from the warehouse, not from the event. Pure.

`c` and `u` announce a change. `r`, a row of a snapshot, sets memberships that never fire. `d`, and a record without a
value, invalidates what is cached of the customer. The event time is that of the database's transaction (`source`).
The key is the row's primary key, which need not be the customer id.
Source: documentation of Debezium 3 for its PostgreSQL connector, and of the transformation ExtractNewRecordState.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from streams.formats.documents import Draft, Format, FormatError, WrongKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.formats.documents import Document

KINDS = {"c": "customer", "u": "customer", "r": "snapshot", "d": "deletion"}
_TIMES = ("ts_ns", "ts_us", "ts_ms")
_DECIMAL = "org.apache.kafka.connect.data.Decimal"
MAX_SCALE = 38
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
    # With `decimal.format=NUMERIC` a decimal is a number.
    if isinstance(value, dict) or (isinstance(value, str) and _is_decimal(document)):
        value = _read_decimal(value, _scale(document))
    if value is not None:
        return document.read_id(value, document.id_field)
    # Without REPLICA IDENTITY FULL, what a deletion has of a row is its key.
    key = document.read_key()
    if key is None:
        raise FormatError(f"the row has no {document.id_field}; name it in HOLDFAST_CUSTOMER_ID_FIELD")
    return key


def _is_decimal(document: Document) -> bool:
    return _id_schema(document).get("name") == _DECIMAL


def _scale(document: Document) -> int:
    return int((_id_schema(document).get("parameters") or {}).get("scale", 0))


def _id_schema(document: Document) -> Mapping[str, Any]:
    """Return the schema of the customer id, in the rows of an envelope or in a flat row."""
    fields = document.schema.get("fields") or []
    rows = [each for each in fields if each.get("field") in ("after", "before")]
    candidates = (rows[0].get("fields") or []) if rows else fields
    return next((each for each in candidates if each.get("field") == document.id_field), {})


def _read_decimal(value: Any, scale: int) -> int:
    """Return an integer written as Connect's Decimal in base64, or as Debezium's struct of scale and value."""
    if isinstance(value, dict):
        scale, value = int(value.get("scale") or 0), value.get("value")
    try:
        unscaled = int.from_bytes(b64decode(str(value), validate=True), "big", signed=True)
    except ValueError as error:
        raise FormatError(f"the customer id {value!r} is no number in base64") from error
    if not 0 <= scale <= MAX_SCALE:
        raise FormatError(f"the customer id has scale {scale}; 0 to {MAX_SCALE} are read")
    whole, rest = divmod(unscaled, int(10**scale))
    if rest:
        raise FormatError(f"the customer id has decimals ({unscaled} of scale {scale}); it must be an integer or text")
    return whole


DEBEZIUM = Format("Debezium", recognise, read)
