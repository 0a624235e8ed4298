"""Which features are text, and which of their values are categories that a model can learn from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from features.table import plain
from models.categories import normalise
from models.inputs import readable_numbers
from training.errors import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.table import Column, FeatureTable

ROWS_AT_LEAST = 20
"""Of a value; fewer say nothing of it, and it is one of the others."""
CATEGORIES_AT_MOST = 64
KNOWN_SHARE = 0.5


def learn_categories(table: FeatureTable, mapping: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Return the categories of each feature that is text, in alphabetical order, by the name of the feature.

    Raises:
        TrainingDataError: hardly two rows share a value: the column names customers, or is free text.
    """
    found: dict[str, Sequence[str]] = {}
    for name, column in mapping.items():
        cells = table.columns.get(column)
        if cells is not None and is_text(cells):
            found[name] = _choose(column, cells)
    return found


def is_text(cells: Column) -> bool:
    """Return whether a column holds text that is no number, and nothing else that is none."""
    unreadable = readable_numbers(cells)[1]
    return unreadable is not None and all(isinstance(plain(cell), str) for cell in cells[unreadable])


def _choose(column: str, cells: Column) -> Sequence[str]:
    counts = Counter(text for cell in cells if (text := normalise(cell)) is not None)
    # Of values that are equally frequent the first in the alphabet.
    frequent = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:CATEGORIES_AT_MOST]
    known = sorted(text for text, count in frequent if count >= ROWS_AT_LEAST)
    if sum(counts[text] for text in known) < KNOWN_SHARE * counts.total():
        raise TrainingDataError(
            f"column {column!r} is text with {len(counts):,} different values in {counts.total():,} rows, few of them "
            f"in {ROWS_AT_LEAST} rows or more: it names customers or is free text; take it out of ML_FEATURE_MAPPING, "
            "or group its values in the query"
        )
    return known
