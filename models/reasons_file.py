"""reasons.json of a version: what reasons for its scores are computed and worded with. Written by training/reasons.py.

It holds numbers of features alone: no customer ids, no dates, and each number is one that at least a twentieth of the
training rows stands for.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from models.errors import ModelLoadError
from models.shapley import Background

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REASONS_FILE = "reasons.json"
GROUPS_AT_MOST = 10
EVALUATIONS_AT_MOST = 2**16
"""Coalitions times background rows."""
_Rate = float | None


class FeatureGroup(msgspec.Struct, frozen=True):
    """Features that are explained together: the first one names the group."""

    features: Annotated[list[str], Meta(min_length=1)]


class OutcomeRates(msgspec.Struct, frozen=True):
    """The mean outcome of training rows by the value of a feature.

    Attributes:
        edges: upper edges of the bins but the last, ascending; a value on an edge is below it.
        rates: for each bin, the one above all edges and that of missing values, the rate of each output; None where
            few rows were observed.
    """

    edges: list[float]
    rates: list[list[_Rate]]


class StoredReasons(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file.

    Attributes:
        groups: every feature of the model is in one.
        rows: the background: for each row the features in the model's order, null where missing.
        weights: of the rows, of sum 1.
        additive: whether each score is the logistic function of a sum of one term per group.
        outcomes: by feature.
        overall: the mean outcome of all training rows, for each output.
    """

    format: Literal[1] = 1
    groups: Annotated[list[FeatureGroup], Meta(min_length=1, max_length=GROUPS_AT_MOST)]
    rows: Annotated[list[list[float | None]], Meta(min_length=1)]
    weights: list[Annotated[float, Meta(gt=0)]]
    additive: bool = False
    outcomes: dict[str, OutcomeRates] = {}
    overall: Annotated[list[_Rate], Meta(min_length=1)]

    def build_background(self, features: Sequence[str]) -> Background:
        """Return the background for a model of these features."""
        place = {name: position for position, name in enumerate(features)}
        groups = tuple(tuple(place[name] for name in group.features) for group in self.groups)
        return Background(np.array(self.rows, dtype=np.float32), np.array(self.weights), groups)

    def find_rates(self, feature: str, value: float | None) -> Sequence[_Rate]:
        """Return the rate of each output among rows with such a value of a feature, a float32; empty without any."""
        known = self.outcomes.get(feature)
        if known is None:
            return ()
        if value is None:
            return known.rates[-1]
        return known.rates[bisect_left(known.edges, value)]


def parse_reasons(content: bytes, manifest: Mapping[str, Any]) -> StoredReasons:
    """Return the content of the file.

    Raises:
        ModelLoadError: it cannot be used with the model.
    """
    try:
        stored = msgspec.json.decode(content, type=StoredReasons)
        _find_contradiction(stored, manifest["features"])
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(
            f"{manifest['version']}: {REASONS_FILE} cannot be used ({error}); restore the version's folder or train "
            "the model again"
        ) from error
    return stored


def _find_contradiction(stored: StoredReasons, features: Sequence[str]) -> None:
    """Check what types cannot say.

    Raises:
        ValueError: a field contradicts another one, or the model.
    """
    grouped = [name for group in stored.groups for name in group.features]
    if sorted(grouped) != sorted(features):
        raise ValueError("its groups do not hold each feature of the model once - at `$.groups`")
    if {len(row) for row in stored.rows} != {len(features)}:
        raise ValueError(f"expected rows of {len(features)} features - at `$.rows`")
    if len(stored.weights) != len(stored.rows) or not math.isclose(sum(stored.weights), 1.0, abs_tol=1e-6):
        raise ValueError("expected a weight for each row, of sum 1 - at `$.weights`")
    if 2 ** len(stored.groups) * len(stored.rows) > EVALUATIONS_AT_MOST:
        raise ValueError(f"expected at most {EVALUATIONS_AT_MOST:,} coalitions times rows - at `$.rows`")
    for name, each in stored.outcomes.items():
        if any(low >= high for low, high in pairwise(each.edges)) or len(each.rates) != len(each.edges) + 2:
            raise ValueError(f"expected ascending edges and two rates more - at `$.outcomes.{name}`")
        if any(len(rates) != len(stored.overall) for rates in each.rates):
            raise ValueError(f"expected {len(stored.overall)} rates in each bin - at `$.outcomes.{name}`")
