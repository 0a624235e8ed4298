"""Rules that hold for a customer because a fact is null. Pure.

Null is 0 in `<`, unequal to every text and not in any array, so a rule may admit the customers of whom nothing is
known, see docs/definitions.md. Whether that is meant, only the author of the rule knows: these are warnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import column, find_kind, plain
from features.times import EVENT_TIME
from segments.names import MISSING, find_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from features.table import Column, FeatureTable, Kind
    from segments.definition import Segment
    from segments.jsonlogic import Rule
    from segments.vectorized import Mask

OTHER_VALUES = 16
"""With how many of the values that customers have a fact is tried, to see whether it decides about one of them."""
_EXTREMES: Mapping[Kind, Sequence[Any]] = {
    "number": (-np.inf, np.inf),
    "boolean": (False, True),
    "other": (False, True, "", "0001-01-01", "9999-12-31", "\uffff"),
}


def find_null_holds(segment: Segment, table: FeatureTable | None = None) -> list[str]:
    """Return a sentence for each fact without which a rule of a segment holds.

    Args:
        segment: its rule and exit rule are looked at.
        table: facts of real customers. Each fact alone is taken to be null, and the customers are counted for whom the
            rule then holds but would not with every other value: for those the null decides. Without a table, or
            without rows, the rule is looked at for a customer of whom nothing is known.
    """
    rules = (("$.rule", segment.rule), ("$.exit_rule", segment.exit_rule))
    return [
        f'segment "{segment.key}": {place} {problem}'
        for place, rule in rules
        if rule is not None
        for problem in (_holds_without_all(rule) if table is None or not len(table) else _holds_without(rule, table))
    ]


def _holds_without_all(rule: Rule) -> Iterator[str]:
    names = sorted({names[0] for names in rule.reads} - {EVENT_TIME})
    if names and rule.holds(dict.fromkeys(rule.facts)):
        yield "holds for a customer without " + " and ".join(f'"{name}"' for name in names)


def _holds_without(rule: Rule, table: FeatureTable) -> Iterator[str]:
    for names in sorted(rule.reads - {(EVENT_TIME,)}):
        values = _values(table, names)
        admitted = 0 if values is None else int(_admitted_by_null(rule, table, names[0], values).sum())
        if admitted:
            yield f'would hold without "{names[0]}" for {admitted:,} of {len(table):,} customers'


def _values(table: FeatureTable, names: tuple[str, ...]) -> Column | None:
    """Return the values behind the names of a `var`, which may be parts of objects; None without such a column."""
    whole, first = names[0], names[-1]
    if whole in table.columns or first not in table.columns:
        return table.columns.get(whole)
    keys = whole.removeprefix(f"{first}.").split(".")
    parts = [find_part(plain(cell), keys) for cell in table.columns[first]]
    return column(None if part is MISSING else part for part in parts)


def _admitted_by_null(rule: Rule, table: FeatureTable, name: str, values: Column) -> Mask:
    """Return the customers for whom the rule holds where the fact is null, and does not for some value of it."""
    always = np.array([_evaluate_with(rule, table, name, value) for value in _some_values(values)])
    return _evaluate_with(rule, table, name, None) & ~np.asarray(always.all(axis=0))


def _evaluate_with(rule: Rule, table: FeatureTable, name: str, value: Any) -> Mask:
    # A column of the whole name comes before the part of an object.
    return rule.evaluate(table.with_columns({name: column([value] * len(table))}))


def _some_values(values: Column) -> Sequence[Any]:
    """Return some of a column's values other than null, and values beyond all of them."""
    by_text = {repr(cell): cell for cell in map(plain, values) if cell is not None}
    known = [by_text[text] for text in sorted(by_text)]
    return [*known[:: len(known) // OTHER_VALUES + 1], *_EXTREMES[find_kind(values)]]
