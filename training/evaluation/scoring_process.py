"""Score rows through the serving code: python -m training.evaluation.scoring_process FOLDER ROWS SCORES.

A process of its own, because TensorFlow and tflite-runtime crash when imported into one. ROWS is an .npz with
two arrays for each part: `<part>.inputs`, shape [rows, features], and `<part>.groups`, shape [rows], the text that
selects one of the segmented models. SCORES becomes an .npz with two arrays for each part: the scores, and
`<part>.spread` with their spreads, which has no columns where the model gives none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.table import FeatureTable
from models.errors import ModelError
from models.routing import load_model
from models.scores import score_all
from models.versions import MANIFEST_FILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROUP = "\x00group"
"""A column name that no feature has."""


def main(folder: str, rows: str, scores: str) -> int:
    """Score every part of `rows` and write `scores`; return the exit code."""
    manifest = json.loads((Path(folder) / MANIFEST_FILE).read_bytes())
    names: list[str] = manifest["features"]
    routed: str = (manifest.get("routes") or {}).get("column", GROUP)
    try:
        model = load_model(Path(folder), {name: f"feature {name}" for name in names})
        with np.load(rows) as arrays:
            parts = {key.removesuffix(".inputs") for key in arrays if key.endswith(".inputs")}
            found = {
                part: score_all(model, _table(names, arrays[f"{part}.inputs"], routed, arrays[f"{part}.groups"]))
                for part in sorted(parts)
            }
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    outputs: int = manifest["outputs"]
    spreads = {f"{part}.spread": matrix[:, outputs:] for part, matrix in found.items()}
    np.savez(scores, **{part: matrix[:, :outputs] for part, matrix in found.items()}, **spreads)
    return 0


def _table(names: list[str], inputs: NDArray[np.float32], routed: str, groups: NDArray[np.str_]) -> FeatureTable:
    ids = tuple(map(str, range(len(inputs))))
    columns = {f"feature {name}": cells for name, cells in zip(names, inputs.T, strict=True)}
    return FeatureTable(ids, {**columns, routed: groups.astype(object)})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
