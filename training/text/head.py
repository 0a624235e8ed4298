"""The head of a text model: two linear classifiers of weighted n-grams, added and calibrated by one temperature.

* Softmax regression. N-grams are weighted by inverse document frequency; those of words and those of characters are
  each brought to length 1, as Salton and Buckley (1988) do.
* Logistic regression of each class against the others. N-grams are weighted by how much more often they are in texts
  of the class: Wang and Manning (2012), "Baselines and bigrams".

They err on different texts. The temperature is from Guo et al. (2017), "On calibration of modern neural networks".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy import sparse
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_expit, log_softmax

from models.text_grams import BUCKETS, SLOTS, WORD_SLOTS
from models.text_model import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Inputs = NDArray[np.float32]

SMALLEST = 1e-9
COUNT = len(CLASSES)
SHARE, LENGTH, RATIO, RATIO_LENGTHS = slice(0, 3), slice(3, 4), slice(4, 7), slice(7, 10)
"""Columns of a table: weights of the softmax regression, the squared weight that the n-gram has in the length, weights
of the others, and what it has in their lengths."""
COLUMNS = 10


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """How a head is fitted.

    Attributes:
        regularisation: the inverse strength of the penalty on squared weights.
        tone_weight: what the numbers of the tone are multiplied by: the larger, the less they are penalised.
        rare: n-grams of fewer texts are left out.
        balance: 0: each text weighs the same; 1: each class does.
        iterations: at most so many steps of L-BFGS.
    """

    regularisation: float = 2.0
    tone_weight: float = 1.0
    rare: int = 2
    balance: float = 0.35
    iterations: int = 60


@dataclass(frozen=True, slots=True)
class Head:
    """Weights of a head.

    Attributes:
        words: shape [BUCKETS + 1, COLUMNS], by bucket of words; the first row, that of no n-gram, is 0.
        characters: the same for characters.
        tone: shape [TONES, 6], of both classifiers.
        bias: shape [6].
        temperature: by which the logits are divided.
    """

    words: NDArray[np.float32]
    characters: NDArray[np.float32]
    tone: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0

    def predict_logits(self, inputs: Inputs) -> Matrix:
        """Return the scores of each class before the softmax, shape [texts, 3]; what the exported model computes."""
        buckets = inputs[:, :SLOTS].astype(np.int64)
        tones = inputs[:, SLOTS:] @ self.tone + self.bias
        words = np.stack([self.words[row].sum(axis=0) for row in buckets[:, :WORD_SLOTS]])
        characters = np.stack([self.characters[row].sum(axis=0) for row in buckets[:, WORD_SLOTS:]])
        softmax = tones[:, :COUNT]
        for total in (words, characters):
            softmax = softmax + total[:, SHARE] / _root(total[:, LENGTH])
        both = words + characters
        others = both[:, RATIO] / _root(both[:, RATIO_LENGTHS]) + tones[:, COUNT:]
        return cast("Matrix", (softmax + log_expit(others)) / self.temperature)


def _root(squared: Any) -> Any:
    return np.sqrt(np.maximum(squared, SMALLEST))


def fit_head(inputs: Inputs, labels: NDArray[np.int64], config: HeadConfig | None = None, seed: int = 1) -> Head:
    """Return a calibrated head.

    The temperature is chosen on a fifth of the texts by a head fitted on the others.

    Args:
        inputs: shape [texts, INPUTS].
        labels: shape [texts], places in `CLASSES`.
        config: how it is fitted.
        seed: chooses that fifth.
    """
    config = config or HeadConfig()
    held = np.random.default_rng(seed).permutation(len(labels)) % 5 == 0
    inner = _fit(inputs[~held], labels[~held], config)
    temperature = find_temperature(inner.predict_logits(inputs[held]), labels[held])
    return replace(_fit(inputs, labels, config), temperature=temperature)


def find_temperature(logits: Matrix, labels: NDArray[np.int64]) -> float:
    """Return by what logits are to be divided for the least log loss, from .1 to 10."""

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scores[np.arange(len(labels)), labels].mean())

    bounds = (np.log(0.1), np.log(10.0))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def _fit(inputs: Inputs, labels: NDArray[np.int64], config: HeadConfig) -> Head:
    grams = [_Grams.of(part, config.rare) for part in (inputs[:, :WORD_SLOTS], inputs[:, WORD_SLOTS:SLOTS])]
    tone = sparse.csr_matrix(inputs[:, SLOTS:] * np.float32(config.tone_weight))
    tables = [np.zeros((BUCKETS + 1, COLUMNS), dtype=np.float32) for _ in grams]
    tones, bias = np.zeros((tone.shape[1], 2 * COUNT)), np.zeros(2 * COUNT)
    tones[:, :COUNT], bias[:COUNT] = _fit_softmax(grams, tone, labels, config, tables)
    for place in range(COUNT):
        fitted = _fit_ratio(grams, tone, (labels == place).astype(np.float64), config, tables, place)
        tones[:, COUNT + place], bias[COUNT + place] = fitted
    return Head(tables[0], tables[1], (tones * config.tone_weight).astype(np.float32), bias.astype(np.float32))


@dataclass(frozen=True, slots=True)
class _Grams:
    """The n-grams of one kind: which texts have those that are kept, in a sparse matrix of ones."""

    matrix: Any
    kept: NDArray[np.int64]

    @classmethod
    def of(cls, slots: Inputs, rare: int) -> _Grams:
        filled = slots > 0
        buckets = slots[filled].astype(np.int64)
        frequency = np.bincount(buckets, minlength=BUCKETS + 1)
        kept = np.flatnonzero(frequency >= rare)
        starts = np.concatenate([[0], np.cumsum(filled.sum(axis=1))])
        shape = (len(slots), BUCKETS + 1)
        matrix = sparse.csr_matrix((np.ones(len(buckets), np.float32), buckets, starts), shape=shape)
        return cls(matrix[:, kept], kept)


def _scale(matrix: Any, weights: Matrix) -> Any:
    """Return a matrix with its columns weighted and its rows brought to length 1."""
    weighted = (matrix @ sparse.diags(weights)).tocsr()
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return (sparse.diags(1 / np.maximum(lengths, SMALLEST)) @ weighted).tocsr().astype(np.float32)


def _fit_softmax(
    grams: Sequence[_Grams], tone: Any, labels: NDArray[np.int64], config: HeadConfig, tables: Sequence[Inputs]
) -> tuple[Matrix, Matrix]:
    """Fill the columns of the softmax regression; return the weights of the tone, and the bias."""
    frequencies = [np.asarray(each.matrix.sum(axis=0)).ravel() for each in grams]
    weights = [np.log((1 + len(labels)) / (1 + each)) + 1 for each in frequencies]
    scaled = [_scale(each.matrix, by) for each, by in zip(grams, weights, strict=True)]
    outcome = np.eye(COUNT)[labels]
    balance = (len(labels) / np.maximum(np.bincount(labels, minlength=COUNT), 1)) ** config.balance
    of_texts = balance[labels] / balance[labels].mean()

    def loss(found: Matrix) -> tuple[float, Matrix]:
        scores = log_softmax(found, axis=1)
        return -float((of_texts[:, None] * outcome * scores).sum()), of_texts[:, None] * (np.exp(scores) - outcome)

    found, bias = _regress(sparse.hstack([*scaled, tone]).tocsr(), COUNT, loss, config)
    parts = np.split(found, np.cumsum([len(each.kept) for each in grams]))
    for each, by, part, table in zip(grams, weights, parts, tables, strict=False):
        table[each.kept, SHARE] = part * by[:, None]
        table[each.kept, LENGTH] = (by**2)[:, None]
    return parts[-1], bias


def _fit_ratio(
    grams: Sequence[_Grams], tone: Any, outcome: Matrix, config: HeadConfig, tables: Sequence[Inputs], place: int
) -> tuple[Matrix, float]:
    """Fill the columns of one class against the others; return the weights of the tone, and the bias."""
    matrix = sparse.hstack([each.matrix for each in grams]).tocsr()
    inside, outside = (np.asarray(each @ matrix).ravel() + 1 for each in (outcome, 1 - outcome))
    ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())

    def loss(found: Matrix) -> tuple[float, Matrix]:
        scores = found[:, 0]
        value = -float((outcome * log_expit(scores) + (1 - outcome) * log_expit(-scores)).sum())
        return value, (expit(scores) - outcome)[:, None]

    found, bias = _regress(sparse.hstack([_scale(matrix, ratio), tone]).tocsr(), 1, loss, config)
    cuts = np.cumsum([len(each.kept) for each in grams])
    parts, ratios = np.split(found[:, 0], cuts), np.split(ratio, cuts)
    for each, part, by, table in zip(grams, parts, ratios, tables, strict=False):
        table[each.kept, RATIO.start + place] = part * by
        table[each.kept, RATIO_LENGTHS.start + place] = by**2
    return parts[-1], float(bias[0])


def _regress(
    matrix: Any, outputs: int, loss: Callable[[Matrix], tuple[float, Matrix]], config: HeadConfig
) -> tuple[Matrix, Matrix]:
    """Return weights of shape [columns, outputs] and the bias of a linear model with a penalty on squared weights."""
    transposed, columns = matrix.T.tocsr(), matrix.shape[1]

    def penalised(flat: Matrix) -> tuple[float, Matrix]:
        found = flat.reshape(columns + 1, outputs)
        value, error = loss((matrix @ found[:-1].astype(np.float32)).astype(np.float64) + found[-1])
        slope = transposed @ error.astype(np.float32) + found[:-1] / config.regularisation
        value += float((found[:-1] ** 2).sum()) / (2 * config.regularisation)
        return value, np.vstack([slope, error.sum(axis=0)]).ravel().astype(np.float64)

    begin = np.zeros((columns + 1) * outputs)
    options = {"maxiter": config.iterations, "maxcor": 8}
    found = minimize(penalised, begin, jac=True, method="L-BFGS-B", options=options).x.reshape(columns + 1, outputs)
    return found[:-1], found[-1]
