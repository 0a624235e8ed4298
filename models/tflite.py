"""Scores by a TFLite model with its manifest."""

from __future__ import annotations

import hashlib
import math
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import ModelLoadError
from models.inputs import readable_inputs
from models.interpreter import BATCH_SIZES, TFLiteNetwork
from models.manifest import read_manifest
from models.probe_process import probe
from models.reasons_file import REASONS_FILE, parse_reasons
from models.regular_file import read_regular_file
from models.shapley import ExactShapley
from models.versions import MANIFEST_FILE, MODEL_FILE
from models.view_check import check_features

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from models.reasons_file import StoredReasons


FEW_ROWS = 32
MODEL_BYTES = 256 * 2**20
"""The most that a model's file may have."""
UNBOUNDED = (-math.inf, math.inf)


class TFLiteScorer:
    """A Scorer that runs a model.tflite with its manifest.json.

    Attributes:
        version: the manifest's version.
        manifest: the whole manifest.
        columns: the columns of the table that it reads.
        categories: the values known of each of them that is text, by column.
        spreads: for how many of its scores, from the first on, it gives the spread.
        reasons: what its scores are explained with; None for a version that was trained without it.
    """

    basis = "model"

    def __init__(
        self,
        content: bytes,
        manifest: Mapping[str, Any],
        columns: tuple[str, ...],
        *,
        reasons: StoredReasons | None = None,
        bounds: tuple[float, float] = UNBOUNDED,
    ) -> None:
        self.version: str = manifest["version"]
        self.manifest = manifest
        self.columns = columns
        self.spreads: int = manifest.get("spreads", 0)
        self.reasons = reasons
        by_feature: Mapping[str, list[str]] = manifest.get("categories", {})
        names = zip(manifest["features"], columns, strict=True) if by_feature else ()
        self.categories = {column: by_feature[name] for name, column in names if name in by_feature}
        self._outputs: int = manifest["outputs"]
        self._check(content, bounds)
        self._network = TFLiteNetwork(content, len(columns))

    @classmethod
    def load(
        cls,
        folder: Path,
        feature_mapping: Mapping[str, str],
        file: str = MODEL_FILE,
        *,
        manifest: Mapping[str, Any] | None = None,
        bounds: tuple[float, float] = UNBOUNDED,
    ) -> TFLiteScorer:
        """Load a model from its folder.

        Args:
            folder: holds model.tflite and manifest.json.
            feature_mapping: the model's name of each feature, and the warehouse column it is read from.
            file: which of the folder's models.
            manifest: that of the folder, if it was read already.
            bounds: the least and the greatest score that can be right.

        Raises:
            ModelLoadError: a file is missing or broken, the manifest cannot be used, the model is not the one that
                the manifest describes, or it was trained on other features than the mapping names.
        """
        manifest = manifest or read_manifest(folder / MANIFEST_FILE, MODEL_FILE)
        content = read_model(folder, manifest, file)
        names: list[str] = manifest["features"]
        check_features(str(folder / MANIFEST_FILE), names, feature_mapping)
        columns = tuple(feature_mapping[name] for name in names)
        return cls(content, manifest, columns, reasons=_read_reasons(folder, manifest), bounds=bounds)

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the model's scores, shape [customers, outputs]; NaN where an input is not a number.

        Raises:
            ModelInputError: the table lacks a column the model was trained on.
        """
        return self.score_with_spread(table)[:, : self._outputs]

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the scores and their spreads, shape [customers, outputs + spreads]; NaN where an input is no number.

        Null is an input that models know; text in a column of numbers is not taken for null, since no model was trained
        on it.

        Raises:
            ModelInputError: the table lacks a column the model was trained on.
        """
        inputs, unreadable = self.read_inputs(table)
        largest = BATCH_SIZES[-1]
        chunks = [self._score_chunk(inputs[start : start + largest]) for start in range(0, len(inputs), largest)]
        scores = np.concatenate(chunks) if chunks else np.empty((0, self._outputs + self.spreads), np.float32)
        for rows in unreadable.values():
            scores[rows] = np.nan
        return scores

    def read_inputs(self, table: FeatureTable) -> tuple[NDArray[np.float32], Mapping[str, NDArray[np.bool_]]]:
        """Return the model's inputs, see `readable_inputs`."""
        return readable_inputs(table, self.columns, self.categories)

    @cached_property
    def shapley(self) -> ExactShapley | None:
        """What computes contributions to its scores; None without `reasons`."""
        if self.reasons is None:
            return None
        # Without a reference to this scorer: the cycle would keep its interpreters from being freed at once.
        score = partial(_score_mixtures, self._network, len(self.reasons.overall))
        background = self.reasons.build_background(self.manifest["features"])
        return ExactShapley(score, background, additive=self.reasons.additive)

    def _score_chunk(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's matrix; NaN for a row that the interpreter fails on, whatever its batch."""
        try:
            return self._network.run(inputs)
        except (ValueError, RuntimeError):
            if len(inputs) == 1:
                return np.full((1, self._outputs + self.spreads), np.nan, dtype=np.float32)
            half = len(inputs) // 2
            return np.concatenate([self._score_chunk(inputs[:half]), self._score_chunk(inputs[half:])])

    def _check(self, content: bytes, bounds: tuple[float, float]) -> None:
        outputs, fault = probe(content, len(self.columns), bounds)
        if fault is None and outputs != self._outputs + self.spreads:
            spreads = f" and {self.spreads} spreads" if self.spreads else ""
            fault = (
                f"it gives {outputs} scores for a customer, the manifest says {self._outputs}{spreads}; train it again"
            )
        if fault is not None:
            raise ModelLoadError(f"model {self.version} cannot be run: {fault}")


def _score_mixtures(network: TFLiteNetwork, outputs: int, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first scores of rows of shape [rows, features]; NaN for all where the interpreter fails."""
    # A size that the rows fill, where they are not few: padding would be scored, too.
    size = max(each for each in BATCH_SIZES if each <= max(len(rows), FEW_ROWS))
    try:
        chunks = [network.run(rows[start : start + size])[:, :outputs] for start in range(0, len(rows), size)]
    except (ValueError, RuntimeError):
        return np.full((len(rows), outputs), np.nan, dtype=np.float32)
    return np.concatenate(chunks)


def read_model(folder: Path, manifest: Mapping[str, Any], file: str = MODEL_FILE) -> bytes:
    """Return the content of a model's file.

    Raises:
        ModelLoadError: it cannot be read, or is not the one that the manifest describes.
    """
    content = _read(folder / file)
    _check_hash(folder / file, content, manifest["files"].get(file, "nothing of it"))
    return content


def _read_reasons(folder: Path, manifest: Mapping[str, Any]) -> StoredReasons | None:
    expected: str | None = manifest["files"].get(REASONS_FILE)
    if expected is None:
        return None
    content = _read(folder / REASONS_FILE)
    _check_hash(folder / REASONS_FILE, content, expected)
    return parse_reasons(content, manifest)


def _read(path: Path) -> bytes:
    try:
        return read_regular_file(path, MODEL_BYTES)
    except OSError as error:
        raise ModelLoadError(f"{path}: cannot be read ({error.strerror}); train a model or restore the file") from error


def _check_hash(path: Path, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelLoadError(
            f"{path}: its SHA-256 is {found}, the manifest says {expected}; "
            "the file was changed or belongs to another version: restore both files together"
        )
