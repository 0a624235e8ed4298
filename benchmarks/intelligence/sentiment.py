"""Sentiment of airline tweets: the shipped recipe as an exported TFLite model, next to VADER and TF-IDF with LR.

Every distinct text once; five stratified folds, and each airline by a model that saw the others only. Predictions of
all folds are pooled before measuring.
"""

from __future__ import annotations

import csv
import gzip
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold

from models.sentiment import MessageReader
from models.text_inputs import read_inputs
from models.text_model import CLASSES, TextScorer
from training.text.evaluation import measure_scores, vader_scores
from training.text.export import convert
from training.text.head import fit_head
from training.text.manifest import describe_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Fitted = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]

FOLDS, SEED = 5, 0
TIMED = 1000
CHUNK = 256


def measure(data: Path) -> dict[str, Any]:
    """Return accuracy, macro F1, ECE and speed, and the same of the baselines.

    Args:
        data: the folder of the public data.
    """
    texts, labels, airlines = read_tweets(data / "airline_tweets.csv.gz")
    inputs = np.concatenate([read_inputs(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)])
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(texts, labels))
    scorers: list[TextScorer] = []

    def exported(earlier: NDArray[np.intp], later: NDArray[np.intp]) -> NDArray[np.float64]:
        scorers.append(load(convert(fit_head(inputs[earlier], labels[earlier]))))
        return scorers[-1].score_texts([texts[row] for row in later]).astype(np.float64)

    def tfidf(earlier: NDArray[np.intp], later: NDArray[np.intp]) -> NDArray[np.float64]:
        return score_tfidf(texts, labels, earlier, later)

    of_folds = _pool(exported, folds, len(texts))
    found = measure_scores(of_folds, labels)
    of_airlines = _pool(exported, LeaveOneGroupOut().split(texts, labels, airlines), len(texts))
    return {
        "texts": len(texts),
        **found,
        "leave_one_airline_out": {
            **measure_scores(of_airlines, labels),
            "accuracy_by_airline": {
                str(name): measure_scores(of_airlines[airlines == name], labels[airlines == name])["accuracy"]
                for name in np.unique(airlines)
            },
        },
        "ms_per_message": measure_speed(scorers[0], texts[:TIMED]),
        "baselines": {
            "vader": measure_scores(vader_scores(texts), labels),
            "tfidf_logistic_regression": measure_scores(_pool(tfidf, folds, len(texts)), labels),
        },
    }


def read_tweets(path: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.str_]]:
    """Return texts, labels and airlines, each text once."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = {row["text"]: row for row in reversed(list(csv.DictReader(file)))}
    kept = list(reversed(rows.values()))
    labels = [CLASSES.index(row["airline_sentiment"]) for row in kept]
    return [row["text"] for row in kept], np.array(labels), np.array([row["airline"] for row in kept])


def score_tfidf(
    texts: Sequence[str], labels: NDArray[np.int64], earlier: NDArray[np.intp], later: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the probabilities of TF-IDF of words and pairs with logistic regression, shape [later, 3]."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=5.0, max_iter=1000)
    model.fit(words.fit_transform([texts[row] for row in earlier]), labels[earlier])
    scores: NDArray[np.float64] = model.predict_proba(words.transform([texts[row] for row in later]))
    return scores


def load(content: bytes) -> TextScorer:
    """Return a scorer of an exported model, as a worker loads it."""
    return TextScorer(content, {"version": "benchmark", "text": describe_inputs(["en"])})


def measure_speed(scorer: TextScorer, texts: Sequence[str]) -> dict[str, float]:
    """Return the processor time of the whole reading of a message, ms, one by one and in batches."""
    reader = MessageReader(model=scorer)
    reader.read(texts[:CHUNK])
    reader.read(texts[:1])
    began = time.thread_time()
    for text in texts:
        reader.read([text])
    alone = time.thread_time() - began
    began = time.thread_time()
    for start in range(0, len(texts), CHUNK):
        reader.read(texts[start : start + CHUNK])
    batched = time.thread_time() - began
    return {"alone": round(alone / len(texts) * 1e3, 3), "in_batches": round(batched / len(texts) * 1e3, 3)}


def _pool(fitted: Fitted, folds: Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]], rows: int) -> NDArray[np.float64]:
    pooled = np.full((rows, len(CLASSES)), np.nan)
    for earlier, later in folds:
        pooled[later] = fitted(earlier, later)
    return pooled
