"""Segmented models: several models in one version, selected by a column of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import plain
from models.tflite import TFLiteScorer

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
        column: that selects the model.
        columns: the columns that the models take.
        categories: see `TFLiteScorer`.
    """

    basis = "model"

    def __init__(self, pooled: Scorer, column: str, routes: Mapping[str, Scorer], manifest: Mapping[str, Any]) -> None:
        self.version = pooled.version
        self.manifest = manifest
        self.column = column
        self.columns = pooled.columns
        self.categories = pooled.categories
        self._pooled = pooled
        self._routes = routes

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return each customer's scores by the model of the group, shape [customers, outputs].

        A table without the column is scored by the pooled model.

        Raises:
            ModelInputError: the table lacks a column the models were trained on.
        """
        groups = group_of(table, self.column)
        known = np.isin(groups, list(self._routes))
        if not known.any():
            return self._pooled.score(table)
        scores = np.empty((len(table), self.manifest["outputs"]), dtype=np.float32)
        parts = [(np.flatnonzero(~known), self._pooled)]
        parts += [(np.flatnonzero(groups == value), scorer) for value, scorer in self._routes.items()]
        for rows, scorer in parts:
            if len(rows):
                scores[rows] = scorer.score(table.take(rows))
        return scores


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


def load_model(folder: Path, feature_mapping: Mapping[str, str]) -> TFLiteScorer | RoutedScorer:
    """Load a version: one model, or the routed models that its manifest names.

    Raises:
        ModelLoadError: see `TFLiteScorer.load`.
    """
    pooled = TFLiteScorer.load(folder, feature_mapping)
    routes = pooled.manifest.get("routes")
    if not routes:
        return pooled
    files: Mapping[str, str] = routes["files"]
    scorers = {value: TFLiteScorer.load(folder, feature_mapping, file) for value, file in files.items()}
    return RoutedScorer(pooled, routes["column"], scorers, pooled.manifest)
