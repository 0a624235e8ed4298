"""Export trained nets and take their scores from the serving code."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.quality.errors import ServingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.fit import Trained


@dataclass(frozen=True, slots=True)
class Served:
    """What came of exporting one net.

    Attributes:
        scores: shape [rows, outputs], from the exported model.
        size: of model.tflite, bytes.
        difference: the largest between exported model and trained net; of spend, relative to 1 + spend.
    """

    scores: NDArray[np.float32]
    size: int
    difference: float


def serve(nets: Sequence[tuple[Trained, NDArray[np.float32]]]) -> list[Served]:
    """Export each net and score its rows, shape [rows, features].

    Raises:
        ServingError: a model does not load or run.
    """
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / f"{place:03}" for place in range(len(nets))]
        sizes = [_export(trained, inputs, folder) for (trained, inputs), folder in zip(nets, folders, strict=True)]
        command = [sys.executable, "-m", "benchmarks.quality.scoring", root]
        # Fixed arguments and our own interpreter.
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise ServingError(f"an exported model does not load or run: {done.stderr.strip()[-500:]}")
        scores = [np.load(folder / "scores.npy") for folder in folders]
    found = zip(nets, scores, sizes, strict=True)
    return [Served(each, size, _differ(each, trained.predict(inputs))) for (trained, inputs), each, size in found]


def _export(trained: Trained, inputs: NDArray[np.float32], folder: Path) -> int:
    content = trained.convert()
    manifest: dict[str, Any] = {
        "version": "benchmark",
        "outputs": trained.outputs,
        "features": [f"feature_{i}" for i in range(inputs.shape[1])],
        "files": {"model.tflite": hashlib.sha256(content).hexdigest()},
    }
    folder.mkdir()
    (folder / "model.tflite").write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    np.save(folder / "inputs.npy", inputs)
    return len(content)


def _differ(exported: NDArray[np.float32], trained: NDArray[np.float32]) -> float:
    return float((np.abs(exported - trained) / (1 + np.abs(trained))).max())
