"""Separate models for groups of customers, where they are better than the pooled one: --segment-by COLUMN."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.routing import group_of
from training.data.dataset import is_learnable
from training.errors import TrainingDataError
from training.evaluation.selection_metrics import compare, row_losses, selection_metric
from training.nets.model_selection import losses_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.dataset import Dataset, Split
    from training.nets.fit import Trained
    from training.nets.model_selection import Progress, Recipe
    from training.task import Task

ROWS_AT_LEAST = 500
LATER_ROWS_AT_LEAST = 50
GROUPS_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class SegmentedModels:
    """The models of groups, besides the pooled one.

    Attributes:
        column: that defines the groups.
        models: the net of each value that has one.
        tried: for every value, its rows and why it has a model of its own or not, for the manifest.
    """

    column: str
    models: dict[str, Trained]
    tried: dict[str, dict[str, Any]]

    @property
    def files(self) -> dict[str, str]:
        """The file of each value that has a model."""
        return {value: f"group-{place}.tflite" for place, value in enumerate(self.models, start=1)}


def fit_segmented_models(
    outer: Split, inner: Split, pooled: Trained, recipe: Recipe, task: Task, column: str, seed: int, progress: Progress
) -> SegmentedModels:
    """Train a net for each group that is large enough and gains by it on the inner split's later rows.

    Args:
        outer: what the final nets are trained on.
        inner: what decides.
        pooled: the net of all groups, trained on the earlier rows of the inner split.
        recipe: of the pooled net, and of these.
        task: what is learned.
        column: that defines the groups.
        seed: of the nets.
        progress: progress.

    Raises:
        TrainingDataError: the rows do not have the column.
    """
    if column not in outer.earlier.table.columns:
        raise TrainingDataError(
            f"--segment-by {column}: the training rows have no such column; there are: "
            f"{', '.join(sorted(outer.earlier.table.columns))}"
        )
    values, counts = np.unique(group_of(outer.earlier.table, column), return_counts=True)
    largest = [str(values[place]) for place in np.argsort(-counts, kind="stable")[:GROUPS_AT_MOST] if values[place]]
    models, tried = {}, {}
    for value in largest:
        rows, inner_rows = (_only(each, column, value) for each in (outer, inner))
        tried[value] = {"rows": len(rows.earlier), **_compare_with_pooled(inner_rows, pooled, recipe, task, seed)}
        if tried[value]["own_model"]:
            progress(f"fit the net of {column} {value}")
            models[value] = recipe.add_spread(recipe.fit(rows.earlier, seed), rows.earlier, seed)
    return SegmentedModels(column, models, tried)


def _only(rows: Split, column: str, value: str) -> Split:
    earlier, later = (each.take(group_of(each.table, column) == value) for each in (rows.earlier, rows.later))
    return replace(rows, earlier=earlier, later=later)


def _compare_with_pooled(inner: Split, pooled: Trained, recipe: Recipe, task: Task, seed: int) -> dict[str, Any]:
    if len(inner.earlier) < ROWS_AT_LEAST or len(inner.later) < LATER_ROWS_AT_LEAST:
        return {"own_model": False, "because": f"under {ROWS_AT_LEAST} rows, or under {LATER_ROWS_AT_LEAST} later ones"}
    if not is_learnable(inner.earlier.targets):
        return {"own_model": False, "because": "one outcome only"}
    gap = compare(losses_of(recipe.fit(inner.earlier, seed), inner, task), losses_of(pooled, inner, task))
    figures = {"loss_against_pooled": round(gap.mean, 6), "standard_error": round(gap.error, 6)}
    because = "loses less than the pooled model" if gap.clear else "does not lose clearly less than the pooled model"
    return {"own_model": gap.clear, "because": because, **figures}


def measure_groups(
    later: Dataset, scores: NDArray[np.float32], pooled: NDArray[np.float32], task: Task, segmented: SegmentedModels
) -> dict[str, dict[str, Any]]:
    """Return what was tried of each group, and its metrics on the later rows next to the pooled model's.

    Args:
        later: the rows evaluated on.
        scores: as served, shape [rows, outputs].
        pooled: of the pooled model, same shape.
        task: what was learned.
        segmented: the groups.
    """
    groups = group_of(later.table, segmented.column)
    return {
        value: tried | _measure(later, groups == value, scores, pooled, task)
        for value, tried in segmented.tried.items()
    }


def _measure(
    later: Dataset, rows: NDArray[np.bool_], scores: NDArray[np.float32], pooled: NDArray[np.float32], task: Task
) -> dict[str, Any]:
    name = "rank_correlation" if task.predicts_amount else "auc"
    outcome = later.targets[rows]
    figures: dict[str, Any] = {"later_rows": int(rows.sum())}
    for which, each in (("served", scores[rows]), ("pooled", pooled[rows])):
        if len(outcome):
            loss = float(np.nanmean(row_losses(outcome, each, amounts=task.predicts_amount)))
            quality = selection_metric(outcome, each, amounts=task.predicts_amount)
            figures[which] = {name: None if np.isnan(quality) else round(quality, 4), "loss": round(loss, 6)}
    return figures
