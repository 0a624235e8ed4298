"""Scores of an exported model, computed by the serving code in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

TOLERANCE = 1e-5
TIMEOUT_S = 600
EDGE_CASES = (np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to score.

    Attributes:
        inputs: shape [rows, features].
        groups: shape [rows], which of the routed models is meant; empty texts for the pooled one.
    """

    inputs: NDArray[np.float32]
    groups: NDArray[np.str_]


def score_as_served(folder: Path, parts: Mapping[str, Rows]) -> dict[str, NDArray[np.float32]]:
    """Return the scores that serving gives with a folder's models, by part, and their spreads, by `<part>.spread`.

    In a process of its own: TensorFlow and tflite-runtime crash in one.

    Raises:
        ExportError: the model does not load, does not run, or gives something that is no finite number.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-scores-") as place:
        rows, scores = Path(place) / "rows.npz", Path(place) / "scores.npz"
        inputs = {f"{name}.inputs": part.inputs for name, part in parts.items()}
        groups = {f"{name}.groups": part.groups for name, part in parts.items()}
        np.savez(rows, **inputs, **groups)
        command = [sys.executable, "-m", "training.evaluation.scoring_process", str(folder), str(rows), str(scores)]
        try:
            # Fixed arguments and our own interpreter.
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"{folder}: the exported model did not score {len(parts)} parts in {TIMEOUT_S} s"
            ) from error
        if done.returncode:
            raise ExportError(f"the exported model does not load or run: {done.stderr.strip()[-500:]}")
        with np.load(scores) as arrays:
            return dict(arrays)


def verify(served: NDArray[np.float32], expected: NDArray[np.float32]) -> dict[str, Any]:
    """Return how far the exported model is from the trained one, as a share of scores above 1.

    Raises:
        ExportError: further than rounding explains.
    """
    gap = np.abs(served - expected) / np.maximum(np.abs(expected), 1.0)
    found = {"rows": len(served), "max_difference": float(gap.max()), "finite_on_odd_rows": True}
    if not found["max_difference"] <= TOLERANCE:
        raise ExportError(f"the exported model differs from the trained one: {found}; nothing was added")
    return found


def edge_case_rows(row: NDArray[np.float32]) -> Rows:
    """Return a row with each odd value (NaN, infinite, huge) in each place, and in all places at once."""
    places = np.arange(len(row))
    rows = [np.where(places == place, value, row) for place in places for value in EDGE_CASES]
    rows += [np.full(len(row), value) for value in EDGE_CASES]
    return Rows(np.array(rows, dtype=np.float32), np.full(len(rows), "", dtype=np.str_))
