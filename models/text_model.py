"""A model of texts: hashed n-grams into a TFLite model with its manifest, a probability for each class out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import ModelLoadError
from models.interpreter import BATCH_SIZES, TFLiteNetwork
from models.manifest import read_manifest
from models.probe_process import probe
from models.text_inputs import INPUTS, SCHEME, read_inputs
from models.tflite import read_model
from models.versions import MANIFEST_FILE, MODEL_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from features.table import FeatureTable

CLASSES = ("negative", "neutral", "positive")
NEGATIVE, _, POSITIVE = range(len(CLASSES))
DECIMALS = 4
"""Of a sentiment, as of VADER's: rounding differs with the size of a batch, and a replay has other batches."""
CHUNK = 256


class TextScorer:
    """Reads the sentiment of texts.

    Attributes:
        version: the manifest's version.
        manifest: the whole manifest.
        languages: of the texts that it was trained on, as ISO 639 codes.
    """

    basis = "model"
    columns: tuple[str, ...] = ()
    """It reads no column of the warehouse."""
    spreads = 0

    def __init__(self, content: bytes, manifest: Mapping[str, Any]) -> None:
        self.version: str = manifest["version"]
        self.manifest = manifest
        self.languages = frozenset[str](manifest["text"]["languages"])
        self.categories: Mapping[str, Sequence[str]] = {}
        outputs, fault = probe(content, INPUTS, (0.0, 1.0 + 1e-4))
        if fault is None and outputs != len(CLASSES):
            fault = f"it gives {outputs} scores for a text, {len(CLASSES)} are needed; train it again"
        if fault is not None:
            raise ModelLoadError(f"model {self.version} cannot be run: {fault}")
        self._network = TFLiteNetwork(content, INPUTS)

    @classmethod
    def load(cls, folder: Path) -> TextScorer:
        """Load a model from its folder.

        Raises:
            ModelLoadError: a file is missing or broken, the manifest is not of a model of texts, or it was trained
                with another way of reading them.
        """
        manifest = read_manifest(folder / MANIFEST_FILE, MODEL_FILE)
        text = manifest.get("text")
        if text is None:
            raise ModelLoadError(f"{folder / MANIFEST_FILE}: is of no model of texts; train sentiment again")
        if text["scheme"] != SCHEME:
            raise ModelLoadError(
                f"{folder / MANIFEST_FILE}: was trained on texts read by scheme {text['scheme']}, "
                f"this release reads them by scheme {SCHEME}; train it again"
            )
        return cls(read_model(folder, manifest), manifest)

    def read_sentiments(self, texts: Sequence[str]) -> list[float | None]:
        """Return the probability of positive less that of negative of each text; None where it is no number."""
        if not texts:
            return []
        scores = self.score_texts(texts)
        sentiments = (scores[:, POSITIVE] - scores[:, NEGATIVE]).clip(-1.0, 1.0).astype(np.float64).round(DECIMALS)
        return [float(each) if np.isfinite(each) else None for each in sentiments]

    def score_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probability of each of `CLASSES`, shape [texts, 3]; NaN where the interpreter fails."""
        chunks = [self._score(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
        return np.concatenate(chunks) if chunks else np.empty((0, len(CLASSES)), dtype=np.float32)

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = read_inputs(texts)
        # The sizes that interpreters are made for, so that few texts are not padded to many.
        size = max(each for each in BATCH_SIZES if each <= max(len(rows), 1))
        parts = [self._run(rows[start : start + size]) for start in range(0, len(rows), size)]
        return np.concatenate(parts)

    def _run(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return self._network.run(rows)
        except (ValueError, RuntimeError):
            return np.full((len(rows), len(CLASSES)), np.nan, dtype=np.float32)

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return unknown for each customer: texts are scored, not customers."""
        return np.full((len(table), len(CLASSES)), np.nan, dtype=np.float32)

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return unknown for each customer."""
        return self.score(table)
