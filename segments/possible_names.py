"""The names that a computed name can have, where they are all given by the rule itself.

`{"missing": {"merge": ["vin", {"if": [{"var": "financed"}, "rate", []]}]}}` looks for `vin` and `rate`: what it reads
is known when it is loaded, as the freezing of segments needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segments.expression import Array, BoolOp, Condition, LiteralValue, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from segments.nodes import Node


def find_names(node: Node) -> frozenset[Any] | None:
    """Return every name that a node can give, alone or in an array; None where they depend on facts."""
    match node:
        case LiteralValue():
            return _literal(node.value)
        case Array(parts) | BoolOp(_, parts) | Operation("merge", parts):
            return _of_all(parts)
        case Condition():
            return _of_all((node.then, node.otherwise))
        case _:
            return None


def _literal(value: Any) -> frozenset[Any] | None:
    if isinstance(value, dict | bool):
        return None
    members = [_literal(each) for each in value] if isinstance(value, list) else [frozenset({value})]
    return _union(members)


def _of_all(nodes: Iterable[Node]) -> frozenset[Any] | None:
    return _union(map(find_names, nodes))


def _union(sets: Iterable[frozenset[Any] | None]) -> frozenset[Any] | None:
    found: set[Any] = set()
    for each in sets:
        if each is None:
            return None
        found |= each
    return frozenset(found)
