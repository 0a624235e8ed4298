"""Which net ships, chosen on rows of the training data alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation.selection_metrics import compare, row_losses
from training.nets.fit import FEW_ROWS, METHODS, Options, fit
from training.nets.spread import add_spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.nets.fit import Method, Trained
    from training.task import LikelihoodName

SEED = 1
FEWER_EPOCHS = {True: 10, False: 4}
"""Beside the usual epochs, about a third of them; by whether rows are few."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Inputs of shape [rows, features] and targets of shape [rows, 1]."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]

    def take(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return the rows where `chosen` is true."""
        return Rows(self.inputs[chosen], self.targets[chosen])


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a net is made of rows.

    Attributes:
        likelihood: binary, or a likelihood of spend, which then gets an interval.
        method: additive or tabm.
        epochs: None for the usual number.
        categories: positions of the features that are codes.
        interval: the coverage of the interval.
    """

    likelihood: LikelihoodName = "binary"
    method: Method = "additive"
    epochs: int | None = None
    categories: Sequence[int] = ()
    interval: float | None = None

    def fit(self, rows: Rows) -> Trained:
        """Train the net."""
        return fit(
            rows.inputs,
            rows.targets,
            likelihood=self.likelihood,
            method=self.method,
            seed=SEED,
            categories=self.categories,
            interval=self.interval,
            options=Options(epochs=self.epochs),
        )

    def add_spread(self, trained: Trained, rows: Rows) -> Trained:
        """Return the net with the spread of each probability; one of spend has an interval, and stays as it is."""
        if self.likelihood != "binary":
            return trained
        return add_spread(trained, rows.inputs, rows.targets, Options(epochs=self.epochs), SEED)

    def describe(self) -> str:
        """Return what it is, in words."""
        return f"{self.method}, {self.epochs or 'the usual'} epochs"


@dataclass(frozen=True, slots=True)
class Choice:
    """The recipe that ships, and the loss of each row it was chosen by."""

    recipe: Recipe
    losses: NDArray[np.float64]


def choose(
    rows: Rows,
    folds: Sequence[NDArray[np.bool_]],
    likelihood: LikelihoodName = "binary",
    categories: Sequence[int] = (),
    interval: float | None = None,
) -> Choice:
    """Return the best of four recipes: two nets, trained for long or less long.

    Each is trained on the rows outside of a fold and measured inside it, by cross-entropy or the squared error
    of spend. The additive net ships unless the ensemble is better by more than one standard error.

    Args:
        rows: the training data.
        folds: of shape [rows] each, true where a row is measured.
        likelihood: the likelihood.
        categories: positions of the features that are codes.
        interval: the coverage of an interval of spend.
    """
    best = []
    for method in METHODS:
        tried = [
            Choice(recipe, np.concatenate([_lose(recipe, rows, fold) for fold in folds]))
            for recipe in (
                Recipe(likelihood, method, epochs, categories, interval)
                for epochs in (None, FEWER_EPOCHS[len(rows.inputs) < FEW_ROWS])
            )
        ]
        best.append(min(tried, key=lambda each: float(each.losses.mean())))
    additive, ensemble = best
    return ensemble if compare(ensemble.losses, additive.losses).clear else additive


def _lose(recipe: Recipe, rows: Rows, fold: NDArray[np.bool_]) -> NDArray[np.float64]:
    measured = rows.take(fold)
    scores = recipe.fit(rows.take(~fold)).predict(measured.inputs)[:, :1]
    return row_losses(measured.targets, scores, amounts=recipe.likelihood != "binary")
