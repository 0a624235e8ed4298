"""Metrics of probabilities, lift, and the operating threshold.

Every metric takes weights, how often each row was drawn, so that intervals come from one set of resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.probability_metrics import brier_score, expected_calibration_error, roc_auc
from training.evaluation.ranking import Ranking
from training.evaluation.resampling import bootstrap, difference, interval, rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.evaluation.thresholds import Costs

RECALL = 0.7
PRECISION = 0.7
DECILES = 10
CURVE_POINTS = 101
SMALLEST_PROBABILITY = 1e-7
ABOVE = 1e-6


@dataclass(frozen=True, slots=True)
class Classifier:
    """Scores and outcomes of rows, ranked once.

    Attributes:
        scores: shape [rows], probabilities.
        outcome: shape [rows], 0 or 1.
        ranking: of the scores.
    """

    scores: NDArray[np.float64]
    outcome: NDArray[np.float64]
    ranking: Ranking

    @classmethod
    def of(cls, scores: NDArray[Any], outcome: NDArray[Any]) -> Classifier:
        """Build from scores and outcomes of shape [rows]."""
        return cls(scores.astype(np.float64), outcome.astype(np.float64), Ranking.of(scores))

    def found(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return positives and negatives found as the threshold falls through the scores, from none to all."""
        positive = self.ranking.cumulate(weights * self.outcome)
        return positive, self.ranking.cumulate(weights) - positive

    def auc(self, weights: NDArray[np.float64]) -> float:
        """Return the area under the ROC curve; NaN with one outcome only."""
        return roc_auc(self.scores, self.outcome, weights, self.ranking)

    def measure(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """Return every measure by name; NaN where it is not defined."""
        probability = np.clip(self.scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        surprise = -np.log(np.where(self.outcome > 0, probability, 1 - probability))
        positive, negative = self.found(weights)
        return {
            "auc": self.auc(weights),
            "average_precision": _average_precision(positive, negative),
            "brier": brier_score(self.scores, self.outcome, weights),
            "log_loss": float(np.average(surprise, weights=weights)),
            "ece": expected_calibration_error(self.scores, self.outcome, weights),
            "precision_at_recall_70": _precision_at_recall(positive, negative),
            "recall_at_precision_70": _recall_at_precision(positive, negative),
        }


def compare(
    scores: NDArray[Any],
    baselines: Mapping[str, NDArray[Any]],
    outcome: NDArray[Any],
    customer_ids: Sequence[str],
) -> dict[str, Any]:
    """Measure a model and its baselines on the same rows and the same resamples of customers.

    Returns:
        model: each measure, with its 95 % interval under the name and `_95`; baselines: by name, each
        measure and `difference`, the model's AUC minus the baseline's. Resampling adds noise to a calibration
        error, so the interval of ece lies rather high.
    """
    model = Classifier.of(scores, outcome)
    others = {name: Classifier.of(each, outcome) for name, each in baselines.items()}
    once = np.ones(len(outcome))

    def statistics(weights: NDArray[np.float64]) -> dict[str, float]:
        return model.measure(weights) | {f"{name} auc": each.auc(weights) for name, each in others.items()}

    resampled = bootstrap(statistics, customer_ids)
    measured = model.measure(once)
    described: dict[str, Any] = {"model": {}, "baselines": {}}
    for name, value in measured.items():
        described["model"] |= {name: rounded(value), f"{name}_95": interval(resampled[name])}
    for name, each in others.items():
        own = each.measure(once)
        lead = difference("auc", measured["auc"] - own["auc"], resampled["auc"] - resampled[f"{name} auc"])
        described["baselines"][name] = {key: rounded(value) for key, value in own.items()} | {"difference": lead}
    return described


def lift_by_decile(scores: NDArray[Any], outcome: NDArray[Any]) -> list[dict[str, Any]]:
    """Return, for each tenth of the rows from the highest score down, rate, lift and share captured so far."""
    parts = np.array_split(outcome[np.argsort(-scores, kind="stable")].astype(np.float64), DECILES)
    total, rate = float(outcome.sum()), float(outcome.mean())
    captured = np.cumsum([part.sum() for part in parts])
    return [
        {
            "decile": number,
            "rows": len(part),
            "rate": rounded(part.mean()),
            "lift": rounded(part.mean() / rate),
            "captured": rounded(captured[number - 1] / total),
        }
        for number, part in enumerate(parts, start=1)
        if len(part)
    ]


def choose_threshold(scores: NDArray[Any], outcome: NDArray[Any], costs: Costs) -> dict[str, Any]:
    """Choose the score from which on to contact, by cost on these rows.

    cost(t) = contact * (true positives + false positives) + save * false negatives, per row. For calibrated
    probabilities the least cost is at contact / save (Elkan 2001, "The foundations of cost-sensitive
    learning"), given as break_even; the threshold chosen is that of the least cost observed, and the nearest
    to break_even of those that cost the same.

    Returns:
        threshold, its cost, those of contacting all customers and none, its confusion counts, and the curve
        of cost over thresholds.
    """
    model = Classifier.of(scores, outcome)
    positive, negative = model.found(np.ones(len(outcome)))
    cost = (costs.contact * (positive + negative) + costs.save * (positive[-1] - positive)) / len(outcome)
    ranked = model.scores[model.ranking.order][model.ranking.ends]
    # From above the highest score, where no customer is contacted, down to the lowest, where all are.
    thresholds = np.concatenate([[ranked[0] + ABOVE], ranked])
    break_even = costs.contact / costs.save
    least = np.flatnonzero(cost <= cost.min() + 1e-12)
    best = least[np.abs(thresholds[least] - break_even).argmin()]
    points = np.unique(np.linspace(0, len(cost) - 1, CURVE_POINTS).astype(np.int64))
    return {
        "threshold": rounded(thresholds[best]),
        "break_even": rounded(break_even),
        "contact_cost": costs.contact,
        "save_value": costs.save,
        "cost": rounded(cost[best]),
        "cost_contacting_all": rounded(cost[-1]),
        "cost_contacting_none": rounded(cost[0]),
        "confusion": _confusion(positive, negative, int(best)),
        "curve": [{"threshold": rounded(thresholds[i]), "cost": rounded(cost[i])} for i in points],
    }


def _confusion(positive: NDArray[np.float64], negative: NDArray[np.float64], at: int) -> dict[str, int]:
    return {
        "true_positives": int(positive[at]),
        "false_positives": int(negative[at]),
        "false_negatives": int(positive[-1] - positive[at]),
        "true_negatives": int(negative[-1] - negative[at]),
    }


def _average_precision(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Return the mean of precision over the recall gained at each score, without interpolation."""
    if not positive[-1]:
        return float("nan")
    precision = positive[1:] / np.maximum(positive[1:] + negative[1:], 1)
    return float((np.diff(positive) * precision).sum() / positive[-1])


def _precision_at_recall(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Return the precision at the highest threshold that finds 70 % of the positives."""
    if not positive[-1]:
        return float("nan")
    at = int(np.argmax(positive >= RECALL * positive[-1] - 1e-9))
    return float(positive[at] / (positive[at] + negative[at]))


def _recall_at_precision(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Return the most positives found by a threshold of 70 % precision; 0 where none is that precise."""
    if not positive[-1]:
        return float("nan")
    precise = positive >= PRECISION * (positive + negative) - 1e-9
    return float(positive[precise].max() / positive[-1])
