"""Lifetime value: the money a customer will spend in the coming 12 months."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.reason_texts import NEAR, agrees, write_number
from models.rules import YEAR_DAYS, lifetime_value_rule
from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.reason_texts import Direction, Subject
    from models.rfm import RfmCuts

BOUNDED = 3
"""Outputs of a model that also predicts the lower and the upper bound of an interval."""
_VALUES = np.array(["low", "medium", "high", None], dtype=object)
_UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class ValueScale:
    """How the scores of a model of lifetime value become money in 12 months and a value segment.

    Attributes:
        factor: 365 over the days of spend that the model was trained on: it goes on at the same rate.
        cuts: where a 12-month value is medium and high; None for those of rfm.json.
    """

    factor: float = 1.0
    cuts: tuple[float, float] | None = None

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> ValueScale:
        """Return the scale of a model; a rule, which has no manifest, is on the scale of 12 months."""
        cuts: list[float] | None = manifest.get("value_cuts")
        factor = YEAR_DAYS / (manifest.get("window_days") or YEAR_DAYS)
        return cls(factor, (cuts[0], cuts[1]) if cuts else None)


class LifetimeValue(ModelTask):
    """The task `ltv`."""

    name = "ltv"
    highest = float(np.finfo(np.float32).max)
    facts = ("predicted_ltv", "predicted_ltv_low", "predicted_ltv_high", "value_segment")
    rule_columns = frozenset({"lifetime_value", "tenure_days"})
    fact = "value_segment"
    mock_scale = 5000.0
    bad_direction = "lowers"

    def outputs(self, offers: int) -> tuple[int, ...]:
        """Return 1, the expected spend, and 3, with the bounds of its interval."""
        _ = offers
        return (1, BOUNDED)

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Score by the spend to date."""
        _ = offers
        return lifetime_value_rule(table)

    def find_unit(self, manifest: Mapping[str, Any]) -> float:
        """Return how often the days of the labels are in 12 months."""
        return ValueScale.of(manifest).factor

    def word_reason(
        self, subject: Subject, direction: Direction, rates: Sequence[float], overall: Sequence[float]
    ) -> str:
        """Return what such customers spend, or the direction alone."""
        if not rates or not agrees(rates[0] - overall[0], direction, NEAR * overall[0]):
            return f"{direction} the expected spend"
        only = "only " if direction == "lowers" else ""
        return f"such customers spend {only}{write_number(rates[0] * subject.factor)} in 12 months on average"

    def add_facts(
        self, scores: NDArray[np.float32], basis: Column, manifest: Mapping[str, Any], rfm: RfmCuts
    ) -> dict[str, Column]:
        """Return predicted_ltv, its bounds (null where none are known) and value_segment, for 12 months.

        A customer whom a rule scored is on the rule's scale.
        """
        scale, usual = ValueScale.of(manifest), rfm.value
        by_model = basis == "model"
        factor = np.where(by_model, scale.factor, 1.0)[:, None]
        unknown = np.full((len(scores), BOUNDED - scores.shape[1]), np.nan)
        money = np.hstack([scores.astype(np.float64) * factor, unknown]).round(2)
        medium, high = (np.where(by_model, *cuts) for cuts in zip(scale.cuts or usual, usual, strict=True))
        expected = money[:, 0]
        places = (expected > medium).astype(np.intp) + (expected > high)
        return {
            "predicted_ltv": expected,
            "predicted_ltv_low": money[:, 1],
            "predicted_ltv_high": money[:, 2],
            "value_segment": _VALUES[np.where(np.isnan(expected), _UNKNOWN, places)],
        }
