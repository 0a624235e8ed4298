"""Which changes of a message break those who rely on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.contracts.compatibility import UnknownKeywordError, compare_schemas, find_breaks
from streams.contracts.messages import MessageContract, all_messages

TEXT = {"type": "string"}
BASE: dict[str, Any] = {
    "type": "object",
    "required": ["id", "kind"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 200},
        "kind": {"enum": ["a", "b"]},
        "score": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}},
        "names": {"type": "object", "additionalProperties": TEXT},
        "inner": {"type": "object", "required": ["at"], "properties": {"at": {"type": "string", "format": "date"}}},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
    },
}


def change(name: str, **keywords: Any) -> dict[str, Any]:
    """Return the schema with other keywords of a field; None removes a keyword."""
    field = {key: each for key, each in {**BASE["properties"].get(name, {}), **keywords}.items() if each is not None}
    return {**BASE, "properties": {**BASE["properties"], name: field}}


WITHOUT_SCORE = {**BASE, "properties": {name: each for name, each in BASE["properties"].items() if name != "score"}}
INNER_OPTIONAL = change("inner", required=[])
CHANGES = {
    # the change, whether it breaks producers of what is read, whether it breaks consumers of what is written
    "nothing": (BASE, False, False),
    "another description": (change("id", description="new"), False, False),
    "a new optional field": (change("extra", type="string"), False, False),
    "a new required field": ({**change("extra", type="string"), "required": ["id", "kind", "extra"]}, True, False),
    "a removed field": (WITHOUT_SCORE, True, True),
    "a field that becomes required": ({**BASE, "required": ["id", "kind", "score"]}, True, False),
    "a field that becomes optional": ({**BASE, "required": ["id"]}, False, True),
    "an inner field that becomes optional": (INNER_OPTIONAL, False, True),
    "one more type": (change("id", type=["string", "null"]), False, True),
    "one type fewer": (change("score", type="number"), True, False),
    "another type": (change("id", type="integer"), True, True),
    "an integer in place of a number": (change("score", type=["integer", "null"]), True, False),
    "one more value": (change("kind", enum=["a", "b", "c"]), False, True),
    "one value fewer": (change("kind", enum=["a"]), True, False),
    "one constant value": (change("kind", enum=None, const="a"), True, False),
    "any value": (change("kind", enum=None, type="string"), False, True),
    "a larger maximum": (change("score", maximum=2), False, True),
    "a smaller maximum": (change("score", maximum=0.5), True, False),
    "no maximum": (change("score", maximum=None), False, True),
    "a larger minimum": (change("score", minimum=0.5), True, False),
    "a new bound": (change("code", maxLength=3), True, False),
    "shorter texts": (change("id", maxLength=100), True, False),
    "another pattern": (change("code", pattern="^[a-z]*$"), True, True),
    "no pattern": (change("code", pattern=None), False, True),
    "a new format": (change("code", format="uuid"), True, False),
    "an element's value": (change("tags", items={"enum": ["x", "y", "z"]}), False, True),
    "values of a mapping": (change("names", additionalProperties={"type": ["string", "null"]}), False, True),
    "no other fields": ({**BASE, "additionalProperties": False}, True, False),
}


@pytest.mark.parametrize(("after", "breaks_read", "breaks_write"), CHANGES.values(), ids=CHANGES)
def test_a_change_breaks_producers_or_consumers(after: dict[str, Any], breaks_read: bool, breaks_write: bool) -> None:
    assert bool(compare_schemas(BASE, after, "read")) is breaks_read
    assert bool(compare_schemas(BASE, after, "write")) is breaks_write


@pytest.mark.parametrize(("after", "breaks_read", "breaks_write"), CHANGES.values(), ids=CHANGES)
def test_the_way_back_breaks_the_others(after: dict[str, Any], breaks_read: bool, breaks_write: bool) -> None:
    """What narrows in one direction widens in the other; fields that come or go are another matter."""
    if after["properties"].keys() == BASE["properties"].keys() and "additionalProperties" not in after:
        assert bool(compare_schemas(after, BASE, "write")) is breaks_read
        assert bool(compare_schemas(after, BASE, "read")) is breaks_write


def test_a_problem_names_the_field_and_the_change() -> None:
    assert compare_schemas(BASE, INNER_OPTIONAL, "write") == ["inner.at may be missing now"]
    assert compare_schemas(BASE, change("kind", enum=["a"]), "read") == ["kind no longer accepts 'b'"]
    assert compare_schemas(BASE, change("id", type=["string", "null"]), "write") == ["id may now be null"]


def test_a_keyword_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UnknownKeywordError, match="id: multipleOf"):
        compare_schemas(BASE, change("id", multipleOf=2), "read")


def contract(**changes: Any) -> MessageContract:
    defaults: dict[str, Any] = {
        "name": "order",
        "version": 1,
        "topic": "orders",
        "direction": "write",
        "payload": BASE,
        "headers": {"type": "object", "required": ["ce_id"], "properties": {"ce_id": TEXT}},
    }
    return MessageContract(**{**defaults, **changes})


WORSE = contract(payload=WITHOUT_SCORE)
OLD_READ = contract(direction="read")


@pytest.mark.parametrize(
    ("before", "after", "breaks"),
    [
        ([contract()], [contract()], []),
        ([contract()], [WORSE], ["order v1: score is removed"]),
        ([contract()], [contract(), replace(WORSE, version=2)], []),
        ([contract()], [replace(WORSE, version=2)], []),
        ([contract()], [], ["order v1: is gone"]),
        ([OLD_READ], [replace(OLD_READ, version=2)], ["order v1: is gone"]),
        ([contract()], [contract(), contract(name="other")], []),
        ([contract()], [contract(topic="others")], ["order v1: moved from write orders to write others"]),
        (
            [contract()],
            [contract(headers={"type": "object", "properties": {}})],
            ["order v1: headers.ce_id is removed"],
        ),
    ],
    ids=[
        "unchanged",
        "changed",
        "a new version next to it",
        "replaced by a new version",
        "gone",
        "a version that is read no more",
        "one more message",
        "another topic",
        "a header removed",
    ],
)
def test_a_break_needs_a_new_version(
    before: list[MessageContract], after: list[MessageContract], breaks: list[str]
) -> None:
    assert find_breaks(before, after) == breaks


def test_every_message_can_be_compared() -> None:
    assert find_breaks(all_messages(), all_messages()) == []
