"""Scores by a TFLite model: the one place that imports the interpreter."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from models.errors import ModelLoadError, ModelOutputError
from models.inputs import model_inputs
from models.versions import MANIFEST_FILE, MODEL_FILE

# tflite-runtime has no wheel past Python 3.11; ai-edge-litert is its successor with the same Interpreter.
if sys.version_info >= (3, 12):
    from ai_edge_litert.interpreter import Interpreter
else:
    from tflite_runtime.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from features.table import FeatureTable

BATCH_SIZES = (1, 32, 128, 256, 384, 512)
"""Batches are padded to the next of these, because a new size costs more than scoring the padding does."""


class TFLiteScorer:
    """A Scorer that runs a model.tflite beside its manifest.json.

    Attributes:
        version: the manifest's version.
        manifest: the whole manifest.
        columns: the columns of the table that it reads.
    """

    basis = "model"

    def __init__(self, content: bytes, manifest: Mapping[str, Any], columns: tuple[str, ...]) -> None:
        self.version: str = manifest["version"]
        self.manifest = manifest
        self._content = content
        self.columns = columns
        self._outputs: int = manifest["outputs"]
        # An interpreter shared by two threads now and then returns a wrong score silently.
        self._local = threading.local()
        self._check_shapes()

    @classmethod
    def load(cls, folder: Path, feature_mapping: Mapping[str, str], file: str = MODEL_FILE) -> TFLiteScorer:
        """Load a model from its folder.

        Args:
            folder: holds model.tflite and manifest.json.
            feature_mapping: the model's name of each feature, and the warehouse column it is read from.
            file: which of the folder's models.

        Raises:
            ModelLoadError: a file is missing or broken, the model is not the one the manifest describes, or
                it was trained on other features than the mapping names.
        """
        manifest = _read_manifest(folder / MANIFEST_FILE)
        content = _read(folder / file)
        _check_hash(folder / file, content, manifest["files"].get(file, "nothing of it"))
        names: list[str] = manifest["features"]
        _check_features(folder / MANIFEST_FILE, names, feature_mapping)
        return cls(content, manifest, tuple(feature_mapping[name] for name in names))

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the model's scores, shape [customers, outputs].

        Raises:
            ModelInputError: the table lacks a column the model was trained on.
            ModelOutputError: a score is not a finite number.
        """
        inputs = model_inputs(table, self.columns)
        largest = BATCH_SIZES[-1]
        chunks = [self._invoke(inputs[start : start + largest]) for start in range(0, len(inputs), largest)]
        scores = np.concatenate(chunks) if chunks else np.empty((0, self._outputs), np.float32)
        bad = ~np.isfinite(scores).all(axis=1)
        if bad.any():
            customer = table.customer_ids[int(bad.argmax())]
            raise ModelOutputError(
                f"model {self.version} gave {int(bad.sum())} of {len(table)} customers a score that is no "
                f"finite number, first customer {customer!r}; train it again"
            )
        return scores

    def _invoke(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        size = next(size for size in BATCH_SIZES if size >= len(inputs))
        padded = np.zeros((size, inputs.shape[1]), dtype=np.float32)
        padded[: len(inputs)] = inputs
        interpreter, into, out_of = self._interpreter(size)
        interpreter.set_tensor(into, padded)
        interpreter.invoke()
        return cast("NDArray[np.float32]", interpreter.get_tensor(out_of))[: len(inputs)]

    def _interpreter(self, size: int) -> tuple[Any, int, int]:
        """Return this thread's interpreter for a batch size with the indexes of its input and output."""
        ready: dict[int, tuple[Any, int, int]] = self._local.__dict__.setdefault("ready", {})
        if size not in ready:
            interpreter = Interpreter(model_content=self._content, num_threads=1)
            into = interpreter.get_input_details()[0]["index"]
            interpreter.resize_tensor_input(into, [size, len(self.columns)])
            interpreter.allocate_tensors()
            ready[size] = (interpreter, into, interpreter.get_output_details()[0]["index"])
        return ready[size]

    def _check_shapes(self) -> None:
        try:
            got = self._invoke(np.zeros((1, len(self.columns)), dtype=np.float32)).shape
        except (ValueError, RuntimeError) as error:
            raise ModelLoadError(
                f"model {self.version} cannot be run on {len(self.columns)} features ({error}); train again"
            ) from error
        if got != (1, self._outputs):
            raise ModelLoadError(
                f"model {self.version} returns shape {got}, the manifest says (1, {self._outputs}); retrain"
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelLoadError(f"{path}: cannot be read ({error.strerror}); train a model or restore the file") from error


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(_read(path))
        _ = manifest["version"], manifest["outputs"], manifest["files"][MODEL_FILE], manifest["features"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelLoadError(f"{path}: not a model manifest ({error!r}); train the model again") from error
    return manifest


def _check_hash(path: Path, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelLoadError(
            f"{path}: its SHA-256 is {found}, the manifest says {expected}; "
            "the file was changed or belongs to another version: restore both files together"
        )


def _check_features(path: Path, trained: list[str], mapping: Mapping[str, str]) -> None:
    if set(trained) != set(mapping):
        only_model = ", ".join(sorted(set(trained) - set(mapping))) or "none"
        only_mapping = ", ".join(sorted(set(mapping) - set(trained))) or "none"
        raise ModelLoadError(
            f"{path}: the model's features and ML_FEATURE_MAPPING differ: only in the model: {only_model}; "
            f"only in the mapping: {only_mapping}; correct the mapping or train again"
        )
