"""The times at which rules can change their result although no fact changes. Pure.

Three kinds of facts move with time: the age of a time (`time.days_since`, `time.within_last`), a column that counts
days, and facts that step at moments which only their source knows, such as windows of conversations. A rule compares
the first two with numbers, so the moments at which its comparisons change are known: those at which the age or the
count reaches the number, or passes it. Of a rule that uses such a fact in another way, only that it depends on time is
known.

A count that is a whole number grows once a day; one with a fraction grows all the time.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, fields
from itertools import chain, pairwise, starmap
from typing import TYPE_CHECKING

import numpy as np

from features.times import EVENT_TIME
from segments.expression import Fact, LiteralValue, Operation, TimeOperation
from segments.iteration import Source
from segments.lookups import ComputedName, EventTime, MissingComputed, WholeData
from segments.moments import DAY
from segments.operators import parse_float, to_number
from segments.time_columns import NO_MOMENT, read_moments
from segments.vectorized import Numbers, to_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from segments.jsonlogic import Rule
    from segments.nodes import Node
    from segments.vectorized import Facts, Floats, Moments, Value

NEVER = np.iinfo(np.int64).max
"""The moment of a change that time alone does not bring."""

_DAY = int(DAY)
_ROUNDING = 1_000
"""Microseconds by which the sum of a fraction of a day and an interval may be rounded."""
_LONGEST = 2.0**62
# Which change of a comparison each operator has, by the side on which what moves stands.
_REACHED = {("<", 0), (">=", 0), ("<=", 1), (">", 1)}
_EQUALITIES = frozenset({"==", "!=", "===", "!==", "in"})
_COMPARISONS = frozenset({"<", "<=", ">", ">="}) | _EQUALITIES


@dataclass(frozen=True, slots=True)
class MovingFacts:
    """The facts that move with time, and how.

    Attributes:
        counts: whether a fact of this name counts days: it grows by one a day.
        flowing: facts that count days and always grow continuously.
        bands: facts that change where a count of days passes a cut: the count, and the cuts.
        steps: facts that change at moments which their source knows; what to call that source.
        unknown: facts that may change at any time.
    """

    counts: Callable[[str], bool] = lambda _: False
    flowing: frozenset[str] = frozenset()
    bands: Mapping[str, tuple[str, Sequence[float]]] = field(default_factory=dict)
    steps: Mapping[str, str | int] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()

    def moves(self, name: str) -> bool:
        """Return whether a fact's value moves all the time, or in an unknown way."""
        return name == EVENT_TIME or name in self.unknown or self.is_count(name)

    def is_count(self, name: str) -> bool:
        """Return whether a fact counts days."""
        return name in self.flowing or (name not in self.bands and name not in self.steps and self.counts(name))


@dataclass(frozen=True, slots=True)
class Breakpoints:
    """Where the results of rules change by time alone.

    Attributes:
        ages: what gives a time, and the ages, ascending, from which on a comparison differs; microseconds.
        counts: facts that count days, and the counts, ascending, from which on a comparison differs: of whole counts,
            and of those with a fraction.
        steps: the sources of facts that step.
        is_complete: false if a rule depends on time in another way.
    """

    ages: tuple[tuple[Node, Moments], ...] = ()
    counts: tuple[tuple[str, Floats, Floats], ...] = ()
    steps: frozenset[str | int] = frozenset()
    is_complete: bool = True
    flowing: frozenset[str] = frozenset()

    def find_next(self, facts: Facts, now: Moments, day_begins: int = 0) -> Moments:
        """Return when each row's comparisons change next, `NEVER` where time does not change them.

        Args:
            facts: the rows.
            now: the moment of each row's facts, or one for all, in microseconds since 1970.
            day_begins: when whole counts grow, in microseconds after midnight UTC.

        Returns:
            Moments of shape [rows] in microseconds, later than `now`. What steps is not in them.
        """
        found = np.full(facts.count, NEVER, dtype=np.int64)
        for node, ages in self.ages:
            np.minimum(found, _next_age(read_moments(node.column(facts)), ages, now), out=found)
        for name, whole, broken in self.counts:
            value = facts.fact(name)
            if value is not None:
                count = _counts(value, facts.count)
                if name in self.flowing:
                    np.minimum(found, _next_flowing(count, broken, now), out=found)
                else:
                    np.minimum(found, _next_count(count, whole, broken, now, day_begins), out=found)
        return found


def find_breakpoints(rules: Iterable[Rule], moving: MovingFacts) -> Breakpoints:
    """Return where the results of rules change by time alone."""
    finder = _Finder(moving)
    # A list: each rule is read, also after one that is not complete.
    complete = all([finder.read(rule.program) for rule in rules])  # noqa: C419
    ages = tuple((node, _ascending(offsets)) for node, offsets in finder.ages.values())
    counts = tuple((name, _wholes(cuts), _fractions(cuts)) for name, cuts in finder.counts.items())
    return Breakpoints(ages, counts, frozenset(finder.steps), complete, moving.flowing)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A number that what moves reaches or passes."""

    number: float
    passed: bool


@dataclass(slots=True)
class _Finder:
    """Reads rules. A node that is `read` as true changes at the breakpoints found, and at no other time."""

    moving: MovingFacts
    ages: dict[str, tuple[Node, set[int]]] = field(default_factory=dict)
    counts: dict[str, set[_Cut]] = field(default_factory=lambda: defaultdict(set))
    steps: set[str | int] = field(default_factory=set)

    def read(self, node: Node) -> bool:
        match node:
            case Fact():
                return self._fact(node)
            case EventTime() | WholeData():
                return False
            case ComputedName(reads=reads) | MissingComputed(reads=reads):
                known = reads is not None and not any(map(self._is_moving, reads))
                return self._all(known, *_children(node))
            case TimeOperation():
                return self._time(node)
            case Operation() if self._comparison(node):
                return True
            case _:
                return self._all(True, *_children(node))

    def _all(self, known: bool, *nodes: Node) -> bool:
        return all([known, *map(self.read, nodes)])

    def _is_moving(self, name: str) -> bool:
        return self.moving.moves(name) or name in self.moving.bands or name in self.moving.steps

    def _fact(self, fact: Fact) -> bool:
        for name in fact.names:
            if name in self.moving.steps:
                self.steps.add(self.moving.steps[name])
            if name in self.moving.bands:
                count, cuts = self.moving.bands[name]
                self.counts[count] |= {_Cut(cut, passed=True) for cut in cuts}
        return self._all(not any(map(self.moving.moves, fact.names)), fact.default)

    def _time(self, node: TimeOperation) -> bool:
        if node.operator == "time.within_last":
            moment, days = node.args[0], node.args[1]
            if self._is_moment(moment) and isinstance(days, LiteralValue):
                self._add_ages(moment, [_Cut(0.0, passed=False), _Cut(parse_float(days.value), passed=True)])
                return True
        elif node.operator in ("time.before", "time.after"):
            earlier, later = node.args if node.operator == "time.before" else reversed(node.args)
            for moment, now in ((earlier, later), (later, earlier)):
                if _is_now(now) and self._is_moment(moment):
                    self._add_ages(moment, [_Cut(0.0, passed=moment is earlier)])
                    return True
        return self._all(True, *node.args)

    def _comparison(self, node: Operation) -> bool:
        """Return whether a node compares something that moves with literals; its cuts are added then."""
        if node.operator == "between":
            value, low, high = node.args
            pairs = [("<=", low, value), ("<=", value, high)]
        elif node.operator in _COMPARISONS:
            pairs = [(node.operator, left, right) for left, right in pairwise(node.args)]
        else:
            return False
        found = list(chain.from_iterable(starmap(self._pair, pairs)))
        if len(found) < len(pairs):
            return False
        for moving, cuts in found:
            if isinstance(moving, Fact):
                self.counts[moving.name] |= set(cuts)
            elif isinstance(moving, TimeOperation):
                self._add_ages(moving.args[0], cuts)
        return True

    def _pair(self, operator: str, left: Node, right: Node) -> Iterator[tuple[Node, Sequence[_Cut]]]:
        """Yield what moves and its cuts, if a literal stands on the other side."""
        for side, (moving, literal) in enumerate(((left, right), (right, left))):
            if isinstance(literal, LiteralValue) and self._is_counted(moving):
                numbers = literal.value if operator == "in" and isinstance(literal.value, list) else [literal.value]
                passes = (True, False) if operator in _EQUALITIES else ((operator, side) not in _REACHED,)
                yield moving, [_Cut(to_number(each), passed) for each in numbers for passed in passes]

    def _is_counted(self, node: Node) -> bool:
        if isinstance(node, TimeOperation):
            return node.operator == "time.days_since" and self._is_moment(node.args[0])
        return isinstance(node, Fact) and not node.keys and self.moving.is_count(node.name) and _has_no_default(node)

    def _is_moment(self, node: Node) -> bool:
        """Return whether a node gives a time that does not change."""
        if isinstance(node, Fact):
            return not any(map(self._is_moving, node.names)) and _has_no_default(node)
        return isinstance(node, LiteralValue)

    def _add_ages(self, moment: Node, cuts: Iterable[_Cut]) -> None:
        offsets = self.ages.setdefault(repr(moment), (moment, set()))[1]
        for cut in cuts:
            if abs(age := cut.number * DAY) < _LONGEST:  # false for NaN, too
                offsets.add(math.floor(age) + 1 if cut.passed else math.ceil(age))


def _has_no_default(fact: Fact) -> bool:
    return isinstance(fact.default, LiteralValue)


def _is_now(node: Node) -> bool:
    return isinstance(node, Fact) and node.names == (EVENT_TIME,)


def _children(node: Node) -> Iterator[Node]:
    """Yield the nodes that a node has, those of the arrays that it goes through included."""
    for each in fields(node):  # type: ignore[arg-type] # every node is a dataclass
        value = getattr(node, each.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Source):
                yield part.node
            elif hasattr(part, "cell"):
                yield part


def _ascending(offsets: set[int]) -> Moments:
    return np.array(sorted(offsets), dtype=np.int64)


def _wholes(cuts: set[_Cut]) -> Floats:
    """Return the whole numbers from which on a comparison with a whole count differs."""
    finite = [cut for cut in cuts if abs(cut.number) < _LONGEST]
    firsts = {math.floor(cut.number) + 1 if cut.passed else math.ceil(cut.number) for cut in finite}
    return np.array(sorted(firsts), dtype=np.float64)


def _fractions(cuts: set[_Cut]) -> Floats:
    finite = [cut for cut in cuts if abs(cut.number) < _LONGEST]
    firsts = {math.nextafter(cut.number, math.inf) if cut.passed else cut.number for cut in finite}
    return np.array(sorted(firsts), dtype=np.float64)


def _counts(value: Value, count: int) -> Floats:
    """Return counts, NaN for what is no number; unlike in a comparison, null is not 0: it does not grow."""
    if isinstance(value, Numbers):
        return value.data
    return np.array([math.nan if cell is None else to_number(cell) for cell in to_cells(value, count)])


def _next_age(moments: Moments, ages: Moments, now: Moments) -> Moments:
    # The difference to what is no time overflows, and is not used.
    with np.errstate(over="ignore"):
        places = np.searchsorted(ages, now - moments, side="right")
        later = moments + np.append(ages, 0)[places]
    return np.where((moments != NO_MOMENT) & (places < len(ages)), later, NEVER)


def _next_count(count: Floats, whole: Floats, broken: Floats, now: Moments, day_begins: int) -> Moments:
    """Return when counts change a comparison; a whole one grows when the day begins."""
    missing = _until(count, whole)
    tomorrow = ((now - day_begins) // _DAY + 1) * _DAY + day_begins
    steps = np.where(missing < _LONGEST / DAY, missing, 0)
    stepping = np.where(missing < _LONGEST / DAY, tomorrow + (steps.astype(np.int64) - 1) * _DAY, NEVER)
    is_broken = np.floor(count) < count
    return np.where(is_broken, _next_flowing(count, broken, now), stepping) if is_broken.any() else stepping


def _next_flowing(count: Floats, cuts: Floats, now: Moments) -> Moments:
    missing = _until(count, cuts) * DAY
    known = missing < _LONGEST
    later = np.floor(np.where(known, missing, 0)).astype(np.int64) - _ROUNDING
    return np.where(known, now + np.maximum(later, 0), NEVER)


def _until(count: Floats, cuts: Floats) -> NDArray[np.float64]:
    """Return how much each count lacks to the next cut; infinity where there is none."""
    with np.errstate(invalid="ignore"):
        missing = np.append(cuts, np.inf)[np.searchsorted(cuts, count, side="right")] - count
    return np.where(np.isnan(missing), np.inf, missing)
