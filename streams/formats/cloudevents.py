"""CloudEvents 1.0, in binary mode (attributes in headers `ce_...`) and structured mode (one JSON object). Pure.

The customer is `data.customer_id`, the extension `customerid`, or `subject`. A topic that carries one type of event
takes a CloudEvent of any type; on `outcomes` the last part of the type must be one of Holdfast's outcomes.
Source: CloudEvents 1.0.2 and its Kafka protocol binding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.formats.documents import FIELDS, Draft, Format, FormatError, join_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.formats.documents import Document

_PREFIX = "ce_"
_CUSTOMER = "customerid"


def recognise(document: Document) -> bool:
    """Return whether a record is a CloudEvent, or a batch of them."""
    return bool(_find_attributes(document)) or _is_batch(document.content)


def read(document: Document) -> Draft:
    """Return the draft of a CloudEvent.

    Raises:
        FormatError: an attribute is missing or cannot be read.
        WrongKeyError: the record is not keyed by its customer.
    """
    if _is_batch(document.content):
        raise FormatError("a batch of events in one record; send each event in a record of its own")
    attributes = _find_attributes(document)
    data = _find_data(document, attributes)
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise FormatError(f"the attribute {name} is missing")
    if attributes["specversion"] != "1.0":
        raise FormatError(f"specversion is {attributes['specversion']!r}; it must be '1.0'")
    own_type = find_type(document, str(attributes["type"]))
    found = data.get(document.id_field), attributes.get(_CUSTOMER), attributes.get("subject")
    customer = next((each for each in found if each not in (None, "")), None)
    if customer is None:
        raise FormatError(f"no customer: set data.{document.id_field}, the extension {_CUSTOMER}, or subject")
    customer_id = document.read_id(customer, "the customer")
    document.check_key(customer_id)
    return Draft(
        document.types[own_type],
        own_type,
        join_id(str(attributes["source"]), str(attributes["id"])),
        customer_id,
        document.read_time(attributes.get("time") or None, "time"),
        {name: data[name] for name in FIELDS if name in data},
    )


def find_type(document: Document, foreign: str) -> str:
    """Return the type of Holdfast that a foreign type stands for.

    Raises:
        FormatError: the topic carries several types, and this is none of them.
    """
    if document.only_type:
        return document.only_type
    for own in document.types:
        if foreign.lower().split(".")[-1] == own.rpartition(".")[2]:
            return own
    ends = ", ".join(own.rpartition(".")[2] for own in document.types)
    raise FormatError(f"type is {foreign!r}; on topic {document.record.topic} it must end in one of {ends}")


def _find_attributes(document: Document) -> Mapping[str, Any]:
    content = document.content
    if isinstance(content, dict) and "specversion" in content:
        return content
    headers = {name[len(_PREFIX) :]: value for name, value in document.record.headers if name.startswith(_PREFIX)}
    if "specversion" not in headers:
        return {}
    return {name: (value or b"").decode(errors="replace") for name, value in headers.items()}


def _find_data(document: Document, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    if attributes is not document.content:
        data = document.content
    elif "data_base64" in attributes:
        raise FormatError("the data is binary (data_base64); send it as JSON in data")
    else:
        data = attributes.get("data")
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise FormatError(f"the data is {type(data).__name__}; it must be a JSON object")
    return data


def _is_batch(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and "specversion" in content[0]


CLOUDEVENTS = Format("CloudEvents", recognise, read)
