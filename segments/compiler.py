"""From JSONLogic as parsed from JSON to the nodes that compute it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from features.times import EVENT_TIME
from segments.errors import RuleError
from segments.expression import Array, BoolOp, Condition, Fact, LiteralValue, Negation, operation
from segments.iteration import Containment, Filtered, Mapped, Quantified, Reduced, Source
from segments.literals import find_problem
from segments.lookups import ComputedName, EventTime, Missing, MissingComputed, Part, WholeData
from segments.moments import AGES
from segments.names import split_name
from segments.operators import OPERATORS, normal, to_string
from segments.possible_names import find_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from segments.nodes import Node

ITERATIONS = ("map", "filter", "all", "none", "some", "reduce")
KNOWN_OPERATORS = ("var", "and", "or", "if", "?:", "missing", "missing_some", *ITERATIONS, *OPERATORS)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN = 80


@dataclass(slots=True)
class Reads:
    """What a rule reads, as far as it is compiled: the names behind each `var`; `known` refuses to read everything."""

    known: bool
    names: set[tuple[str, ...]] = field(default_factory=set)
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Compiler:
    """One compilation: the rule's name in errors, what it reads, and whether `var` reads an element of an array."""

    where: str
    reads: Reads
    inside: bool = False

    def compile(self, rule: Any, path: str) -> Node:
        """Return the node of a rule, or of a part of one.

        Raises:
            RuleError: it cannot be compiled.
        """
        if isinstance(rule, list):
            return _array([self.compile(each, f"{path}[{i}]") for i, each in enumerate(rule)])
        if not isinstance(rule, dict) or not rule:
            return LiteralValue(normal(rule))
        if len(rule) > 1:
            raise self._error(f"an operation has one key, not {len(rule)}", path, rule)
        ((operator, values),) = rule.items()
        path += f".{operator}" if _IDENTIFIER.fullmatch(operator) else f"[{json.dumps(operator)}]"
        return self._operation(operator, values, path)

    def _operation(self, operator: str, values: Any, path: str) -> Node:
        if operator not in KNOWN_OPERATORS:
            known = " ".join(KNOWN_OPERATORS)
            raise self._error(f"unknown operator {operator!r}", path, values, f"known operators: {known}")
        if operator == "var":
            return self._variable(values, path)
        self._check_count(operator, len(values) if isinstance(values, list) else 1, path, values)
        if operator in ITERATIONS:
            return self._iteration(operator, values, path)
        args = self._arguments(values, path)
        if problem := find_problem(operator, values):
            raise self._error(problem.problem, path, problem.value, problem.hint)
        return self._applied(operator, args, values, path)

    def _applied(self, operator: str, args: tuple[Node, ...], values: Any, path: str) -> Node:
        match operator:
            case "and" | "or":
                return BoolOp(operator, args)
            case "if" | "?:":
                return _branches(args)
            case "!" | "!!":
                return Negation(args[0] if operator == "!" else Negation(args[0]))
            case "missing" | "missing_some":
                return self._missing(operator, args, values, path)
            case "in" if isinstance(args[0], LiteralValue) and not isinstance(args[0].value, list | dict):
                text = json.dumps({operator: values})
                return Containment(operator, args, text, args[0].value, Source(args[1], json.dumps(values[1])))
        if operator in AGES:
            self.reads.names.add((EVENT_TIME,))
            args = (*args, EventTime())
        return operation(operator, args, json.dumps({operator: values}))

    def _arguments(self, values: Any, path: str) -> tuple[Node, ...]:
        if not isinstance(values, list):
            return (self.compile(values, path),)
        return tuple(self.compile(value, f"{path}[{i}]") for i, value in enumerate(values))

    def _check_count(self, operator: str, count: int, path: str, values: Any) -> None:
        least, most = _ARGUMENTS.get(operator) or (OPERATORS[operator].least, OPERATORS[operator].most)
        least = 0 if operator == "if" and not self.reads.known else least
        if count < least or (most is not None and count > most):
            wanted = f"at least {least}" if most is None else str(least) if least == most else f"{least} to {most}"
            raise self._error(f"{operator!r} takes {wanted} argument(s), not {count}", path, values)

    def _iteration(self, operator: str, values: list[Any], path: str) -> Node:
        source = Source(self.compile(values[0], f"{path}[0]"), json.dumps(values[0]))
        inner = replace(self, inside=True).compile(values[1], f"{path}[1]")
        text = json.dumps({operator: values})
        match operator:
            case "map":
                return Mapped(source, inner, text)
            case "filter":
                return Filtered(source, inner, text)
            case "reduce":
                initial = self.compile(values[2], f"{path}[2]") if values[2:] else LiteralValue(None)
                return Reduced(source, inner, initial, text)
            case _:
                return Quantified(operator, source, inner, text)  # type: ignore[arg-type]

    def _variable(self, values: Any, path: str) -> Node:
        name, *defaults = values if isinstance(values, list) and values else [None if values == [] else values]
        computed = isinstance(name, dict) and name != {}
        if len(defaults) > 1 or not (computed or _is_name(name) or name is None or name == ""):
            hint = 'write {"var": "name"} or {"var": ["name", default]}'
            raise self._error("'var' takes the name of a fact and at most one default", path, values, hint)
        default = self.compile(defaults[0], f"{path}[1]") if defaults else None
        if computed:
            return self._computed(self.compile(name, f"{path}[0]"), default, values, path)
        if _is_name(name):
            return self._named(name, default)
        self._read_everything("var", path, values)
        return WholeData(json.dumps({"var": values}))

    def _named(self, name: Any, default: Node | None = None) -> Node:
        """Return what reads a literal name: a fact, or inside `map` and its like a part of the element."""
        first, *keys = split_name(to_string(normal(name)))
        if self.inside:
            return Part((first, *keys), default)
        fact = Fact(first, tuple(keys), default or LiteralValue(None))
        self.reads.names.add(fact.names)
        return fact

    def _computed(self, name: Node, default: Node | None, values: Any, path: str) -> Node:
        reads = self._possible_reads("var", name, path, values)
        return ComputedName(name, default or LiteralValue(None), reads, json.dumps({"var": values}))

    def _missing(self, operator: str, args: tuple[Node, ...], values: Any, path: str) -> Node:
        least = args[0] if operator == "missing_some" else None
        names = args[1] if operator == "missing_some" else _array(args)
        text = json.dumps({operator: values})
        if not isinstance(names, LiteralValue):
            return MissingComputed(names, least, self._possible_reads(operator, names, path, values), text)
        literal = names.value if isinstance(names.value, list) else [names.value]
        if least is None and literal and isinstance(literal[0], list):
            literal = literal[0]
        if not all(map(_is_name, literal)):
            raise self._error(f"{operator!r} takes names of facts", path, values)
        if not literal:
            return LiteralValue([])
        return Missing(tuple(literal), tuple(map(self._named, literal)), least, text)

    def _possible_reads(self, operator: str, names: Node, path: str, values: Any) -> frozenset[str] | None:
        """Return the facts that computed names can lead to, and note that they are read; None for all facts."""
        if self.inside:
            return None
        possible = find_names(names)
        if possible is None or not all(map(_is_name, possible)):
            self._read_everything(operator, path, values)
            return None
        facts = [Fact(first, tuple(keys), LiteralValue(None)) for first, *keys in map(_split, possible)]
        self.reads.names.update(fact.names for fact in facts)
        return frozenset(name for fact in facts for name in fact.names)

    def _read_everything(self, operator: str, path: str, values: Any) -> None:
        if self.inside:
            return
        if self.reads.known:
            what = "the name of a fact" if operator == "var" else "names of facts"
            hint = "what a segment reads must be known when it is loaded: write the name itself, in quotes"
            raise self._error(f"{operator!r} takes {what}", path, values, hint)
        self.reads.everything = True

    def _error(self, problem: str, path: str, value: Any, hint: str = "") -> RuleError:
        shown = json.dumps(value)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        return RuleError(f"{self.where}: {problem} at {path}, value {shown}" + (f"; {hint}" if hint else ""), path)


_ARGUMENTS: Mapping[str, tuple[int, int | None]] = {
    "and": (1, None),
    "or": (1, None),
    "if": (1, None),
    "?:": (3, 3),
    "missing": (0, None),
    "missing_some": (2, 2),
    **dict.fromkeys(ITERATIONS, (2, 2)),
    "reduce": (2, 3),
}


def _is_name(name: Any) -> bool:
    return (isinstance(name, str) and name != "") or (isinstance(name, int | float) and not isinstance(name, bool))


def _split(name: Any) -> tuple[str, ...]:
    return split_name(to_string(normal(name)))


def _array(parts: Sequence[Node]) -> Node:
    if all(isinstance(part, LiteralValue) for part in parts):
        return LiteralValue([part.value for part in parts if isinstance(part, LiteralValue)])
    return Array(tuple(parts))


def _branches(args: Sequence[Node]) -> Node:
    if not args:
        return LiteralValue(None)
    if len(args) == 1:
        return args[0]
    return Condition(args[0], args[1], _branches(args[2:]))
