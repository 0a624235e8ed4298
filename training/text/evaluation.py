"""Measures of a classifier of texts, with intervals, and the gates before promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.text_model import CLASSES
from models.vader import CompoundScore
from training.evaluation.gates import Gate
from training.evaluation.resampling import bootstrap, difference, interval, rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Scores = NDArray[np.float64]
    Labels = NDArray[np.int64]

COUNT = len(CLASSES)
BINS = 15
NEUTRAL_BELOW = 0.05
"""VADER's authors take a compound score of less, in either direction, for neutral."""
LEAST_TEXTS, LEAST_OF_CLASS = 50, 10
LARGEST_ECE = 0.05
SLOWEST_MS = 1.0
MEASURES = ("accuracy", "macro_f1")
_WORDS = {"accuracy": "accuracy", "macro_f1": "macro F1"}


def measure_scores(scores: Scores, labels: Labels) -> dict[str, float]:
    """Return accuracy, macro F1 and the calibration error (ECE) of probabilities of shape [texts, 3]."""
    predicted = scores.argmax(axis=1)
    return {
        **{name: round(value, 4) for name, value in _weighted(predicted, labels, np.ones(len(labels))).items()},
        "ece": round(calibration_error(scores, labels), 4),
    }


def calibration_error(scores: Scores, labels: Labels) -> float:
    """Return by how much the probability of the predicted class differs from its accuracy, over 15 equal bins.

    Guo et al. (2017): the mean over the bins, weighted by their texts.
    """
    confidence, hit = scores.max(axis=1), scores.argmax(axis=1) == labels
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(place, weights=hit - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def vader_scores(texts: Sequence[str]) -> Scores:
    """Return VADER's classes as probabilities of 0 and 1, shape [texts, 3]."""
    score = CompoundScore().score
    places = [1 + (value >= NEUTRAL_BELOW) - (value <= -NEUTRAL_BELOW) for value in map(score, texts)]
    return np.eye(COUNT)[places]


def majority_scores(labels: Labels, rows: int) -> Scores:
    """Return the most frequent class of some labels for each of some rows, shape [rows, 3]."""
    return np.tile(np.eye(COUNT)[np.bincount(labels, minlength=COUNT).argmax()], (rows, 1))


def _weighted(predicted: NDArray[np.intp], labels: Labels, weights: Scores) -> dict[str, float]:
    pairs = np.bincount(COUNT * labels + predicted, weights=weights, minlength=COUNT**2).reshape(COUNT, COUNT)
    hits, both = np.diag(pairs), pairs.sum(axis=0) + pairs.sum(axis=1)
    f1 = np.divide(2 * hits, both, out=np.zeros(COUNT), where=both > 0)
    return {"accuracy": float(hits.sum() / pairs.sum()), "macro_f1": float(f1.mean())}


def evaluate(scores: Scores, others: Mapping[str, Scores], labels: Labels, ms: float) -> dict[str, Any]:
    """Return the metrics of the manifest: measures with 95 % intervals, of the model and of what it is compared with.

    Args:
        scores: of the exported model on held-out texts, shape [texts, 3].
        others: of what it is compared with, by name, likewise.
        labels: shape [texts].
        ms: the processor time that it takes to read a message.
    """
    predicted = {name: each.argmax(axis=1) for name, each in {"model": scores, **others}.items()}

    def measure(weights: Scores) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, classes in predicted.items():
            found |= {f"{name} {key}": value for key, value in _weighted(classes, labels, weights).items()}
        return found

    plain = measure(np.ones(len(labels)))
    resampled = bootstrap(measure, [str(row) for row in range(len(labels))])
    model: dict[str, Any] = {name: rounded(plain[f"model {name}"]) for name in MEASURES}
    model |= {f"{name}_95": interval(resampled[f"model {name}"]) for name in MEASURES}
    model |= {"ece": rounded(calibration_error(scores, labels)), "ms_per_message": round(ms, 3)}
    return {
        "model": model,
        "baselines": {name: {key: rounded(plain[f"{name} {key}"]) for key in MEASURES} for name in others},
        "differences": {
            name: {
                key: difference(
                    key,
                    plain[f"model {key}"] - plain[f"{name} {key}"],
                    resampled[f"model {key}"] - resampled[f"{name} {key}"],
                )
                for key in MEASURES
            }
            for name in others
        },
        "confusion": np.bincount(COUNT * labels + predicted["model"], minlength=COUNT**2)
        .reshape(COUNT, COUNT)
        .tolist(),
        "classes": np.bincount(labels, minlength=COUNT).tolist(),
    }


def evaluate_gates(metrics: Mapping[str, Any]) -> list[Gate]:
    """Return the result of every gate, in the order of the report."""
    gates = [_check_data(metrics["classes"])]
    for name in ("vader", "always_majority", "champion"):
        gates += [_check_margin(name, key, metrics["differences"].get(name)) for key in MEASURES]
    model = metrics["model"]
    return [
        *gates,
        _check_limit("calibration", "calibration error (ECE)", model["ece"], LARGEST_ECE),
        _check_limit("speed", "ms of processor time per message", model["ms_per_message"], SLOWEST_MS),
    ]


def _check_data(classes: Sequence[int]) -> Gate:
    enough = sum(classes) >= LEAST_TEXTS and min(classes) >= LEAST_OF_CLASS
    counted = ", ".join(f"{count} {name}" for name, count in zip(CLASSES, classes, strict=True))
    return Gate(
        "data",
        enough,
        "passed" if enough else "not enough evidence",
        float(min(classes)),
        "held-out texts of the rarest class",
        float(LEAST_OF_CLASS),
        f"{sum(classes)} held-out texts: {counted}; needed: {LEAST_TEXTS}, and {LEAST_OF_CLASS} of each",
    )


def _check_margin(name: str, key: str, differences: Mapping[str, Any] | None) -> Gate:
    """Check that the model is better than a baseline, and not clearly worse than the champion."""
    title, words = f"{'not_worse_than' if name == 'champion' else 'beats'}_{name}_{key}", _WORDS[key]
    against = name.replace("_", " ")
    if differences is None:
        return Gate(title, None, "not applicable", None, against, None, f"no {against} to compare with")
    low, high = differences[key]["interval_95"]
    figure = high if name == "champion" else low
    passed = figure >= 0 if name == "champion" else figure > 0
    sentence = f"{words} differs from {against} by {differences[key]['value']:+.3f} [{low:+.3f}, {high:+.3f}]"
    needed = "must reach 0" if name == "champion" else "must be above 0"
    end = "upper" if name == "champion" else "lower"
    verdict = f"{sentence}; the {end} end {needed}"
    return Gate(title, passed, "passed" if passed else "refused", figure, against, 0.0, verdict)


def _check_limit(name: str, words: str, figure: float, limit: float) -> Gate:
    passed = figure <= limit
    sentence = f"{words} {figure:.3f}, at most {limit:g}"
    return Gate(name, passed, "passed" if passed else "refused", figure, "a fixed limit", limit, sentence)
