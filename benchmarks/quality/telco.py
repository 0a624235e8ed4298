"""IBM's Telco customer churn: 7,043 customers of a fictional telecom company, ten folds.

No dates, so folds of customers stand in for later rows. Nothing is resampled: the AUCs of .91 to .99 that are
published for these data come from oversampling before the split.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from benchmarks.quality.baselines import boost_probabilities, fit_logistic
from benchmarks.quality.errors import require
from benchmarks.quality.selection import SEED, Rows, choose
from benchmarks.quality.serving import serve
from features.table import FeatureTable
from models.inputs import model_inputs
from training.data.categories import learn_categories
from training.evaluation.classification import compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.quality.serving import Served

FOLDS = 10
TENTH = 10
INNER_PARTS = 5


@dataclass(frozen=True, slots=True)
class Customers:
    """Features, of columns of text the codes of their categories, and who churned.

    Attributes:
        inputs: shape [rows, features], blank is NaN.
        churned: shape [rows, 1].
        features: their names.
        categories: the values of each feature that is text, by its name.
    """

    inputs: NDArray[np.float32]
    churned: NDArray[np.float32]
    features: tuple[str, ...]
    categories: Mapping[str, Sequence[str]]

    @property
    def coded(self) -> list[int]:
        """The positions of the features that are codes."""
        return [place for place, name in enumerate(self.features) if name in self.categories]


def measure(data: Path) -> dict[str, Any]:
    """Return the figures on all rows and, as `tenth`, of nets trained on a tenth of the rows of each fold."""
    customers = read(require(data / "telco_customer_churn.csv"))
    return cross_validate(customers, 1) | {"tenth": cross_validate(customers, TENTH)}


def read(path: Path) -> Customers:
    """Read the file as a run of training reads a table: what is text becomes categories."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = tuple(name for name in rows[0] if name not in ("customerID", "Churn"))
    cells = [[row[name].strip() or None for name in names] for row in rows]
    table = FeatureTable.from_rows([row["customerID"] for row in rows], names, cells)
    categories = learn_categories(table, dict(zip(names, names, strict=True)))
    churned = np.array([[row["Churn"] == "Yes"] for row in rows], dtype=np.float32)
    return Customers(model_inputs(table, names, categories), churned, names, categories)


def cross_validate(customers: Customers, thinned: int) -> dict[str, Any]:
    """Score every customer by a net that has not seen it, and compare.

    Args:
        customers: all of them.
        thinned: train on one row in this many.
    """
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    folds = list(splitter.split(customers.inputs, customers.churned[:, 0]))
    draw = np.random.default_rng(0)
    folds = [(draw.permutation(rows)[: len(rows) // thinned], held_out) for rows, held_out in folds]
    made = [_make(customers, rows, held_out) for rows, held_out in folds]
    ours = _gather(folds, [served.scores[:, 0] for _, served in made])
    per_fold = [_baselines(customers, rows, held_out) for rows, held_out in folds]
    baselines = {name: _gather(folds, [each[name] for each in per_fold]) for name in per_fold[0]}
    described = describe(ours, baselines, customers.churned[:, 0])
    return described | {
        "methods": dict(Counter(method for method, _ in made)),
        "export_difference": max(served.difference for _, served in made),
        "bytes": max(served.size for _, served in made),
    }


def describe(ours: NDArray[Any], baselines: dict[str, NDArray[Any]], churned: NDArray[Any]) -> dict[str, Any]:
    """Return the figures of our scores and those of logistic regression and the best LightGBM, shape [rows]."""
    found = compare(ours, baselines, churned, [str(row) for row in range(len(churned))])
    boosted = {name: each for name, each in found["baselines"].items() if name != "logistic_regression"}
    best = max(boosted, key=lambda name: boosted[name]["auc"])
    lightgbm, linear = boosted[best], found["baselines"]["logistic_regression"]
    return {
        **{name: found["model"][name] for name in ("auc", "brier", "ece", "precision_at_recall_70")},
        "auc_95": found["model"]["auc_95"],
        "difference": lightgbm["difference"]["value"],
        "standard_error": lightgbm["difference"]["standard_error"],
        "lightgbm": best,
        **{f"lightgbm_{name}": lightgbm[name] for name in ("auc", "brier", "ece")},
        **{f"logistic_regression_{name}": linear[name] for name in ("auc", "brier", "ece")},
    }


def _make(customers: Customers, rows: NDArray[np.intp], held_out: NDArray[np.intp]) -> tuple[str, Served]:
    known = Rows(customers.inputs[rows], customers.churned[rows])
    inner = np.random.default_rng(SEED).integers(0, INNER_PARTS, len(rows)) == 0
    recipe = choose(known, [inner], categories=customers.coded).recipe
    served = serve(recipe.fit(known), customers.inputs[held_out], customers.features, customers.categories)
    return recipe.describe(), served


def _baselines(customers: Customers, rows: NDArray[np.intp], held_out: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    churned = customers.churned[rows, 0]
    known, later = customers.inputs[rows], customers.inputs[held_out]
    boosted = boost_probabilities(known, churned, later, customers.coded)
    linear = fit_logistic(known, churned, later, customers.coded)
    return boosted | {"logistic_regression": linear}


def _gather(folds: list[Any], parts: list[NDArray[Any]]) -> NDArray[np.float64]:
    scores = np.empty(sum(len(part) for part in parts))
    for (_, held_out), part in zip(folds, parts, strict=True):
        scores[held_out] = part
    return scores
