"""Score exported models through the serving code: python -m benchmarks.quality.scoring FOLDER.

A process of its own, because TensorFlow and tflite-runtime crash when imported into one. Each subfolder holds
a model as serving loads it, and inputs.npy, and gets scores.npy.
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


def main(root: str) -> int:
    """Score every subfolder; return the exit code."""
    for folder in sorted(Path(root).iterdir()):
        try:
            np.save(folder / "scores.npy", score(folder))
        except ModelError as error:
            sys.stderr.write(f"{folder.name}: {error}\n")
            return 1
    return 0


def score(folder: Path) -> NDArray[np.float32]:
    """Return the scores of a folder's inputs, shape [rows, outputs]."""
    names = json.loads((folder / MANIFEST_FILE).read_bytes())["features"]
    inputs = np.load(folder / "inputs.npy")
    table = FeatureTable(tuple(map(str, range(len(inputs)))), dict(zip(names, inputs.T, strict=True)))
    return TFLiteScorer.load(folder, {name: name for name in names}).score(table)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
