"""Export a trained net and take its scores from the serving code."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.served_scores import Rows, score_as_served, verify

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.nets.fit import Trained


@dataclass(frozen=True, slots=True)
class Served:
    """The result of exporting one net.

    Attributes:
        scores: shape [rows, outputs], from the exported model.
        spread: shape [rows, spreads].
        size: of model.tflite, bytes.
        difference: the largest between exported model and trained net, as a share of scores above 1.
    """

    scores: NDArray[np.float32]
    spread: NDArray[np.float32]
    size: int
    difference: float


def serve(trained: Trained, inputs: NDArray[np.float32]) -> Served:
    """Export a net and score rows of shape [rows, features].

    Raises:
        ExportError: the model does not load or run, or scores other than the net does.
    """
    content = trained.convert()
    manifest: dict[str, Any] = {
        "version": "benchmark",
        "outputs": trained.outputs,
        "spreads": trained.spreads,
        "features": [f"feature_{i}" for i in range(inputs.shape[1])],
        "files": {"model.tflite": hashlib.sha256(content).hexdigest()},
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "model.tflite").write_bytes(content)
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        rows = Rows(inputs, np.full(len(inputs), "", dtype=np.str_))
        served = score_as_served(folder, {"rows": rows})
    matrix = np.hstack([served["rows"], served["rows.spread"]])
    gap = verify(matrix, trained.predict_with_spread(inputs))["max_difference"]
    return Served(served["rows"], served["rows.spread"], len(content), gap)
