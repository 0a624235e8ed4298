"""From rows to trained nets: model selection on the inner split, then training on all rows before the evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.dataset import EVALUATED_SHARE, is_learnable, require_both_sides, split, split_at
from training.evaluation.confidence import choose_cuts, describe_confidence, find_errors
from training.evaluation.selection_metrics import selection_metric
from training.nets.architecture import assemble
from training.nets.fit import conform
from training.nets.model_selection import COVERAGE, choose
from training.nets.recalibration import calibrate, improves, shift
from training.nets.segmented_models import fit_segmented_models
from training.nets.tuning import tune

if TYPE_CHECKING:
    from training.data.dataset import Dataset, Split
    from training.nets.fit import Method, Trained
    from training.nets.model_selection import Progress, Recipe
    from training.nets.segmented_models import SegmentedModels
    from training.task import Task

FOLDS_AT_MOST = 4


@dataclass(frozen=True, slots=True)
class Learned:
    """The trained model of a run.

    Attributes:
        recipe: how the nets were made.
        trained: the net, or the pooled one.
        choice: what decided for it: losses on the inner split, tuning, calibration; for the manifest.
        folds: by cut-off, the metric of a net trained on the rows before it.
        segmented: nets of groups; None where none were asked for.
        confidence: thresholds of the uncertainty and the error by confidence on validation rows, for the manifest;
            None where the error does not fall with it.
    """

    recipe: Recipe
    trained: Trained
    choice: dict[str, Any]
    folds: dict[str, float]
    segmented: SegmentedModels | None
    confidence: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Configuration of the learning.

    Attributes:
        seed: same seed, same data, same nets.
        method: the net to ship; None for the better one.
        trials: how many sizes and rates to try; 0 for the usual ones.
        segment_by: a column to train groups of customers by; None for one model.
    """

    seed: int = 1
    method: Method | None = None
    trials: int = 0
    segment_by: str | None = None


def learn(outer: Split, task: Task, learning: TrainConfig, progress: Progress) -> Learned:
    """Choose a net, train it on the earlier rows, and see how stable it is over time.

    Args:
        outer: the rows trained on, and those evaluated on, at which only the last of the folds looks.
        task: what is learned.
        learning: how.
        progress: progress.

    Raises:
        TrainingDataError: the rows cannot be split, or lack the column.
    """
    require_both_sides(outer)
    inner = split(outer.earlier, "inner")
    require_both_sides(inner)
    seed = learning.seed
    found = choose(inner, task, seed, learning.method, progress)
    recipe, inner_net = found.recipe, found.inner
    choice: dict[str, Any] = {"split": inner.how, "compared": found.compared}
    if learning.trials:
        recipe, choice["tuning"] = tune(recipe, inner, task, learning.trials, seed, progress)
        inner_net = recipe.fit(inner.earlier, seed)
    progress(f"fit the {recipe.describe()}")
    adjust = _adjustment(inner_net, inner, outer, task, recipe, seed)
    choice |= adjust.described
    segmented = None
    if learning.segment_by is not None:
        segmented = fit_segmented_models(outer, inner, inner_net, recipe, task, learning.segment_by, seed, progress)
        segmented = replace(segmented, models={value: adjust.apply(net) for value, net in segmented.models.items()})
    progress("train once for each cut-off, to see how stable it is")
    trained = adjust.apply(recipe.add_spread(adjust.plain, outer.earlier, seed))
    folds = _folds(outer, task, recipe, seed) | _figure(outer, task, trained)
    confidence = _measure_confidence(adjust.apply(recipe.add_spread(inner_net, inner.earlier, seed)), inner.later)
    return Learned(recipe, trained, choice, folds, segmented, confidence)


def _measure_confidence(inner_net: Trained, later: Dataset) -> dict[str, Any] | None:
    matrix = inner_net.predict_with_spread(later.inputs)
    errors = find_errors(matrix[:, : inner_net.outputs], matrix[:, inner_net.outputs :], later.targets)
    cuts = choose_cuts(errors)
    return None if cuts is None else {"cuts": list(cuts), "validation": describe_confidence(errors, cuts)}


@dataclass(frozen=True, slots=True)
class _Adjustment:
    """What is done to a net after training: its level moved, or its interval widened."""

    plain: Trained
    by_level: float
    widening: float
    described: dict[str, Any]

    def apply(self, trained: Trained) -> Trained:
        if self.by_level:
            return shift(trained, self.by_level)
        if self.widening:
            model = assemble(trained.net, trained.likelihood, trained.preprocessing, self.widening)
            return replace(trained, model=model)
        return trained


def _adjustment(inner_net: Trained, inner: Split, outer: Split, task: Task, recipe: Recipe, seed: int) -> _Adjustment:
    plain = recipe.fit(outer.earlier, seed)
    if recipe.likelihood != "binary":
        _, widening = conform(inner_net, inner.later.inputs, inner.later.targets, COVERAGE)
        return _Adjustment(
            plain, 0.0, widening, {"interval": {"coverage": COVERAGE, "widened_log1p": round(widening, 4)}}
        )
    if not improves(inner_net, inner, task):
        return _Adjustment(plain, 0.0, 0.0, {"calibrated_on_latest": False})
    _, by = calibrate(plain, outer.earlier)
    return _Adjustment(plain, by, 0.0, {"calibrated_on_latest": True, "logit_shift": round(by, 4)})


def _folds(outer: Split, task: Task, recipe: Recipe, seed: int) -> dict[str, float]:
    """Return the figure of nets trained on less and less of the past, by where their later rows begin."""
    folds: dict[str, float] = {}
    starts = _starts(outer.earlier)
    for place, day in enumerate(starts):
        until = starts[place + 1] if place + 1 < len(starts) else None
        rows = split_at(outer.earlier, day, until, "fold")
        if is_learnable(rows.earlier.targets) and is_learnable(rows.later.targets):
            folds |= _figure(rows, task, recipe.fit(rows.earlier, seed))
    return folds


def _figure(rows: Split, task: Task, trained: Trained) -> dict[str, float]:
    scores = trained.predict(rows.later.inputs)[:, : task.outputs]
    figure = selection_metric(rows.later.targets, scores, amounts=task.predicts_amount)
    dates = rows.later.dates[~np.isnat(rows.later.dates)]
    name = str(dates.min()) if len(dates) else "other customers"
    return {} if np.isnan(figure) else {name: round(figure, 4)}


def _starts(rows: Dataset) -> list[np.datetime64]:
    """Return the days at which blocks of a fifth of the rows begin, the first block left out."""
    days, counts = np.unique(rows.dates[~np.isnat(rows.dates)], return_counts=True)
    if len(days) < 2 or counts.sum() < len(rows):  # noqa: PLR2004 - one to train on, one to look at
        return []
    block = (np.cumsum(counts) - counts) // max(1.0, EVALUATED_SHARE * len(rows))
    first = np.unique(block, return_index=True)[1]
    return [days[place] for place in first[1:][-(FOLDS_AT_MOST - 1) :]]
