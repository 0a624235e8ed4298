"""The operators that evaluate a rule for each element of an array: map, filter, all, none, some, reduce.

The elements of all customers of a batch are the rows of one table, over which the inner rule is computed as columns.
Inside, `var` reads the element and no fact. What is no array has no elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, chain, compress, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from segments.lookups import Element, event_time_of
from segments.nodes import Valued
from segments.operators import truthy
from segments.vectorized import BoolColumn, Cells, Elements, from_cells, to_cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from segments.nodes import Node
    from segments.vectorized import Facts, Mask, Value


@dataclass(frozen=True, slots=True)
class Source:
    """What computes the arrays; equal sources have equal texts, and a batch finds their elements once."""

    node: Node
    text: str

    def elements(self, facts: Facts) -> Elements:
        """Return the elements of every row."""
        known = facts.elements.get(self.text)
        if known is None:
            arrays = self.arrays(facts)
            elements = list(chain.from_iterable(arrays))
            known = facts.elements[self.text] = Elements(facts, elements, list(map(len, arrays)))
        return known

    def arrays(self, facts: Facts) -> Sequence[Sequence[Any]]:
        """Return the array of every row."""
        return list(map(_array, to_cells(self.node.column(facts), facts.count)))

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
class Filtered:
    """`filter`: the elements for which the inner rule is true."""

    source: Source
    inner: Node
    text: str

    def mask(self, facts: Facts) -> Mask:
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
class Quantified:
    """`all`, `none` or `some`; `all` of no elements is false, as in JSONLogic."""

    word: Literal["all", "none", "some"]
    source: Source
    inner: Node
    text: str

    def mask(self, facts: Facts) -> Mask:
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
        """Return each row's last value; all rows take a step together."""
        values = list(to_cells(self.initial.column(facts), facts.count))
        arrays = self.source.arrays(facts)
        for step in range(max(map(len, arrays), default=0)):
            lengths = [int(len(array) > step) for array in arrays]
            rows = list(compress(range(facts.count), lengths))
            elements = Elements(facts, [_pair(arrays[row][step], values[row]) for row in rows], lengths)
            for row, value in zip(rows, to_cells(self.inner.column(elements), elements.count), strict=True):
                values[row] = value
        return from_cells(values)

    def cell(self, row: Any) -> Any:
        """Return one row's last value."""
        value, event_time = self.initial.cell(row), event_time_of(row)
        for each in self.source.array(row):
            value = self.inner.cell(Element(_pair(each, value), event_time))
        return value


def _pair(current: Any, accumulator: Any) -> dict[str, Any]:
    return {"current": current, "accumulator": accumulator}


def _count(elements: Elements, inner: Node) -> Any:
    """Return for how many elements of each row the inner rule is true."""
    return np.bincount(elements.owners[inner.mask(elements)], minlength=len(elements.lengths))


def _split(cells: Sequence[Any], lengths: Sequence[int]) -> Cells:
    ends = accumulate(lengths, initial=0)
    return Cells(tuple(list(cells[begin:end]) for begin, end in pairwise(ends)))
