"""How good a model is on rows later than any it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.dataset import Dataset

RESAMPLES = 200
ESS_AT_LEAST = 100


def evaluate(
    scores: NDArray[np.float32], rule: NDArray[np.float32], rates: NDArray[np.float64], later: Dataset
) -> dict[str, Any]:
    """Return AUC with its 95 % interval, Brier score and rates, beside the rule and the constant rate.

    Args:
        scores: the model's probabilities, shape [rows, outputs].
        rule: the rule's scores, same shape.
        rates: shape [outputs], the rate of each output in the training rows: the constant prediction.
        later: the rows evaluated on.
    """
    observed = later.targets >= 0
    outcome = later.targets[observed]
    constant = np.broadcast_to(rates, observed.shape)[observed]
    metrics: dict[str, Any] = {"rows": len(later), "rate": _rounded(outcome.mean())}
    if len(np.unique(outcome)) < 2:  # noqa: PLR2004 - AUC needs both outcomes
        return metrics | {"note": "the later rows have one outcome only; AUC is not defined"}
    metrics["model"] = _judge(scores[observed], outcome) | {"auc_95": _interval(scores[observed], outcome)}
    metrics["rule"] = _judge(rule[observed], outcome)
    metrics["constant_rate"] = _judge(constant, outcome)
    metrics["mean_score"] = _rounded(scores[observed].mean())
    if scores.shape[1] > 1:
        metrics["policy"] = value_policy(scores, later)
    return metrics


def value_policy(scores: NDArray[np.float32], later: Dataset) -> dict[str, Any]:
    """Return what always making the best scored offer would have converted, by SNIPS.

    Self-normalised inverse propensity scoring (Swaminathan and Joachims 2015) on the rows whose propensity
    was logged. With fewer than 100 effective rows the verdict is that there is not enough evidence.
    """
    shown = (later.targets >= 0) & (later.propensities[:, None] > 0)
    rows = np.flatnonzero(shown.sum(axis=1) == 1)
    if not len(rows):
        return {"verdict": "propensities are not logged: the policy cannot be valued"}
    offer = shown[rows].argmax(axis=1)
    reward = later.targets[rows, offer]
    weight = 1 / later.propensities[rows]
    chosen = np.where(scores[rows].argmax(axis=1) == offer, weight, 0.0)
    effective = float(chosen.sum() ** 2 / (chosen**2).sum()) if chosen.any() else 0.0
    constants = [_snips(reward, np.where(offer == each, weight, 0.0)) for each in range(scores.shape[1])]
    return {
        "logged": _rounded(reward.mean()),
        "best_constant_offer": {"offer_id": int(np.argmax(constants)) + 1, "value": _rounded(max(constants))},
        "model": _rounded(_snips(reward, chosen)),
        "effective_rows": round(effective),
        "verdict": "enough evidence" if effective >= ESS_AT_LEAST else "not enough evidence",
    }


def _snips(reward: NDArray[np.float32], weight: NDArray[np.float64]) -> float:
    total = float(weight.sum())
    return float((reward * weight).sum()) / total if total else 0.0


def _judge(scores: NDArray[Any], outcome: NDArray[np.float32]) -> dict[str, float]:
    return {
        "auc": _rounded(roc_auc_score(outcome, scores)),
        "brier": _rounded(brier_score_loss(outcome, scores)),
    }


def _interval(scores: NDArray[Any], outcome: NDArray[np.float32]) -> list[float]:
    generator = np.random.default_rng(0)
    values = []
    for _ in range(RESAMPLES):
        chosen = generator.integers(0, len(outcome), len(outcome))
        if len(np.unique(outcome[chosen])) > 1:
            values.append(roc_auc_score(outcome[chosen], scores[chosen]))
    return [_rounded(value) for value in np.quantile(values, (0.025, 0.975))]


def _rounded(value: float) -> float:
    return round(float(value), 4)
