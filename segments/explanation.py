"""Explanations of a rule for one customer, by the comparisons that the rule makes.

The nearest miss is, among the comparisons that keep the rule from holding, the one whose number lies
relatively closest to its threshold: |value - threshold| / max(|value|, |threshold|).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from segments.expression import Array, BoolOp, Condition, Fact, LiteralValue, Negation, Operation, json_row
from segments.lookups import EventTime
from segments.operators import OPERATORS, truthy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from segments.jsonlogic import Rule
    from segments.nodes import Node

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!=", "===": "===", "!==": "!=="}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a rule, for one customer.

    Attributes:
        subject: the name of the fact compared, or the expression.
        value: what the customer has, null as None.
        operator: as in JSONLogic, with the fact on its left; `is` where only truth is asked for.
        threshold: what the value is compared with.
        met: whether the comparison does what the rule needs of it.
        negated: whether the rule needs it to be false.
        blocking: whether the rule would be nearer to holding if it were met.
    """

    subject: str
    value: Any
    operator: str
    threshold: Any
    met: bool
    negated: bool
    blocking: bool

    @property
    def distance(self) -> float | None:
        """The relative distance from the threshold, from 0 to 2; None where it is not defined."""
        if self.operator not in _MIRRORED or not _are_numbers(self.value, self.threshold):
            return None
        scale = max(abs(self.value), abs(self.threshold))
        return abs(self.value - self.threshold) / scale if scale else 0.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a rule holds for a customer, and each of its comparisons in the order of the rule."""

    met: bool
    comparisons: tuple[Comparison, ...]

    @property
    def nearest_miss(self) -> Comparison | None:
        """The comparison nearest to being met; None when the rule holds."""
        misses = [each for each in self.comparisons if each.blocking]
        return min(misses, key=_closeness, default=None)


def explain_rule(rule: Rule, facts: Mapping[str, Any]) -> Explanation:
    """Explain a rule for one customer.

    Args:
        rule: the compiled rule.
        facts: the customer's facts as plain JSON values; a missing one is null.
    """
    row = json_row(facts, rule.facts)
    met = truthy(rule.program.cell(row))
    walk = _Walk(row)
    return Explanation(met, tuple(walk.comparisons(rule.program, wanted=True, blocking=not met)))


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, float) and abs(value) < float("inf") for value in values)


def _closeness(miss: Comparison) -> float:
    return float("inf") if miss.distance is None else miss.distance


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk over a rule's nodes for one customer."""

    row: Mapping[str, Any]

    def comparisons(self, node: Node, *, wanted: bool, blocking: bool) -> Iterator[Comparison]:
        # A part with the wanted result does not block, nor does any part inside it.
        blocking = blocking and truthy(node.cell(self.row)) != wanted
        match node:
            case BoolOp():
                for part in node.parts:
                    yield from self.comparisons(part, wanted=wanted, blocking=blocking)
            case Negation():
                yield from self.comparisons(node.part, wanted=not wanted, blocking=blocking)
            case Operation(operator, args) if operator in _MIRRORED or operator == "in":
                for left, right in pairwise(args):
                    yield self._comparison(operator, left, right, wanted, blocking)
            case _:
                yield self._comparison("is", node, LiteralValue(value=True), wanted, blocking)

    def _comparison(self, operator: str, left: Node, right: Node, wanted: bool, blocking: bool) -> Comparison:
        value, threshold = left.cell(self.row), right.cell(self.row)
        holds = truthy(value) if operator == "is" else truthy(OPERATORS[operator].apply(value, threshold))
        if operator in _MIRRORED and isinstance(left, LiteralValue):
            left, value, threshold, operator = right, threshold, value, _MIRRORED[operator]
        met = holds == wanted
        return Comparison(_text(left), value, operator, threshold, met, not wanted, blocking and not met)


def _text(node: Node) -> str:
    source = _source(node)
    return source["var"] if isinstance(node, Fact) else json.dumps(source)


def _source(node: Node) -> Any:
    """Return JSONLogic that computes what a node computes."""
    match node:
        case LiteralValue(source):
            pass
        case Fact():
            source = {"var": ".".join((node.name, *node.keys))}
        case Array(parts):
            source = [_source(part) for part in parts]
        case BoolOp(word, parts) | Operation(word, parts):
            source = {word: [_source(part) for part in parts if not isinstance(part, EventTime)]}
        case Negation(part):
            source = {"!": [_source(part)]}
        case Condition(test, then, otherwise):
            source = {"if": [_source(test), _source(then), _source(otherwise)]}
        case _:
            # The others keep their text.
            source = json.loads(getattr(node, "text", "null"))
    return source
