"""Exact Shapley values of groups of features against a background. Pure.

    phi_i = sum over coalitions S without i of |S|! (d - |S| - 1)! / d! * (v(S + i) - v(S))

with d groups (Shapley 1953, "A value for n-person games"). v(S) is interventional: the weighted mean score of the
background after the features of S took the customer's values (Lundberg and Lee 2017, "A Unified Approach to
Interpreting Model Predictions"; Janzing, Minorics and Bloebaum 2020, "Feature Relevance Quantification in Explainable
AI: A Causal Problem"). All 2^d coalitions are evaluated; nothing is sampled. So the contributions sum to the customer's
score - the mean score of the background.

A score that is the logistic function of a sum over groups, as the additive net's, needs no scoring of coalitions: d + 1
scores give the customer's terms, and each coalition is a sum of terms.

Each customer is computed alone, in arrays of one shape: the values do not depend on who shares a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.floating[Any]]
    """Shape [rows, features]: float32 as a model takes them, float64 for a rule."""
    Score = Callable[[Rows], NDArray[np.float32]]
    """From rows of shape [rows, features] to scores of shape [rows, outputs]."""

ADDITIVE_WITHIN = 5e-6
"""How far the sum of terms may be from the score; beyond, coalitions are scored."""
LEAST, MOST = 1e-20, 0.995
"""Between these a probability in float32 gives its logit to 1e-5; outside, coalitions are scored."""


@dataclass(frozen=True)
class Background:
    """What customers are compared with.

    Attributes:
        rows: shape [rows, features].
        weights: shape [rows], positive, of sum 1.
        groups: the features of each group, by position; every feature is in one group.
    """

    rows: Rows
    weights: NDArray[np.float64]
    groups: tuple[tuple[int, ...], ...]

    @cached_property
    def group_of(self) -> NDArray[np.intp]:
        """The group of each feature, shape [features]."""
        found = np.empty(self.rows.shape[1], dtype=np.intp)
        for place, members in enumerate(self.groups):
            found[list(members)] = place
        return found

    @property
    def mixed(self) -> Rows:
        """The rows, and rows that have every other group of the row before, shape [2 rows, features]."""
        mixed = np.where(self.group_of % 2 == 0, self.rows, np.roll(self.rows, 1, axis=0))
        return np.concatenate([self.rows, mixed])

    @cached_property
    def taken(self) -> NDArray[np.bool_]:
        """Whether each coalition takes each feature of the customer, shape [coalitions, 1, features]."""
        taken: NDArray[np.bool_] = coalitions(len(self.groups))[:, self.group_of][:, None, :]
        return taken


@lru_cache(maxsize=16)
def coalitions(groups: int) -> NDArray[np.bool_]:
    """Return every coalition, shape [2^groups, groups]: the empty one first, the full one last."""
    numbers = np.arange(2**groups)[:, None]
    inside: NDArray[np.bool_] = (numbers >> np.arange(groups)) & 1 == 1
    return inside


@lru_cache(maxsize=16)
def shapley_weights(groups: int) -> NDArray[np.float64]:
    """Return what the value of each coalition counts for each group, shape [2^groups, groups]."""
    inside = coalitions(groups)
    # Of the group's coalition partners: a group that is inside is no partner of itself.
    partners = inside.sum(axis=1, keepdims=True) - inside
    sizes = np.array([factorial(s) * factorial(groups - s - 1) for s in range(groups)]) / factorial(groups)
    counts: NDArray[np.float64] = np.where(inside, 1.0, -1.0) * sizes[partners.clip(0, groups - 1)]
    return counts


class ExactShapley:
    """Contributions of groups of features to scores.

    Args:
        score: the model or rule.
        background: what customers are compared with.
        additive: whether each score is the logistic function of a sum of one term per group; it is believed where
            mixtures of the background's rows agree.
    """

    def __init__(self, score: Score, background: Background, *, additive: bool = False) -> None:
        self.score = score
        self.background = background
        terms = _AdditiveTerms(score, background) if additive else None
        self._additive = terms if terms and terms.fits(background.mixed) else None

    @property
    def is_additive(self) -> bool:
        """Whether contributions are computed from terms."""
        return self._additive is not None

    @cached_property
    def base(self) -> NDArray[np.float64]:
        """The mean score of the background, shape [outputs]."""
        base: NDArray[np.float64] = self.background.weights @ self.score(self.background.rows).astype(np.float64)
        return base

    def explain(self, row: Rows, outputs: Sequence[int]) -> NDArray[np.float64]:
        """Return the contributions of each group, shape [groups, len(outputs)], to some of a customer's scores.

        Args:
            row: the customer, shape [features].
            outputs: the positions of the scores.
        """
        values = self._additive.evaluate(row, outputs) if self._additive else None
        if values is None:
            values = self._evaluate(row, outputs)
        contributions: NDArray[np.float64] = shapley_weights(len(self.background.groups)).T @ values
        return contributions

    def _evaluate(self, row: Rows, outputs: Sequence[int]) -> NDArray[np.float64]:
        """Return the value of every coalition by scoring it, shape [coalitions, len(outputs)]."""
        background = self.background
        mixed = np.where(background.taken, row, background.rows)
        scores = self.score(mixed.reshape(-1, len(row)))[:, list(outputs)].astype(np.float64)
        values: NDArray[np.float64] = background.weights @ scores.reshape(*mixed.shape[:2], -1)
        return values


class _AdditiveTerms:
    """The terms of a score that is the logistic function of their sum, found by scoring one group at a time."""

    def __init__(self, score: Score, background: Background) -> None:
        self._score = score
        self._background = background
        scores = score(background.rows).astype(np.float64)
        # Where the logistic function is steepest, float32 says most of the logit.
        place = int(np.abs(scores - 0.5).max(axis=1).argmin())
        self._reference, self._level = background.rows[place], _logit(scores[place])
        terms, _, self._is_usable = self.find(background.rows)
        absent = 1.0 - coalitions(len(background.groups)).astype(np.float64)
        # Shape [outputs, coalitions, rows]: what a coalition leaves to the background.
        self._rest = np.einsum("cg,rgo->ocr", absent, terms).astype(np.float32)
        self._weights = background.weights.astype(np.float32)

    def evaluate(self, row: Rows, outputs: Sequence[int]) -> NDArray[np.float64] | None:
        """Return the value of every coalition, shape [coalitions, len(outputs)]; None where terms say too little."""
        terms, scores, is_usable = self.find(row[None])
        own = (coalitions(terms.shape[1]) @ terms[0] + self._level).astype(np.float32)
        values = np.empty((len(own), len(outputs)), dtype=np.float64)
        for column, output in enumerate(outputs):
            values[:, column] = _logistic(own[:, output, None] + self._rest[output]) @ self._weights
        near = np.abs(values[-1] - scores[0, list(outputs)]) <= ADDITIVE_WITHIN
        return values if self._is_usable and is_usable and near.all() else None

    def find(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
        """Return terms against the reference, shape [rows, groups, outputs], scores, and whether terms are exact."""
        single = np.arange(len(self._background.groups))[:, None] == self._background.group_of
        mixed = np.where(single, rows[:, None, :], self._reference)
        mixed = np.concatenate([mixed, rows[:, None, :]], axis=1)
        scores = self._score(mixed.reshape(-1, rows.shape[1])).astype(np.float64)
        scores = scores.reshape(len(rows), len(single) + 1, -1)
        probed = scores[:, :-1]
        is_exact = bool(((probed >= LEAST) & (probed <= MOST)).all())
        return _logit(probed) - self._level, scores[:, -1], is_exact

    def fits(self, rows: Rows) -> bool:
        """Return whether the terms of rows give their scores."""
        terms, scores, is_usable = self.find(rows)
        summed = 1 / (1 + np.exp(-(terms.sum(axis=1) + self._level)))
        return self._is_usable and is_usable and bool((np.abs(summed - scores) <= ADDITIVE_WITHIN).all())


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = probability.clip(LEAST, MOST)
    logits: NDArray[np.float64] = np.log(inside / (1 - inside))
    return logits


def _logistic(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logistic function, in place: a customer has tens of thousands of logits."""
    np.negative(logits, out=logits)
    # Infinity gives 0, as it should.
    with np.errstate(over="ignore"):
        np.exp(logits, out=logits)
    logits += 1.0
    return np.reciprocal(logits, out=logits)
