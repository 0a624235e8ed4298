"""The operators that evaluate a rule for each element of an array: map, filter, all, none, some, reduce.

The elements of all customers of a batch are the rows of one table, over which the inner rule is computed as columns.
Inside, `var` reads the element and no fact. What is no array has no elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, chain, compress, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from features.table import FeatureTable
from segments.expression import Fact, Operation
from segments.lookups import Element, Part, event_time_of
from segments.nodes import Remembered, Valued
from segments.operators import truthy
from segments.vectorized import (
    BoolColumn,
    Cells,
    Constant,
    Elements,
    Facts,
    Numbers,
    apply,
    from_cells,
    from_numbers,
    take,
    to_cells,
    truths,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from segments.nodes import Node
    from segments.vectorized import Mask, Value


@dataclass(frozen=True, slots=True)
class Source:
    """What computes the arrays; equal sources have equal texts, and a batch finds the elements of most once."""

    node: Node
    text: str

    def elements(self, facts: Facts) -> Elements:
        """Return the elements of every row."""
        known = facts.elements.get(self.text)
        if known is None:
            arrays = list(map(_array, to_cells(self.node.column(facts), facts.count)))
            elements = list(chain.from_iterable(arrays))
            known = Elements(facts, elements, list(map(len, arrays)))
            # An array or object that a rule computes equals only itself: two equal sources have one each.
            if isinstance(self.node, Fact) or not any(isinstance(each, list | dict) for each in elements):
                facts.elements[self.text] = known
        return known

    def array(self, row: Any) -> Sequence[Any]:
        """Return the array of one row."""
        return _array(self.node.cell(row))

    def rows(self, row: Any) -> Iterator[Element]:
        """Yield the elements of one row, as rows of the inner rule."""
        event_time = event_time_of(row)
        return (Element(each, event_time) for each in self.array(row))


def _array(cell: Any) -> Sequence[Any]:
    return cell if isinstance(cell, list) else ()


@dataclass(frozen=True, slots=True)
class Mapped(Valued):
    """`map`: the inner rule's value for each element."""

    source: Source
    inner: Node
    text: str

    def mask(self, facts: Facts) -> Mask:
        """Return which rows have elements."""
        return np.asarray(self.source.elements(facts).lengths > 0)

    def column(self, facts: Facts) -> Value:
        """Return an array for each row."""
        elements = self.source.elements(facts)
        return _split(to_cells(self.inner.column(elements), elements.count), elements.lengths.tolist())

    def cell(self, row: Any) -> list[Any]:
        """Return one row's array."""
        return [self.inner.cell(each) for each in self.source.rows(row)]


@dataclass(frozen=True, slots=True)
class Filtered(Remembered):
    """`filter`: the elements for which the inner rule is true."""

    source: Source
    inner: Node
    text: str

    def find(self, facts: Facts) -> Mask:
        """Return which rows keep an element."""
        return np.asarray(_count(self.source.elements(facts), self.inner) > 0)

    def column(self, facts: Facts) -> Value:
        """Return an array for each row."""
        elements = self.source.elements(facts)
        kept = self.inner.mask(elements)
        lengths = np.bincount(elements.owners[kept], minlength=len(elements.lengths))
        return _split(list(compress(elements.data, kept.tolist())), lengths.tolist())

    def cell(self, row: Any) -> list[Any]:
        """Return one row's array."""
        return [each.data for each in self.source.rows(row) if truthy(self.inner.cell(each))]


@dataclass(frozen=True, slots=True)
class Quantified(Remembered):
    """`all`, `none` or `some`; `all` of no elements is false, as in JSONLogic."""

    word: Literal["all", "none", "some"]
    source: Source
    inner: Node
    text: str

    def find(self, facts: Facts) -> Mask:
        """Return where it is true."""
        elements = self.source.elements(facts)
        found = _count(elements, self.inner)
        if self.word == "all":
            return np.asarray((found == elements.lengths) & (found > 0))
        return np.asarray(found > 0) if self.word == "some" else np.asarray(found == 0)

    def column(self, facts: Facts) -> Value:
        """Return the mask as a column."""
        return BoolColumn(self.mask(facts))

    def cell(self, row: Any) -> bool:
        """Return whether it is true for one row."""
        answers = [truthy(self.inner.cell(each)) for each in self.source.rows(row)]
        return any(answers) if self.word == "some" else not any(answers) if self.word == "none" else _all(answers)


def _all(answers: Sequence[bool]) -> bool:
    return bool(answers) and all(answers)


@dataclass(frozen=True, slots=True)
class Reduced(Valued):
    """`reduce`: the inner rule reads `current`, an element, and `accumulator`, its value for the element before."""

    source: Source
    inner: Node
    initial: Node
    text: str

    def column(self, facts: Facts) -> Value:
        """Return each row's last value."""
        known = facts.values.get(self.text)
        if known is None:
            elements, initial = self.source.elements(facts), self.initial.column(facts)
            known = self._sum(elements, initial) or self._step(elements, to_cells(initial, facts.count))
            if not isinstance(known, Cells):  # as above
                facts.values[self.text] = known
        return known

    def _sum(self, elements: Elements, initial: Value) -> Value | None:
        """Add the elements' numbers up, in their order; None where the inner rule does something else."""
        match self.inner, initial:
            case Operation("+", (Part(("accumulator",), None), Part(("current", *keys), None))), Constant(float(start)):
                pass
            case Operation("+", (Part(("current", *keys), None), Part(("accumulator",), None))), Constant(float(start)):
                pass
            case _:
                return None
        added = elements.part(tuple(keys)) if len(keys) <= 1 else None
        if not isinstance(added, Numbers):
            return None
        # A sum that begins with -0 is 0, as that of JavaScript, which begins with 0.
        sums = np.full(len(elements.lengths), start + 0.0)
        np.add.at(sums, elements.owners, added.data)
        return from_numbers(np.where(elements.lengths > 0, sums, start))

    def _step(self, elements: Elements, initial: Sequence[Any]) -> Value:
        """Evaluate the inner rule for all first elements together, then for all second ones, and so on."""
        values, begins = list(initial), np.cumsum(elements.lengths) - elements.lengths
        for step in range(int(elements.lengths.max(initial=0))):
            rows = np.flatnonzero(elements.lengths > step)
            pairs = Pairs(elements, begins[rows] + step, from_cells([values[row] for row in rows.tolist()]))
            for row, value in zip(rows.tolist(), to_cells(self.inner.column(pairs), pairs.count), strict=True):
                values[row] = value
        return from_cells(values)

    def cell(self, row: Any) -> Any:
        """Return one row's last value."""
        value, event_time = self.initial.cell(row), event_time_of(row)
        for each in self.source.array(row):
            value = self.inner.cell(Element(_pair(each, value), event_time))
        return value


@dataclass(frozen=True, slots=True)
class Containment(Operation):
    """`in` with a literal that is no array: whether an array has it, found in the elements of all rows together."""

    needle: Any
    haystack: Source

    def column(self, facts: Facts) -> Value:
        """Return whether each row's array has the literal; of texts the operation is computed as any other."""
        elements = self._elements(facts)
        if elements is None:
            return Operation.column(self, facts)
        rows, values = elements
        equal = apply("===", [values, Constant(self.needle)], rows.count)
        return BoolColumn(np.asarray(_count_rows(rows, truths(equal, rows.count)) > 0))

    def _elements(self, facts: Facts) -> tuple[Elements, Value] | None:
        """Return the elements of every row and their values; None where a row has a text."""
        node = self.haystack.node
        if isinstance(node, Mapped):
            elements = node.source.elements(facts)
            return elements, node.inner.column(elements)
        haystack = node.column(facts)
        if not isinstance(haystack, Cells) or any(type(cell) is str for cell in haystack.data):
            return None
        elements = self.haystack.elements(facts)
        return elements, elements.part(())


class Pairs(Facts):
    """One element of each row, and the value for the element before it, as the inner rule of a `reduce` reads them."""

    def __init__(self, elements: Elements, places: NDArray[np.intp], values: Value) -> None:
        super().__init__(FeatureTable((), {}))
        self.count = len(places)
        self._elements = elements
        self._places = places
        self._values = values

    def rows(self, _: frozenset[str] | None) -> Sequence[Any]:
        """Return an object for each row."""
        elements = [self._elements.data[place] for place in self._places.tolist()]
        return list(map(_pair, elements, to_cells(self._values, self.count)))

    def part(self, keys: tuple[str, ...]) -> Value:
        """Return the part of each row that the keys lead to."""
        match keys:
            case ("accumulator",):
                return self._values
            case ("current", *inner) if len(inner) <= 1:
                return take(self._elements.part(tuple(inner)), self._places)
            case _:
                # A longer name may be that of a member as a whole in an element, and is not here.
                return super().part(keys)

    def event_times(self) -> Value:
        """Return the time of the event of each row."""
        return take(self._elements.event_times(), self._places)


def _pair(current: Any, accumulator: Any) -> dict[str, Any]:
    return {"current": current, "accumulator": accumulator}


def _count(elements: Elements, inner: Node) -> Any:
    """Return for how many elements of each row the inner rule is true."""
    return _count_rows(elements, inner.mask(elements))


def _count_rows(elements: Elements, where: Mask) -> Any:
    return np.bincount(elements.owners, weights=where, minlength=len(elements.lengths))


def _split(cells: Sequence[Any], lengths: Sequence[int]) -> Cells:
    ends = accumulate(lengths, initial=0)
    return Cells(tuple(list(cells[begin:end]) for begin, end in pairwise(ends)))
