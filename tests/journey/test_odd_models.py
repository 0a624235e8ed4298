"""Models exported by third parties: usable ones serve, and the others are rejected with the reason."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelLoadError
from models.inputs import FEATURE_MAPPING
from models.tflite import TFLiteScorer

COLUMNS = tuple(FEATURE_MAPPING.values())
pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the extra `training`")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd-models")
    command = [sys.executable, str(Path(__file__).with_name("odd_models.py")), str(folder)]
    subprocess.run(command, check=True, env=os.environ, capture_output=True)
    return folder


def load(exported: Path, name: str) -> TFLiteScorer:
    return TFLiteScorer((exported / f"{name}.tflite").read_bytes(), {"version": "churn-odd", "outputs": 1}, COLUMNS)


def customers(count: int) -> FeatureTable:
    generator = np.random.default_rng(3)
    return FeatureTable(tuple(map(str, range(count))), {name: generator.gamma(1, 40, count) for name in COLUMNS})


@pytest.mark.parametrize("name", ["sound", "fixed batch", "float16"])
def test_a_model_that_can_serve_scores_every_batch(exported: Path, name: str) -> None:
    scorer, table = load(exported, name), customers(600)
    scores = scorer.score(table)
    assert (scores.shape, scores.dtype) == ((600, 1), np.float32)
    assert ((scores > 0) & (scores < 1)).all()
    np.testing.assert_allclose(scores[7:8], scorer.score(table.take([7])), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("zero bytes", "its file is empty"),
        ("text", "its file is not a TensorFlow Lite model"),
        ("truncated", "restore it"),
        ("float64 input", "it takes float64, float32 is needed"),
        ("int8", "it takes int8, float32 is needed"),
        ("two inputs", "it takes 2 inputs"),
        ("two outputs", "it gives 2 outputs"),
        ("other features", r"shape \[1, 5\], \[customers, 8\] is needed"),
        ("no rows", r"returns shape \(0, 1\) for 1 rows"),
        ("flex", "an operation that this worker's interpreter does not have"),
        ("not a number", "no finite score"),
        ("softmax of the batch", "the batch would decide"),
        ("mean of the batch", "the batch would decide"),
        ("fails", "the interpreter refuses it"),
    ],
)
def test_a_model_that_cannot_serve_is_refused_with_the_reason(exported: Path, name: str, reason: str) -> None:
    with pytest.raises(ModelLoadError, match=rf"^model churn-odd cannot be run: .*{reason}"):
        load(exported, name)


def test_a_customer_that_the_interpreter_fails_on_is_the_only_one_without_a_score(exported: Path) -> None:
    table = customers(70)
    table.columns[COLUMNS[0]][[3, 40]] = 1e6
    scores = load(exported, "a row fails").score(table)[:, 0]
    assert np.flatnonzero(np.isnan(scores)).tolist() == [3, 40]
    assert set(scores[~np.isnan(scores)]) == {0.25}
