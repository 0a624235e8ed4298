"""Churn: the probability of no purchase in the coming 90 days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.confidence import describe_confidence, find_confidence
from models.rules import churn_rule
from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.rfm import RfmCuts
    from models.tasks.protocol import ColumnType, Scored, Serving

_LEVELS = np.array(["low", "medium", "high", "critical", None], dtype=object)
_BANDS = np.array(["low", "medium", "high", "high", None], dtype=object)
_UNKNOWN = 4


class Churn(ModelTask):
    """The task `churn`."""

    name = "churn"
    facts = ("churn_probability", "churn_risk", "churn_risk_level", "decision_basis")
    rule_columns = frozenset({"days_since_last_transaction", "transaction_count"})
    fact = "churn_risk"
    is_explained = True

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Score by recency."""
        _ = offers
        return churn_rule(table)

    def add_facts(
        self, scores: NDArray[np.float32], basis: Column, manifest: Mapping[str, Any], rfm: RfmCuts
    ) -> dict[str, Column]:
        """Return churn_probability; churn_risk_level: low, medium, high, critical; churn_risk; decision_basis.

        churn_risk has three bands: `high` includes critical. Rules, messages and consumers of triggers compare it with
        "high", and must not lose the customers of the highest risk (docs/decisions/0019-one-prediction-service.md).
        """
        _ = manifest
        # Rounded before it is compared, so that a rule on the probability and the risk never disagree.
        probability = scores[:, 0].astype(np.float64).round(6)
        places = np.where(np.isnan(probability), _UNKNOWN, np.searchsorted(rfm.risk, probability, side="right"))
        return {
            "churn_probability": probability,
            "churn_risk": _BANDS[places],
            "churn_risk_level": _LEVELS[places],
            "decision_basis": basis,
        }

    def prediction_types(self, offers: int) -> dict[str, ColumnType]:
        """Return the types of probability, risk and confidence."""
        _ = offers
        said: dict[str, ColumnType] = {"churn_probability": "number", "churn_risk": "text", "is_at_risk": "boolean"}
        return {**said, "confidence": "text", "decision_basis": "text", "model_version": "text"}

    def predict(self, scored: Scored, serving: Serving) -> dict[str, Column]:
        """Return probability, risk of four levels, whether it reaches the trained threshold, and confidence.

        No data chose a threshold for a rule, or for a version without one: who is at high risk is at risk.
        """
        facts = self.add_facts(scored.scores, scored.basis, serving.manifest, serving.rfm)
        high = serving.rfm.risk[1]
        trained = serving.manifest.get("operating_threshold")
        threshold = np.where(scored.basis == "model", high if trained is None else trained, high)
        return {
            "churn_probability": facts["churn_probability"],
            "churn_risk": facts["churn_risk_level"],
            "is_at_risk": facts["churn_probability"] >= threshold,
            "confidence": find_confidence(scored.spread_of(0), scored.basis, serving.manifest),
            "decision_basis": scored.basis,
            "model_version": scored.versions(serving.version),
        }

    def prediction_object(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a prediction with room for reasons and recommendations."""
        said = {name: row[name] for name in ("churn_probability", "churn_risk", "is_at_risk", "confidence")}
        source = {name: row[name] for name in ("decision_basis", "model_version")}
        return {**said, "risk_factors": [], "recommendations": [], **source}

    def describe_prediction(self, prediction: Mapping[str, Any]) -> str:
        """Return probability, risk and what they rest on."""
        at_risk = "at risk" if prediction["is_at_risk"] else "not at risk"
        said = f"churn probability {prediction['churn_probability']:.4f}, risk {prediction['churn_risk']}, {at_risk}"
        return f"{said}, {describe_confidence(prediction['confidence'], prediction['model_version'])}"
