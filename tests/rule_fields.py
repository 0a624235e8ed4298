"""The fields that a browser sends for a rule drawn as a form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.web.rule_form import RULE, name_place
from segments.rule_tree import Condition, Group, Raw, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segments.rule_tree import Tree


def write_fields(tree: Tree, root: str = RULE) -> dict[str, str]:
    """Return the fields of a tree by name."""
    return {f"{name}:{name_place(path, root)}": text for path, part in walk(tree) for name, text in _fields_of(part)}


def _fields_of(part: Tree) -> Iterator[tuple[str, str]]:
    match part:
        case Group(kind, _, is_bare):
            yield "kind", kind
            if is_bare:
                yield "bare", "1"
        case Raw(text):
            yield "kind", "json"
            yield "json", text
        case Condition(fact, comparison, values, default):
            yield "kind", "condition"
            yield "fact", fact
            yield "was", fact
            yield "how", comparison
            for number, value in enumerate(values):
                yield f"value{number}", value.text
                yield f"type{number}", value.type
            if default is not None:
                yield "default", default.text
                yield "default_type", default.type
