"""What a rule reads besides facts by their names: parts of an element, computed names, what is missing, event time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from features.times import EVENT_TIME
from segments.names import MISSING, look_up, split_name
from segments.nodes import Remembered, Valued
from segments.operators import to_number, to_string
from segments.vectorized import Cells, blanks, from_cells, is_blank, to_cells, to_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segments.nodes import Node
    from segments.vectorized import Facts, Mask, Value


@dataclass(frozen=True, slots=True)
class Element:
    """An element of an array as the data of a rule, and the time of the event that the rule is evaluated for."""

    data: Any
    event_time: Any


def data_of(row: Any) -> Any:
    """Return the data of a row, which is an element inside `map` and its like."""
    return row.data if isinstance(row, Element) else row


def event_time_of(row: Any) -> Any:
    """Return the time of the event that a row is evaluated for, null where it is unknown."""
    if isinstance(row, Element):
        return row.event_time
    return row.get(EVENT_TIME) if isinstance(row, dict) else None


@dataclass(frozen=True, slots=True)
class WholeData(Valued):
    """`var` without a name: all of the data, or the element."""

    text: str

    def column(self, facts: Facts) -> Value:
        """Return each row's data."""
        return facts.part(())

    def cell(self, row: Any) -> Any:
        """Return the data."""
        return data_of(row)


@dataclass(frozen=True, slots=True)
class Part(Valued):
    """A part of an element; the default, if there is one, is used where the part does not exist."""

    keys: tuple[str, ...]
    default: Node | None

    def column(self, facts: Facts) -> Value:
        """Return the part of each element."""
        if self.default is None:
            return facts.part(self.keys)
        return _or_default(facts.parts(self.keys), self.default, facts)

    def cell(self, row: Any) -> Any:
        """Return the part of one element."""
        part = look_up(data_of(row), self.keys)
        return part if part is not MISSING else self.default.cell(row) if self.default else None


@dataclass(frozen=True, slots=True)
class ComputedName(Valued):
    """`var` with a name that is computed.

    Attributes:
        name: computes the name.
        default: used where there is nothing of this name.
        reads: the facts that all possible names lead to; None if they cannot be known, or are parts of an element.
    """

    name: Node
    default: Node
    reads: frozenset[str] | None
    text: str

    def column(self, facts: Facts) -> Value:
        """Look each row's name up."""
        names = to_cells(self.name.column(facts), facts.count)
        found = [_by_name(data, name) for data, name in zip(facts.rows(self.reads), names, strict=True)]
        return _or_default(found, self.default, facts)

    def cell(self, row: Any) -> Any:
        """Look one row's name up."""
        part = _by_name(data_of(row), self.name.cell(row))
        return self.default.cell(row) if part is MISSING else part


def _or_default(parts: Sequence[Any], default: Node, facts: Facts) -> Value:
    others = to_cells(default.column(facts), facts.count)
    return from_cells([other if part is MISSING else part for part, other in zip(parts, others, strict=True)])


def _by_name(data: Any, name: Any) -> Any:
    return data if is_blank(name) else look_up(data, split_name(to_string(name)))


@dataclass(frozen=True, slots=True)
class Missing(Remembered):
    """`missing` and `missing_some` with names that the rule itself gives.

    Attributes:
        names: the names, as they are returned.
        parts: what each name reads.
        least: how many must be there for none to be missing; None for `missing`, which wants all.
    """

    names: tuple[Any, ...]
    parts: tuple[Node, ...]
    least: Node | None
    text: str

    def find(self, facts: Facts) -> Mask:
        """Return where the result has a member."""
        gone = self._blanks(facts)
        lacks = np.asarray(gone.any(axis=0))
        return lacks if self.least is None else lacks & ~self._suffices(gone, self.least, facts)

    def column(self, facts: Facts) -> Value:
        """Return the missing names of each row."""
        gone = self._blanks(facts)
        if self.least is not None:
            gone = gone & ~self._suffices(gone, self.least, facts)
        return Cells(tuple(list(compress(self.names, row)) for row in gone.T.tolist()))

    def cell(self, row: Any) -> list[Any]:
        """Return the missing names of one row."""
        gone = [name for name, part in zip(self.names, self.parts, strict=True) if is_blank(part.cell(row))]
        if self.least is not None and len(self.names) - len(gone) >= to_number(self.least.cell(row)):
            return []
        return gone

    def _blanks(self, facts: Facts) -> Mask:
        return np.stack([blanks(part.column(facts), facts.count) for part in self.parts])

    def _suffices(self, gone: Mask, least: Node, facts: Facts) -> Mask:
        there = len(self.names) - gone.sum(axis=0)
        return np.asarray(there >= to_numbers(least.column(facts), facts.count), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class MissingComputed(Valued):
    """`missing` and `missing_some` with names that are computed; `reads` as in ComputedName."""

    names: Node
    least: Node | None
    reads: frozenset[str] | None
    text: str

    def column(self, facts: Facts) -> Value:
        """Return the missing names of each row."""
        names = to_cells(self.names.column(facts), facts.count)
        least = to_cells(self.least.column(facts), facts.count) if self.least else [None] * facts.count
        return Cells(tuple(map(self._missing, facts.rows(self.reads), names, least)))

    def cell(self, row: Any) -> list[Any]:
        """Return the missing names of one row."""
        return self._missing(data_of(row), self.names.cell(row), self.least.cell(row) if self.least else None)

    def _missing(self, data: Any, names: Any, least: Any) -> list[Any]:
        names = _wanted(names, flat=self.least is not None)
        gone = [name for name in names if (part := _by_name(data, name)) is MISSING or is_blank(part)]
        return [] if self.least is not None and len(names) - len(gone) >= to_number(least) else gone


def _wanted(names: Any, *, flat: bool) -> list[Any]:
    """Return the names that `missing` is given: one array, several arguments, or (`missing_some`) what is no array."""
    if not flat and names and isinstance(names[0], list):
        return list(names[0])
    return names if isinstance(names, list) else [names]


@dataclass(frozen=True, slots=True)
class EventTime(Valued):
    """The time of the event that a rule is evaluated for, which the operators of `time.` take."""

    def column(self, facts: Facts) -> Value:
        """Return the time of each row's event."""
        return facts.event_times()

    def cell(self, row: Any) -> Any:
        """Return the event's time, null where it is unknown."""
        return event_time_of(row)
