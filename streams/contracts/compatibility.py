"""What a change of a message breaks for those who rely on it. Pure.

Of a message that Holdfast reads, every event that was accepted must still be accepted: its producers do not change. Of
one that Holdfast writes, everything that is written must be what was promised: its consumers do not change. Consumers
ignore fields that they do not know, so a new field breaks nothing.

A breaking change needs a new version of the message, next to the version before.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from streams.contracts.messages import MessageContract

Schema = dict[str, Any]
Direction = Literal["read", "write"]

ANNOTATIONS = {"$schema", "$id", "title", "description", "examples"}
LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER_BOUNDS = ("maximum", "maxLength", "maxItems")
EXACT = ("pattern", "format", "anyOf", "allOf")
"""Two of them are compared as text: whether one pattern allows all that another one does is not found out."""
KNOWN = {
    *ANNOTATIONS,
    *LOWER_BOUNDS,
    *UPPER_BOUNDS,
    *EXACT,
    *("type", "enum", "const", "required", "properties", "additionalProperties", "items"),
}
TYPE_NAMES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
ALL_TYPES = frozenset(TYPE_NAMES.values())


class UnknownKeywordError(ValueError):
    """A schema has a keyword whose changes cannot be compared."""


@dataclass(frozen=True, slots=True)
class _Words:
    """How a difference is described, by the direction."""

    bound: str
    type: str
    value: str
    required: str


_WORDS = {
    "read": _Words("is stricter", "is no longer read as", "no longer accepts", "is required now"),
    "write": _Words("is looser", "may now be", "may now have", "may be missing now"),
}


def find_breaks(before: Iterable[MessageContract], after: Iterable[MessageContract]) -> list[str]:
    """Return a sentence for each change that breaks a message without a new version of it.

    Args:
        before: the messages as they were published.
        after: the messages now.

    Raises:
        UnknownKeywordError: a schema cannot be compared.
    """
    now = {(each.name, each.version): each for each in after}
    return list(chain.from_iterable(_compare(each, now) for each in before))


def _compare(old: MessageContract, now: Mapping[tuple[str, int], MessageContract]) -> Iterator[str]:
    new = now.get((old.name, old.version))
    label = f"{old.name} v{old.version}"
    if new is None:
        # What is written may be replaced by a later version; what is read may still be sent.
        if old.direction == "read" or not any(name == old.name and version > old.version for name, version in now):
            yield f"{label}: is gone"
        return
    if (old.topic, old.direction) != (new.topic, new.direction):
        yield f"{label}: moved from {old.direction} {old.topic} to {new.direction} {new.topic}"
    for part, earlier, later in (("", old.payload, new.payload), ("headers", old.headers, new.headers)):
        for problem in compare_schemas(earlier, later, old.direction, part):
            yield f"{label}: {problem}"


def compare_schemas(before: Schema, after: Schema, direction: Direction, where: str = "") -> list[str]:
    """Return a sentence for each change that breaks those who rely on a schema.

    Args:
        before: the schema as it was published.
        after: the schema now.
        direction: whether Holdfast reads or writes what it describes.
        where: the path of the schema in its message.
    """
    for schema in (before, after):
        if unknown := schema.keys() - KNOWN:
            names = ", ".join(sorted(unknown))
            raise UnknownKeywordError(
                f"{where or 'schema'}: {names}: teach streams/contracts/compatibility.py to compare it"
            )
    # What fits `inner` must fit `outer`.
    inner, outer = (before, after) if direction == "read" else (after, before)
    return [
        *_compare_types(inner, outer, direction, where),
        *_compare_values(inner, outer, direction, where),
        *_compare_bounds(inner, outer, direction, where),
        *_compare_fields(before, after, direction, where),
        *_compare_parts(before, after, direction, where),
    ]


def _compare_types(inner: Schema, outer: Schema, direction: Direction, where: str) -> Iterator[str]:
    for name in sorted(_types(inner) - _types(outer)):
        yield f"{where or 'value'} {_WORDS[direction].type} {name}"


def _types(schema: Schema) -> frozenset[str]:
    """Return the types that a schema allows; a number may be an integer."""
    values = _values(schema)
    declared = schema.get("type", ALL_TYPES if values is None else [TYPE_NAMES[type(each)] for each in values])
    types = frozenset({declared} if isinstance(declared, str) else declared)
    return types | {"integer"} if "number" in types else types


def _compare_values(inner: Schema, outer: Schema, direction: Direction, where: str) -> Iterator[str]:
    allowed, needed = _values(outer), _values(inner)
    if allowed is None:
        return
    if needed is None:
        yield f"{where} {_WORDS[direction].value} values besides {', '.join(map(str, allowed))}"
        return
    for value in needed:
        if value not in allowed:
            yield f"{where} {_WORDS[direction].value} {value!r}"


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _compare_bounds(inner: Schema, outer: Schema, direction: Direction, where: str) -> Iterator[str]:
    if _values(inner) is not None:  # each value is compared
        return
    for name in LOWER_BOUNDS:
        if name in outer and not (name in inner and inner[name] >= outer[name]):
            yield f"{where}: {name} {_WORDS[direction].bound}"
    for name in UPPER_BOUNDS:
        if name in outer and not (name in inner and inner[name] <= outer[name]):
            yield f"{where}: {name} {_WORDS[direction].bound}"
    for name in EXACT:
        if name in outer and inner.get(name) != outer[name]:
            yield f"{where}: {name} {_WORDS[direction].bound}"


def _compare_fields(before: Schema, after: Schema, direction: Direction, where: str) -> Iterator[str]:
    inner, outer = (before, after) if direction == "read" else (after, before)
    removed = sorted(before.get("properties", {}).keys() - after.get("properties", {}).keys())
    yield from (f"{_join(where, name)} is removed" for name in removed)
    for name in sorted(set(outer.get("required", ())) - set(inner.get("required", ())) - set(removed)):
        yield f"{_join(where, name)} {_WORDS[direction].required}"


def _compare_parts(before: Schema, after: Schema, direction: Direction, where: str) -> Iterator[str]:
    """Compare what both schemas describe of fields, of other fields and of elements."""
    old, new = before.get("properties", {}), after.get("properties", {})
    for name in old.keys() & new.keys():
        yield from compare_schemas(old[name], new[name], direction, _join(where, name))
    if "items" in before or "items" in after:
        yield from compare_schemas(before.get("items", {}), after.get("items", {}), direction, f"{where}[]")
    others, later = before.get("additionalProperties", True), after.get("additionalProperties", True)
    if isinstance(others, dict) or isinstance(later, dict):
        yield from compare_schemas(_describe(others), _describe(later), direction, _join(where, "*"))
    elif direction == "read" and others and not later:
        yield f"{where or 'value'} no longer accepts other fields"


def _describe(others: bool | Schema) -> Schema:
    return others if isinstance(others, dict) else {}


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
