"""Model selection on later rows of the training data, never on the evaluation rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.selection_metrics import WINSORISED, compare, row_losses
from training.nets.fit import FEW_ROWS, Options, fit
from training.nets.spread import add_spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.data.dataset import Dataset, Split
    from training.nets.fit import Method, Trained
    from training.task import LikelihoodName, Task

    Progress = Callable[[str], None]

STRONGER_DECAYS = (1.0, 4.0)
COVERAGE = 0.8
"""Nominal coverage of the interval of a lifetime value."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a net is made of rows.

    Attributes:
        method: additive or tabm.
        likelihood: the likelihood.
        options: sizes and rates.
    """

    method: Method
    likelihood: LikelihoodName
    options: Options

    def fit(self, rows: Dataset, seed: int) -> Trained:
        """Train the net on rows."""
        interval = None if self.likelihood == "binary" else COVERAGE
        return fit(
            rows.inputs,
            rows.targets,
            likelihood=self.likelihood,
            method=self.method,
            seed=seed,
            interval=interval,
            options=self.options,
        )

    def add_spread(self, trained: Trained, rows: Dataset, seed: int) -> Trained:
        """Return a net of probabilities with the spread of each; one of amounts has an interval, and stays as it is."""
        if self.likelihood != "binary":
            return trained
        return add_spread(trained, rows.inputs, rows.targets, self.options, seed)

    def describe(self) -> str:
        """Return what it is, in words."""
        net = "additive net" if self.method == "additive" else "ensemble (TabM)"
        return f"{net} on piecewise-linear encoding, {self.likelihood.replace('_', ' ')} likelihood"


@dataclass(frozen=True, slots=True)
class Choice:
    """The recipe chosen, its net on the inner split, and what the others lost, for the manifest."""

    recipe: Recipe
    inner: Trained
    compared: list[dict[str, Any]]


def choose(inner: Split, task: Task, seed: int, method: Method | None, progress: Progress) -> Choice:
    """Return the net that loses least on the later part of the inner split.

    The additive net stays where the ensemble is not better by more than two standard errors of the paired
    difference: its terms are exact reasons. Likelihoods of spend are compared with the additive net.

    Args:
        inner: earlier rows to train on and later ones to compare on, all of them before the evaluation.
        task: what is learned.
        seed: of the nets.
        method: the net to ship; None for the better one.
        progress: progress.
    """
    candidates: list[tuple[Recipe, Trained, NDArray[np.float64]]] = []
    for likelihood in task.likelihoods:
        recipe = Recipe("additive", likelihood, Options())
        progress(f"try the {recipe.describe()}")
        # Rows of one customer on several days are alike: there are fewer than they seem, and curves may be too bold.
        decays = STRONGER_DECAYS if len(inner.earlier) < FEW_ROWS else ()
        stronger = [replace(recipe, options=Options(decay=decay)) for decay in decays]
        candidates += [(each, *_try(each, inner, task, seed)) for each in (recipe, *stronger)]
    best = min(candidates, key=lambda each: float(np.nanmean(each[2])))
    ensemble = replace(best[0], method="tabm", options=Options())
    progress(f"try the {ensemble.describe()}")
    challenger = (ensemble, *_try(ensemble, inner, task, seed))
    gap = compare(challenger[2], best[2])
    wanted = method or ("tabm" if gap.clear else "additive")
    chosen = challenger if wanted == "tabm" else best
    compared = [
        {
            "method": recipe.method,
            "likelihood": recipe.likelihood,
            "decay": recipe.options.decay,
            "loss": round(float(np.nanmean(lost)), 6),
        }
        for recipe, _, lost in (*candidates, challenger)
    ]
    compared[-1] |= {"against_additive": round(gap.mean, 6), "standard_error": round(gap.error, 6)}
    return Choice(chosen[0], chosen[1], compared)


def _try(recipe: Recipe, inner: Split, task: Task, seed: int) -> tuple[Trained, NDArray[np.float64]]:
    trained = recipe.fit(inner.earlier, seed)
    return trained, losses_of(trained, inner, task)


def losses_of(trained: Trained, inner: Split, task: Task) -> NDArray[np.float64]:
    """Return the loss of each later row of an inner split, shape [rows]."""
    scores = trained.predict(inner.later.inputs)[:, : task.outputs]
    largest = float(np.quantile(inner.earlier.targets, WINSORISED))
    return row_losses(inner.later.targets, scores, amounts=task.predicts_amount, largest=largest)
