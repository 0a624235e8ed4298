"""Run an exported model through the serving code and compare: python -m training.verification FOLDER SAMPLES.

A process of its own, because TensorFlow and tflite-runtime crash when imported into one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.table import FeatureTable
from models.errors import ModelError
from models.tflite import TFLiteScorer
from models.versions import MANIFEST_FILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

ODD = (np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0)


def main(folder: str, samples: str) -> int:
    """Print one JSON object: rows, max_difference, finite_on_odd_rows; return the exit code."""
    names = json.loads((Path(folder) / MANIFEST_FILE).read_bytes())["features"]
    with np.load(samples) as arrays:
        inputs, expected = arrays["inputs"], arrays["expected"]
    try:
        scorer = TFLiteScorer.load(Path(folder), {name: name for name in names})
        scores = scorer.score(_table(names, inputs))
        odd = scorer.score(_table(names, _odd_rows(inputs[0])))
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    found = {
        "rows": len(inputs),
        "max_difference": float(np.abs(scores - expected).max()),
        "finite_on_odd_rows": bool(np.isfinite(odd).all()),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _table(names: list[str], inputs: NDArray[np.float32]) -> FeatureTable:
    ids = tuple(map(str, range(len(inputs))))
    return FeatureTable(ids, dict(zip(names, inputs.T, strict=True)))


def _odd_rows(row: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the row with each odd value in each place, and in all places at once."""
    rows = [np.where(np.arange(len(row)) == place, value, row) for place in range(len(row)) for value in ODD]
    return np.array([*rows, *(np.full(len(row), value) for value in ODD)], dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
