"""Trains the nets that benchmarks.models measures: python -m benchmarks.model_training FOLDER.

In a process of its own, because TensorFlow and the interpreter of serving crash in one. FOLDER gets a folder for each
net, as serving loads it, with the rows and the scores of Keras in keras.npz.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.nets.fit import Options, conform, fit
from training.nets.spread import add_spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.nets.fit import Method, Trained

FEATURES = 24
ROWS = 4000
COMPARED = 5000
COVERAGE = 0.8
NULLS = 0.05
METHODS: tuple[Method, ...] = ("additive", "tabm")
# Speed depends on the shape of a net and not on how long it was trained.
OPTIONS = Options(epochs=2)


def main(root: Path) -> None:
    """Train and write the nets of churn and of value, both methods."""
    inputs, churned, spend = draw_rows(ROWS, seed=1)
    compared = draw_rows(COMPARED, seed=2)[0]
    for method in METHODS:
        churn = fit(inputs, churned, method=method, seed=1, options=OPTIONS)
        bare = replace(churn)
        churn = add_spread(churn, inputs, churned, OPTIONS, seed=1)
        value = fit(
            inputs,
            spend,
            likelihood="zero_inflated_lognormal",
            method=method,
            seed=1,
            interval=COVERAGE,
            options=OPTIONS,
        )
        write(root / f"churn-{method}", churn, compared)
        write(root / f"churn-{method}-without-spread", bare, compared)
        write(root / f"value-{method}", conform(value, inputs, spend, COVERAGE)[0], compared)


def draw_rows(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return features with nulls, whether customers left, and what they spent."""
    draw = np.random.default_rng(seed)
    inputs = draw.gamma(1.0, 50.0, (count, FEATURES))
    inputs[draw.random(inputs.shape) < NULLS] = np.nan
    days = np.nan_to_num(inputs[:, 0], nan=50.0)
    churned = draw.random(count) < 1 / (1 + np.exp(1 - days / 40))
    spend = np.where(churned, 0.0, np.exp(draw.normal(4, 1, count)))
    return inputs.astype(np.float32), churned[:, None].astype(np.float32), spend[:, None].astype(np.float32)


def write(folder: Path, trained: Trained, compared: NDArray[np.float32]) -> None:
    """Write a net as serving loads it, and the scores of Keras."""
    folder.mkdir(parents=True)
    content = trained.convert()
    (folder / "model.tflite").write_bytes(content)
    manifest = {
        "version": folder.name,
        "outputs": trained.outputs,
        "spreads": trained.spreads,
        "features": [f"feature_{place}" for place in range(FEATURES)],
        "files": {"model.tflite": hashlib.sha256(content).hexdigest()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    np.savez(folder / "keras.npz", inputs=compared, scores=trained.predict_with_spread(compared))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
