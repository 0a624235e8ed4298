"""One training run, from the warehouse to a model in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.comparison import evaluate
from training.dataset import read_dataset, split
from training.export import export
from training.fit import fit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.dataset import Dataset, Source
    from training.tasks import Task

LIMITS = [
    "Cut-offs share customers and label windows: evaluation is on a later date, not on other customers.",
    "Inputs are clamped to the range seen in training: beyond it a customer is scored like one at its edge.",
    "Probabilities are calibrated to the outcome rate of the training window and drift with it.",
]


def train(task: Task, source: Source, out: Path, seed: int) -> dict[str, Any]:
    """Train, evaluate on later rows, export; return the manifest.

    Raises:
        TrainingError: rows cannot be read or learned from, or the export fails; nothing was replaced.
    """
    dataset = read_dataset(source, task)
    earlier, later, how = split(dataset)
    trained = fit(earlier.inputs, earlier.targets, seed=seed)
    scores = trained.predict(later.inputs)
    names = list(source.feature_mapping)
    manifest = {
        "format": 1,
        "name": task.name,
        "version": "-".join([task.name, *_last_day(earlier)]),
        "parent": None,
        "method": "additive net on piecewise-linear encoding",
        "features": names,
        "columns": dict(source.feature_mapping),
        "dtype": "float32",
        "outputs": task.outputs,
        "preprocessing": trained.preprocessing.describe(names),
        "training": {
            **_window(earlier),
            "seed": seed,
            "split": how,
            "evaluation": _window(later),
            "data_sha256": dataset.fingerprint(),
            "warnings": list(dataset.warnings),
        },
        "metrics": evaluate(scores, task.rule(later.table), _rates(earlier), later),
        "gates": [],
        "limits": LIMITS,
    }
    return export(trained.convert(), manifest, later.inputs, scores, out / task.name)


def _rates(dataset: Dataset) -> NDArray[np.float64]:
    observed = dataset.targets >= 0
    positive = np.where(observed, dataset.targets, 0).sum(axis=0, dtype=np.float64)
    rates: NDArray[np.float64] = positive / np.maximum(observed.sum(axis=0), 1)
    return rates


def _window(dataset: Dataset) -> dict[str, Any]:
    days = np.unique(dataset.dates[~np.isnat(dataset.dates)])
    return {"rows": len(dataset), "dates": [str(day) for day in days]}


def _last_day(dataset: Dataset) -> list[str]:
    days = dataset.dates[~np.isnat(dataset.dates)]
    return [str(days.max()).replace("-", "")] if len(days) else []
