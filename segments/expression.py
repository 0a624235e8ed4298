"""A compiled rule: a tree of nodes that compute a column for a batch, or one value for one customer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from features.table import plain
from segments.lookups import Part
from segments.names import MISSING, find_part, look_up
from segments.nodes import Valued
from segments.operators import OPERATORS, normal, truthy
from segments.time_columns import apply_to_times
from segments.vectorized import (
    ORDERINGS,
    BoolColumn,
    Constant,
    Numbers,
    apply,
    arrays,
    choose,
    from_cells,
    to_cells,
    truths,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from segments.nodes import Node
    from segments.vectorized import Facts, Mask, Value


@dataclass(frozen=True, slots=True)
class LiteralValue(Valued):
    """A value the rule itself gives."""

    value: Any

    def column(self, _: Facts) -> Value:
        """Return the value for every row."""
        return Constant(self.value)

    def cell(self, _: Mapping[str, Any]) -> Any:
        """Return the value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Fact(Valued):
    """A customer's fact, or a part of one: `keys` lead into objects and arrays, unless a fact has the whole name.

    The default is used where the fact or part does not exist; a fact that is null exists.
    """

    name: str
    keys: tuple[str, ...]
    default: Node

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the facts that it reads, in this order, the first that exists."""
        return (".".join((self.name, *self.keys)), self.name) if self.keys else (self.name,)

    def column(self, facts: Facts) -> Value:
        """Return the fact's column."""
        if self.keys and (whole := facts.fact(self.names[0])) is not None:
            return whole
        found = facts.fact(self.name)
        if found is None:
            return self.default.column(facts)
        if not self.keys:
            return found
        parts = [find_part(cell, self.keys) for cell in to_cells(found, facts.count)]
        defaults = to_cells(self.default.column(facts), facts.count)
        pairs = zip(parts, defaults, strict=True)
        return from_cells([default if part is MISSING else part for part, default in pairs])

    def cell(self, row: Mapping[str, Any]) -> Any:
        """Return one customer's fact."""
        part = look_up(row, (self.name, *self.keys))
        return self.default.cell(row) if part is MISSING else part


@dataclass(frozen=True, slots=True)
class BoolOp:
    """`and` returns its first false argument, or else the last; `or` the first true one, or else the last."""

    word: Literal["and", "or"]
    parts: tuple[Node, ...]

    def mask(self, facts: Facts) -> Mask:
        """Return where the operation is true, from the masks of its parts."""
        join = np.logical_and if self.word == "and" else np.logical_or
        return reduce(join, (part.mask(facts) for part in self.parts))

    def column(self, facts: Facts) -> Value:
        """Return the value of the part that decides, row by row."""
        *firsts, result = (part.column(facts) for part in self.parts)
        for value in reversed(firsts):
            true = truths(value, facts.count)
            result = choose(true if self.word == "or" else ~true, value, result)
        return result

    def cell(self, row: Mapping[str, Any]) -> Any:
        """Return the value of the part that decides."""
        value = None
        for part in self.parts:
            value = part.cell(row)
            if truthy(value) == (self.word == "or"):
                return value
        return value


@dataclass(frozen=True, slots=True)
class Negation:
    """`!`."""

    part: Node

    def mask(self, facts: Facts) -> Mask:
        """Return where the part is false."""
        return ~self.part.mask(facts)

    def column(self, facts: Facts) -> Value:
        """Return the mask as a column."""
        return BoolColumn(self.mask(facts))

    def cell(self, row: Mapping[str, Any]) -> bool:
        """Return whether the part is false."""
        return not truthy(self.part.cell(row))


@dataclass(frozen=True, slots=True)
class Condition:
    """`if` with one condition; several are nested."""

    test: Node
    then: Node
    otherwise: Node

    def mask(self, facts: Facts) -> Mask:
        """Return where the branch that applies is true."""
        return np.where(self.test.mask(facts), self.then.mask(facts), self.otherwise.mask(facts))

    def column(self, facts: Facts) -> Value:
        """Return the branch that applies, row by row."""
        return choose(self.test.mask(facts), self.then.column(facts), self.otherwise.column(facts))

    def cell(self, row: Mapping[str, Any]) -> Any:
        """Return the branch that applies."""
        return (self.then if truthy(self.test.cell(row)) else self.otherwise).cell(row)


@dataclass(frozen=True, slots=True)
class Array(Valued):
    """An array with at least one member that is computed."""

    parts: tuple[Node, ...]

    def column(self, facts: Facts) -> Value:
        """Return one array per row."""
        return arrays([part.column(facts) for part in self.parts], facts.count)

    def cell(self, row: Mapping[str, Any]) -> list[Any]:
        """Return one customer's array."""
        return [part.cell(row) for part in self.parts]


@dataclass(frozen=True, slots=True)
class Operation(Valued):
    """An operator of `segments.operators` and its arguments; equal operations have equal texts.

    A batch computes an operation that several rules share once.
    """

    operator: str
    args: tuple[Node, ...]
    text: str

    def mask(self, facts: Facts) -> Mask:
        """Return where the result is true."""
        known = facts.masks.get(self.text)
        if known is None:
            known = facts.masks[self.text] = truths(self.column(facts), facts.count)
        return known

    def column(self, facts: Facts) -> Value:
        """Apply the operator to whole columns."""
        return apply(self.operator, [arg.column(facts) for arg in self.args], facts.count)

    def cell(self, row: Mapping[str, Any]) -> Any:
        """Apply the operator to one customer's values."""
        return OPERATORS[self.operator].apply(*(arg.cell(row) for arg in self.args))


@dataclass(frozen=True, slots=True)
class ThresholdComparison(Operation):
    """A fact, or a part of an element, compared with a number by `<`, `<=`, `>` or `>=`: the most frequent operation.

    Numbers are compared without the general operation, which takes five times the work.
    """

    fact: Fact | Part
    number: float

    def mask(self, facts: Facts) -> Mask:
        """Return where the comparison holds."""
        value = self.fact.column(facts)
        if not isinstance(value, Numbers):
            return Operation.mask(self, facts)
        return ORDERINGS[self.operator](value.coerced, self.number)


@dataclass(frozen=True, slots=True)
class TimeOperation(Operation):
    """An operator of `time.`."""

    def column(self, facts: Facts) -> Value:
        """Apply the operator to whole columns."""
        args = [arg.column(facts) for arg in self.args]
        if all(isinstance(arg, Constant) for arg in args):
            return apply(self.operator, args, facts.count)
        result = apply_to_times(self.operator, args)
        return apply(self.operator, args, facts.count) if result is None else result


def operation(operator: str, args: tuple[Node, ...], text: str) -> Operation:
    """Return the node of an operator; `text` is the operation as JSON."""
    match args:
        case (Fact() | Part()) as fact, LiteralValue(float(number)) if operator in ORDERINGS:
            return ThresholdComparison(operator, args, text, fact, number)
        case _ if operator.startswith("time."):
            return TimeOperation(operator, args, text)
        case _:
            return Operation(operator, args, text)


def json_row(row: Mapping[str, Any], names: Collection[str] | None) -> dict[str, Any]:
    """Return the named facts of a customer, None for all, as JSON values for the nodes' `cell`."""
    return {name: normal(plain(row[name])) for name in (row if names is None else names) if name in row}
