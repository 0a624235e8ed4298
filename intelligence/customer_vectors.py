"""Customers as vectors: what they do by the warehouse, and what they talk about by their messages. Pure.

A vector has at most `BEHAVIOUR` columns of the warehouse and `CONCEPTS` of messages. Each is standardized: a skewed one
by its logarithm first, extreme values cut at `CUT` standard deviations, a missing value being the mean. The two groups
have the same weight, however many columns they have. So every component has a name, and reasons can be given. A stored
vector also has components of purchases, of the same weight, see recommendations/customer_purchases.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

BEHAVIOUR, CONCEPTS = 32, 16
DIMENSIONS = BEHAVIOUR + CONCEPTS
PURCHASE_DIMENSIONS = 16
"""Follow in the stored vectors; they have no names, so they make neither clusters nor reasons."""
CUT = 3.0
Level = Literal["high", "low"]
_LARGEST = 1e100
"""Beyond it the variance of a column would overflow."""
SKEWED = 2.0
"""From this skewness on the logarithm is taken, where no value is negative."""


@dataclass(frozen=True, slots=True)
class CustomerVectors:
    """Customers and their vectors.

    Attributes:
        customer_ids: n customers.
        names: of the components that are in use: columns, and concepts as `talks_about_delivery`.
        behaviours: how many of the names are columns of the warehouse.
        scores: the standardized values, float32 [n, names].
        weights: of each component in a distance, [names].
    """

    customer_ids: Sequence[str]
    names: Sequence[str]
    behaviours: int
    scores: NDArray[np.float32]
    weights: NDArray[np.float32]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Weighted scores, float32 [n, names]."""
        weighted: NDArray[np.float32] = self.scores * self.weights
        return weighted


def build_vectors(
    customer_ids: Sequence[str],
    behaviour: Mapping[str, NDArray[np.float64]],
    concepts: Mapping[str, NDArray[np.float64]],
) -> CustomerVectors:
    """Return the vectors of customers.

    Args:
        customer_ids: n customers.
        behaviour: numeric columns of the warehouse, [n] each, NaN for null; the first BEHAVIOUR that vary are used.
        concepts: numbers of messages about each concept and the like, [n] each; the first CONCEPTS that vary are used.
    """
    groups = [_standardize(behaviour, BEHAVIOUR), _standardize(concepts, CONCEPTS)]
    names = [name for group in groups for name in group]
    weights = [1 / np.sqrt(len(group)) for group in groups for _ in group]
    columns = [scores for group in groups for scores in group.values()]
    scores = np.column_stack(columns) if columns else np.zeros((len(customer_ids), 0))
    return CustomerVectors(
        customer_ids, names, len(groups[0]), scores.astype(np.float32), np.array(weights, dtype=np.float32)
    )


def shared_features(
    one: NDArray[np.float32], other: NDArray[np.float32], names: Sequence[str], most: int = 3
) -> list[tuple[str, Level]]:
    """Return in what two customers are alike and differ from the others, strongest first.

    Args:
        one: the weighted scores of a customer, [names].
        other: those of another.
        names: of the components.
        most: how many to return.

    Returns:
        Name, and `high` or `low`.
    """
    strength = np.where(one * other > 0, np.minimum(np.abs(one), np.abs(other)), 0)
    order = np.argsort(-strength, kind="stable")[:most]
    return [(names[at], "high" if one[at] > 0 else "low") for at in order if strength[at] > 0]


def describe_feature(name: str, level: Level) -> str:
    """Return in words that there is much of a component, or little."""
    high, low = ("many", "few") if name.startswith("messages") else ("high", "low")
    return f"{high if level == 'high' else low} {name.replace('_', ' ')}"


def _standardize(columns: Mapping[str, NDArray[np.float64]], most: int) -> dict[str, NDArray[np.float64]]:
    found: dict[str, NDArray[np.float64]] = {}
    for name, values in columns.items():
        scores = _scores(values)
        if scores is not None and len(found) < most:
            found[name] = scores
    return found


def _scores(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return standardized values, None where they do not vary."""
    values = np.clip(np.where(np.isfinite(values), values, np.nan), -_LARGEST, _LARGEST)
    known = values[~np.isnan(values)]
    if not len(known) or known.min() == known.max():
        return None
    centred = known - known.mean()
    if known.min() >= 0 and np.mean((centred / known.std()) ** 3) > SKEWED:
        values, known = np.log1p(values), np.log1p(known)
    scores: NDArray[np.float64] = np.nan_to_num(np.clip((values - known.mean()) / known.std(), -CUT, CUT))
    return scores
