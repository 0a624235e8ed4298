"""Next best offer: the probability that a customer converts on each offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.confidence import describe_confidence, find_confidence
from models.rules import offers_rule
from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.tasks.protocol import ColumnType, Scored, Serving

_SCORE = "score_"


class NextBestOffer(ModelTask):
    """The task `nbo`: one score for each offer, offer id i at position i - 1."""

    name = "nbo"
    rule_columns = frozenset({"days_since_last_transaction", "transaction_count", "total_revenue"})
    fact = "recommended_offer"
    for_contacts_only = True

    def outputs(self, offers: int) -> tuple[int, ...]:
        """Return the number of offers."""
        return (offers,)

    def explain_outputs(self, found: int, offers: int) -> str:
        """Return that the model does not fit the offers file."""
        return (
            f"the model scores {found} offers, but the highest offer id of offers.json is {offers}; train it again "
            f"with --offers {offers}, or correct offers.json"
        )

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Score the offers by recency, frequency and value."""
        return offers_rule(table, offers)

    def preview(self, scores: NDArray[np.float32]) -> Column:
        """Return the id of the best scored offer."""
        return np.asarray(scores.argmax(axis=1) + 1)

    def prediction_types(self, offers: int) -> dict[str, ColumnType]:
        """Return the types of the offer, its confidence and each score."""
        scores: dict[str, ColumnType] = {f"{_SCORE}{place}": "number" for place in range(1, offers + 1)}
        said: dict[str, ColumnType] = {"recommended_offer": "integer", "confidence": "text"}
        return {**said, **scores, "basis": "text", "version": "text"}

    def predict(self, scored: Scored, serving: Serving) -> dict[str, Column]:
        """Return the offer with the highest score times margin that a customer may get, as campaigns/offers.py does."""
        values = scored.scores.astype(np.float64) * (np.asarray(serving.margins) if serving.margins else 1.0)
        for offer, rows in serving.refused.items():
            values[rows, offer - 1] = -np.inf
        best = values.argmax(axis=1) if len(values) else np.empty(0, dtype=np.intp)
        recommended: Column = (best + 1).astype(object)
        recommended[np.isneginf(values).all(axis=1)] = None
        scores = scored.scores.T.astype(np.float64).round(6)
        return {
            "recommended_offer": recommended,
            "confidence": find_confidence(scored.spread_of(best), scored.basis, serving.manifest),
            **{f"{_SCORE}{place}": cells for place, cells in enumerate(scores, start=1)},
            "basis": scored.basis,
            "version": scored.versions(serving.version),
        }

    def prediction_object(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a prediction with the score of each offer, by id."""
        scores = [(int(name.removeprefix(_SCORE)), cell) for name, cell in row.items() if name.startswith(_SCORE)]
        return {
            "recommended_offer": row["recommended_offer"],
            "confidence": row["confidence"],
            "all_offers": [{"offer_id": offer, "score": score} for offer, score in scores],
            # The best offer is recommended, without exploration.
            "propensity": None if row["recommended_offer"] is None else 1.0,
            "basis": row["basis"],
            "version": row["version"],
        }

    def describe_prediction(self, prediction: Mapping[str, Any]) -> str:
        """Return the offer and what it rests on."""
        offer = prediction["recommended_offer"]
        said = "no offer that the customer may get" if offer is None else f"recommended offer {offer}"
        return f"{said}, {describe_confidence(prediction['confidence'], prediction['version'])}"
