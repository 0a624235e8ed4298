"""What a published schema of an event accepts, the decoder accepts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from streams.contracts.messages import MessageContract, all_messages
from tests.records import Arrived, decode

READ = [each for each in all_messages() if each.direction == "read"]
PLAIN = st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs"])
FORMATS = {
    "date-time": st.integers(0, 1_293_840_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat()),
    "uuid": st.uuids().map(str),
}
LATER = st.just("2012-01-01T00:00:00Z")
# Fields that are compared with others, which no schema can say; and text that is printable.
NARROWER = {
    "until": LATER,
    "value": st.sampled_from([1, 1.0, None]),
    "by": st.sampled_from(["sam", "Zoë"]),
    "reason": st.sampled_from(["asked by phone", "ü"]),
    "withdraws": st.just("f-1"),
}


def values(name: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values of a field."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if name in NARROWER:
        return NARROWER[name]
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    bounds = schema.get("minimum"), schema.get("maximum")
    made: dict[str, st.SearchStrategy[Any]] = {
        "null": st.none(),
        "string": FORMATS.get(schema.get("format", ""), st.text(PLAIN, max_size=20)),
        "number": st.floats(*bounds, allow_nan=False, allow_infinity=False),
        "integer": st.integers(*bounds),
        "boolean": st.booleans(),
        "object": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    }
    return st.one_of([made[each] for each in types])


def events(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return events with all required fields and some of the others, and one that no schema names."""
    fields = {name: values(name, each) for name, each in schema["properties"].items()}
    required = {name: each for name, each in fields.items() if name in schema["required"]}
    optional = {name: each for name, each in fields.items() if name not in required}
    made = st.fixed_dictionaries(required, optional={**optional, "more": st.integers()})
    return made.filter(Draft202012Validator(schema).is_valid)


@pytest.mark.parametrize("message", READ, ids=[each.key for each in READ])
@given(data=st.data())
def test_an_event_that_its_schema_accepts_is_decoded(message: MessageContract, data: st.DataObject) -> None:
    event = data.draw(events(message.payload))
    key = event["lead_id" if message.topic == "leads" else "customer_id"].encode()
    decoded = decode(Arrived(f"p.{message.topic}", key=key, value=msgspec.json.encode(event)))
    assert [each.detail for each in decoded.rejects] == []
