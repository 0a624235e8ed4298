"""Lifetime value: the money a customer will spend in the coming 12 months."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.confidence import describe_confidence, find_confidence, interval_width
from models.rules import YEAR_DAYS, lifetime_value_rule
from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.rfm import RfmCuts
    from models.tasks.protocol import ColumnType, Scored, Serving

WINDOW_MONTHS = 12
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

    def outputs(self, offers: int) -> tuple[int, ...]:
        """Return 1, the expected spend, and 3, with the bounds of its interval."""
        _ = offers
        return (1, BOUNDED)

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Score by the spend to date."""
        _ = offers
        return lifetime_value_rule(table)

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

    def prediction_types(self, offers: int) -> dict[str, ColumnType]:
        """Return the types of value, interval and confidence."""
        _ = offers
        bounds: dict[str, ColumnType] = {"confidence_interval_low": "number", "confidence_interval_high": "number"}
        said: dict[str, ColumnType] = {"predicted_ltv": "number", **bounds, "value_segment": "text"}
        return {**said, "confidence": "text", "decision_basis": "text", "model_version": "text"}

    def predict(self, scored: Scored, serving: Serving) -> dict[str, Column]:
        """Return the value of 12 months with its interval, segment and confidence."""
        facts = self.add_facts(scored.scores, scored.basis, serving.manifest, serving.rfm)
        width = interval_width(scored.scores[:, 1:]) if scored.scores.shape[1] == BOUNDED else None
        return {
            "predicted_ltv": facts["predicted_ltv"],
            "confidence_interval_low": facts["predicted_ltv_low"],
            "confidence_interval_high": facts["predicted_ltv_high"],
            "value_segment": facts["value_segment"],
            "confidence": find_confidence(width, scored.basis, serving.manifest),
            "decision_basis": scored.basis,
            "model_version": scored.versions(serving.version),
        }

    def prediction_object(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a prediction; its interval is null where no bounds are known."""
        low, high = row["confidence_interval_low"], row["confidence_interval_high"]
        return {
            "predicted_ltv": row["predicted_ltv"],
            "confidence_interval": None if low is None or high is None else {"low": low, "high": high},
            "value_segment": row["value_segment"],
            "prediction_window_months": WINDOW_MONTHS,
            **{name: row[name] for name in ("confidence", "decision_basis", "model_version")},
        }

    def describe_prediction(self, prediction: Mapping[str, Any]) -> str:
        """Return value, interval and what they rest on."""
        bounds, value = prediction["confidence_interval"], prediction["predicted_ltv"]
        known = "not known" if value is None else f"{value:,.2f} in {prediction['prediction_window_months']} months"
        within = f", {bounds['low']:,.2f} to {bounds['high']:,.2f} four times of five" if bounds else ""
        segment = prediction["value_segment"] or "not known"
        source = describe_confidence(prediction["confidence"], prediction["model_version"])
        return f"lifetime value {known}{within}, value segment {segment}, {source}"
