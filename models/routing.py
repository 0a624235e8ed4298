"""Segmented models: several models in one version, selected by a column of the table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import plain
from models.tflite import UNBOUNDED, TFLiteScorer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from models.ports import Scorer


class RoutedScorer:
    """A Scorer that has a model for some values of a column, and the pooled one for every other value and for null.

    Attributes:
        version: the manifest's version, one for all.
        manifest: the whole manifest.
        pooled: the model of every other value and of null.
        column: that selects the model.
        columns: the columns that the models take as numbers.
        spreads: for how many of the scores the models give the spread.
    """

    basis = "model"

    def __init__(self, pooled: Scorer, column: str, routes: Mapping[str, Scorer], manifest: Mapping[str, Any]) -> None:
        self.version = pooled.version
        self.manifest = manifest
        self.column = column
        self.columns = pooled.columns
        self.spreads = pooled.spreads
        self.pooled = pooled
        self._routes = routes

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return each customer's scores by the model of the group, shape [customers, outputs].

        Raises:
            ModelInputError: the table lacks a column the models were trained on.
        """
        return self.score_with_spread(table)[:, : self.manifest["outputs"]]

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return each customer's scores and their spreads by the model of the group.

        A table without the column is scored by the pooled model.

        Raises:
            ModelInputError: the table lacks a column the models were trained on.
        """
        parts = self.split(table)
        if all(scorer is self.pooled for _, scorer in parts):
            return self.pooled.score_with_spread(table)
        scores = np.empty((len(table), self.manifest["outputs"] + self.spreads), dtype=np.float32)
        for rows, scorer in parts:
            scores[rows] = scorer.score_with_spread(table.take(rows))
        return scores

    def split(self, table: FeatureTable) -> list[tuple[NDArray[np.intp], Scorer]]:
        """Return the rows that each model scores, and the model; without those that score none."""
        groups = group_of(table, self.column)
        known = np.isin(groups, list(self._routes))
        parts = [(np.flatnonzero(~known), self.pooled)]
        parts += [(np.flatnonzero(groups == value), scorer) for value, scorer in self._routes.items()]
        return [(rows, scorer) for rows, scorer in parts if len(rows)]


def group_of(table: FeatureTable, column: str) -> NDArray[np.str_]:
    """Return the value of a column as text for each customer, shape [customers]; null is an empty text."""
    cells = table.columns.get(column)
    if cells is None:
        return np.full(len(table), "", dtype=np.str_)
    return np.array([_text(plain(cell)) for cell in cells], dtype=np.str_)


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    # A column that has nulls holds whole numbers as floats.
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def load_model(
    folder: Path, feature_mapping: Mapping[str, str], bounds: tuple[float, float] = UNBOUNDED
) -> TFLiteScorer | RoutedScorer:
    """Load a version: one model, or the routed models that its manifest names.

    Args:
        folder: holds its files.
        feature_mapping: the model's name of each feature, and the warehouse column it is read from.
        bounds: the least and the greatest score that can be right.

    Raises:
        ModelLoadError: see `TFLiteScorer.load`.
    """
    pooled = TFLiteScorer.load(folder, feature_mapping, bounds=bounds)
    routes = pooled.manifest.get("routes")
    if not routes:
        return pooled
    files: Mapping[str, str] = routes["files"]
    # By the manifest that was read: a file may be replaced meanwhile.
    load = partial(TFLiteScorer.load, folder, feature_mapping, manifest=pooled.manifest, bounds=bounds)
    scorers = {value: load(file=file) for value, file in files.items()}
    return RoutedScorer(pooled, routes["column"], scorers, pooled.manifest)
