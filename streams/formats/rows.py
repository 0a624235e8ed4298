"""JSON that is almost Holdfast's own, and rows of Kafka Connect's JSON converter, with and without schema. Pure.

An object with `occurred_at` or with a type of the topic is an event: its ids may be integers, its time a number or
without a zone. Another object is a row, and on `customer-updates` it is an update at the record's timestamp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.formats.decimals import find_field
from streams.formats.documents import FIELDS, Draft, Format, FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.formats.documents import Document


def recognise(document: Document) -> bool:
    """Return whether a record is an object with a customer id."""
    return isinstance(document.content, dict) and document.id_field in document.content


def read(document: Document) -> Draft:
    """Return the draft of a row.

    Raises:
        FormatError: a field is missing or cannot be read.
        WrongKeyError: the record is not keyed by its customer.
    """
    row = document.content
    schema = find_field(document.schema, document.id_field)
    customer_id = document.read_id(row[document.id_field], document.id_field, schema)
    document.check_key(customer_id)
    is_event = "occurred_at" in row or row.get("type") in document.types
    given = row.get("type") if is_event else None
    own_type = str(given or document.only_type)
    if own_type not in document.types:
        raise FormatError(f"type is {given!r}; it must be one of {', '.join(document.types)}")
    if given or own_type != "customer.updated":
        _require(row, "id", "occurred_at")
    return Draft(
        document.types[own_type],
        own_type,
        document.place if row.get("id") is None else document.read_id(row["id"], "id"),
        customer_id,
        document.read_time(row.get("occurred_at"), "occurred_at"),
        {name: row[name] for name in FIELDS if name in row},
    )


def _require(row: Mapping[str, Any], *names: str) -> None:
    missing = [name for name in names if row.get(name) is None]
    if missing:
        raise FormatError(f"no {' and no '.join(f'`{name}`' for name in missing)}")


ROWS = Format("JSON", recognise, read)
