"""The compiler of JSONLogic rules (https://jsonlogic.com) to column programs.

A rule gives the result of the JavaScript implementation, with the coercions of JavaScript: null is 0
in `<` and `>`, equal to nothing but null in `==`, and false where a truth value is wanted. A fact that
the table does not have is null. An empty rule ({}), null or no rule is always true. A name with dots is that of a
fact, where there is such a fact, and otherwise leads into an object.

Rejected, although JavaScript accepts it, is what is always a mistake: an unknown operator,
too few or too many arguments (JavaScript ignores the third argument of `>`), an object of several keys,
`var` without a name, and a computed name. Properties of strings (`name.length`) are not facts.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from features.table import EXACT_BELOW
from segments.errors import RuleError
from segments.expression import (
    Array,
    BoolOp,
    Condition,
    Fact,
    LiteralValue,
    Negation,
    Node,
    json_row,
    operation,
)
from segments.operators import OPERATORS, normal, to_string, truthy
from segments.vectorized import Facts

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping, Sequence

    from features.table import FeatureTable
    from segments.vectorized import Mask

DEEPEST = 64
LONGEST = 100_000
KNOWN_OPERATORS = ("var", "and", "or", "if", "?:", *OPERATORS)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A dot leads into an object; one behind a backslash belongs to the name.
_DOT = re.compile(r"(?<!\\)\.")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule.

    Attributes:
        program: the tree of nodes that computes it.
        reads: the names behind each `var`, of which the first that exists is read; several for a name with a dot.
        facts: all of these names.
    """

    program: Node
    reads: frozenset[tuple[str, ...]]
    facts: frozenset[str]

    def evaluate(self, table: FeatureTable) -> Mask:
        """Return which customers the rule holds for: truth values of shape [customers]."""
        return self.mask(Facts(table))

    def mask(self, facts: Facts) -> Mask:
        """Evaluate over facts that several rules share, each column prepared once."""
        return self.program.mask(facts)

    def missing(self, available: Container[str]) -> frozenset[str]:
        """Return the facts that it reads and that are not available."""
        return frozenset(names[-1] for names in self.reads if not any(name in available for name in names))

    def pin(self, known: Container[str]) -> Rule:
        """Return the rule that needs of each `var` the name that is known; another must not stand in for it later."""
        reads = frozenset((next((name for name in names if name in known), names[-1]),) for names in self.reads)
        return replace(self, reads=reads)

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Evaluate for one customer's facts, given as plain JSON values."""
        return truthy(self.program.cell(json_row(row, self.facts)))


def compile_rule(rule: Any, *, where: str) -> Rule:
    """Compile a rule.

    Args:
        rule: JSONLogic as parsed from JSON.
        where: what to call the rule in an error, for example the file it comes from.

    Raises:
        RuleError: an unknown operator, wrong arguments, or a rule deeper than `DEEPEST` or longer than
            `LONGEST` bytes.
    """
    if rule is None or rule == {}:
        return Rule(LiteralValue(value=True), frozenset(), frozenset())
    _check_size(rule, where)
    compiler = _Compiler(where)
    program = compiler.compile(rule, "$")
    return Rule(program, frozenset(compiler.reads), frozenset(name for names in compiler.reads for name in names))


def _check_size(rule: Any, where: str) -> None:
    # Level by level and without recursion, since the depth is not known to be small.
    level, depth = [rule], 0
    while level := [each for value in level for each in _children(value)]:
        depth += 1
        if depth > DEEPEST:
            raise RuleError(f"{where}: the rule is nested deeper than {DEEPEST} levels; split it up")
    length = len(json.dumps(rule).encode())
    if length > LONGEST:
        raise RuleError(f"{where}: the rule is {length} bytes long, more than the {LONGEST} allowed; split it up")


def _children(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


@dataclass(slots=True)
class _Compiler:
    """One compilation: the rule's name in errors, and the names behind each `var` of it."""

    where: str
    reads: set[tuple[str, ...]] = field(default_factory=set)

    def compile(self, rule: Any, path: str) -> Node:
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
        if operator == "var":
            return self._fact(values, path)
        if operator not in KNOWN_OPERATORS:
            known = " ".join(KNOWN_OPERATORS)
            raise self._error(f"unknown operator {operator!r}", path, values, f"known operators: {known}")
        args = self._arguments(values, path)
        self._check_count(operator, len(args), path, values)
        if operator in _EQUALITIES:
            self._check_exact(values, path)
        if operator in {"and", "or"}:
            return BoolOp(operator, args)  # type: ignore[arg-type]
        if operator in {"if", "?:"}:
            return _branches(args)
        if operator in {"!", "!!"}:
            return Negation(args[0] if operator == "!" else Negation(args[0]))
        return operation(operator, args, json.dumps({operator: values}))

    def _arguments(self, values: Any, path: str) -> tuple[Node, ...]:
        if not isinstance(values, list):
            return (self.compile(values, path),)
        return tuple(self.compile(value, f"{path}[{i}]") for i, value in enumerate(values))

    def _check_count(self, operator: str, count: int, path: str, values: Any) -> None:
        least, most = _ARGUMENTS.get(operator) or (OPERATORS[operator].least, OPERATORS[operator].most)
        if count < least or (most is not None and count > most):
            wanted = f"at least {least}" if most is None else str(least) if least == most else f"{least} to {most}"
            raise self._error(f"{operator!r} takes {wanted} argument(s), not {count}", path, values)

    def _check_exact(self, values: Any, path: str) -> None:
        """Refuse to compare a fact with a whole number that it cannot have: facts are doubles, exact below 2^53."""
        level = [values]
        while level := [each for value in level for each in (value if isinstance(value, list) else ())]:
            for value in level:
                if isinstance(value, int) and abs(value) >= EXACT_BELOW:
                    hint = f'let the view return the column as text, and write "{value}" in quotes'
                    raise self._error("numbers from 2^53 are not compared exactly", path, value, hint)

    def _fact(self, values: Any, path: str) -> Fact:
        name, *defaults = values if isinstance(values, list) and values else [values]
        if len(defaults) > 1 or not _is_name(name):
            hint = 'write {"var": "name"} or {"var": ["name", default]}'
            raise self._error("'var' takes the name of a fact and at most one default", path, values, hint)
        first, *keys = (part.replace(r"\.", ".") for part in _DOT.split(to_string(normal(name))))
        default = self.compile(defaults[0], f"{path}[1]") if defaults else LiteralValue(None)
        fact = Fact(first, tuple(keys), default)
        self.reads.add(fact.names)
        return fact

    def _error(self, problem: str, path: str, value: Any, hint: str = "") -> RuleError:
        shown = json.dumps(value)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        return RuleError(f"{self.where}: {problem} at {path}, value {shown}" + (f"; {hint}" if hint else ""))


_EQUALITIES = frozenset({"==", "===", "!=", "!==", "in"})
_ARGUMENTS: Mapping[str, tuple[int, int | None]] = {
    "and": (1, None),
    "or": (1, None),
    "if": (1, None),
    "?:": (3, 3),
}


def _is_name(name: Any) -> bool:
    return (isinstance(name, str) and name != "") or (isinstance(name, int) and not isinstance(name, bool))


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
