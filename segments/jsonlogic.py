"""The compiler of JSONLogic rules (https://jsonlogic.com) to column programs.

A rule gives the result of the JavaScript implementation, with the coercions of JavaScript: null is 0
in `<` and `>`, equal to nothing but null in `==`, and false where a truth value is wanted. A fact that
the table does not have is null. A name with dots is that of a fact, where there is such a fact, and otherwise
leads into an object. `log` returns its argument and writes nothing. `substr` counts characters.

Rejected, although JavaScript accepts it, is what is always a mistake: an unknown operator,
too few or too many arguments (JavaScript ignores the third argument of `>`), an object of several keys.
Properties of strings (`name.length`) are not facts.

The rule of a segment (`compile_rule`) has more to it. An empty one ({}), null or no rule is always true. What it reads
is known when it is loaded, so it has no `var` without a name, and computes no names except by `if`, `and`, `or` and
`merge` from names that it gives. An `if` without arguments is a mistake. `compile_expression` takes these, as the
public suite of JSONLogic does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from segments.compiler import Compiler, Reads
from segments.errors import RuleError
from segments.expression import LiteralValue, json_row
from segments.operators import normal, truthy
from segments.vectorized import Facts, to_cells

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Sequence

    from features.table import FeatureTable
    from segments.nodes import Node
    from segments.vectorized import Mask

DEEPEST = 64
LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule.

    Attributes:
        program: the tree of nodes that computes it.
        reads: the names behind each `var`, of which the first that exists is read; several for a name with a dot. The
            operators of `missing` read the names that they look for. What is read of elements is not among them.
        facts: all of these names.
        reads_everything: whether it may read any fact: it reads the whole data, or computes a name that is not known.
    """

    program: Node
    reads: frozenset[tuple[str, ...]]
    facts: frozenset[str]
    reads_everything: bool = False

    def evaluate(self, table: FeatureTable) -> Mask:
        """Return which customers the rule holds for: truth values of shape [customers]."""
        return self.mask(Facts(table))

    def mask(self, facts: Facts) -> Mask:
        """Evaluate over facts that several rules share, each column prepared once."""
        return self.program.mask(facts)

    def values(self, table: FeatureTable) -> Sequence[Any]:
        """Return the rule's value for each customer, as JSON values."""
        return to_cells(self.program.column(Facts(table)), len(table))

    def missing(self, available: Container[str]) -> frozenset[str]:
        """Return the facts that it reads and that are not available."""
        return frozenset(names[-1] for names in self.reads if not any(name in available for name in names))

    def pin(self, known: Container[str]) -> Rule:
        """Return the rule that needs of each `var` the name that is known; another must not stand in for it later."""
        reads = frozenset((next((name for name in names if name in known), names[-1]),) for names in self.reads)
        return replace(self, reads=reads)

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Evaluate for one customer's facts, given as plain JSON values."""
        return truthy(self.value(row))

    def value(self, data: Any) -> Any:
        """Return the rule's value for one customer's facts, or for any other JSON value."""
        if not isinstance(data, Mapping):
            return self.program.cell(normal(data))
        return self.program.cell(json_row(data, None if self.reads_everything else self.facts))


def compile_rule(rule: Any, *, where: str) -> Rule:
    """Compile the rule of a segment.

    Args:
        rule: JSONLogic as parsed from JSON.
        where: what to call the rule in an error, for example the file it comes from.

    Raises:
        RuleError: an unknown operator, wrong arguments, a rule that reads what is not known when it is loaded, or a
            rule deeper than `DEEPEST` or longer than `LONGEST` bytes.
    """
    if rule is None or rule == {}:
        return Rule(LiteralValue(value=True), frozenset(), frozenset())
    return _compile(rule, where, Reads(known=True))


def compile_expression(rule: Any, *, where: str) -> Rule:
    """Compile any JSONLogic, which may read everything; an empty rule is its own value.

    Raises:
        RuleError: as compile_rule, except for what a rule reads, and for `if` without arguments.
    """
    return _compile(rule, where, Reads(known=False))


def _compile(rule: Any, where: str, reads: Reads) -> Rule:
    _check_size(rule, where)
    program = Compiler(where, reads).compile(rule, "$")
    facts = frozenset(name for names in reads.names for name in names)
    return Rule(program, frozenset(reads.names), facts, reads.everything)


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
