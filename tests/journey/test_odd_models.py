"""Models exported by third parties: usable ones serve, and the others are rejected with the reason."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from console.use_cases.promotions import PromotionRequest, promote_model
from features.table import FeatureTable
from models.errors import ModelLoadError, PromotionRefusedError
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.scores import TOLERANCE
from models.tflite import TFLiteScorer
from models.versions import current_version, promote
from streams.runtime.model_reload import ModelReloader
from streams.settings import load_settings
from tests.builders import AS_OF
from tests.model_versions import SHIPPED, add_copy

COLUMNS = tuple(FEATURE_MAPPING.values())
BOUNDS = (-TOLERANCE, 1 + TOLERANCE)
REFUSED = {
    "zero bytes": "its file is empty",
    "text": "its file is not a TensorFlow Lite model",
    # The interpreter may follow an offset past its end, to a size that it then asks for.
    "truncated": "(restore it|more than 1,024 MiB of memory)",
    "float64 input": "it takes float64, float32 is needed",
    "int8": "it takes int8, float32 is needed",
    "two inputs": "it takes 2 inputs",
    "two outputs": "it gives 2 outputs",
    "other features": r"shape \[1, 5\], \[customers, 8\] is needed",
    "no rows": r"returns shape \(0, 1\) for 1 rows",
    "flex": "an operation that this worker's interpreter does not have",
    "not a number": "no finite score",
    "minus three": r"no row that it was tried with a score from -0.0001 to 1.0001, but \[-3.0\]",
    "softmax of the batch": "the batch would decide",
    "mean of the batch": "the batch would decide",
    "hangs": "more than 3 s of processor time",
    "exhausts memory": "more than 1,024 MiB of memory",
    "fails": "the interpreter refuses it",
}
pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the extra `training`")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd-models")
    command = [sys.executable, str(Path(__file__).with_name("odd_models.py")), str(folder)]
    subprocess.run(command, check=True, env=os.environ, capture_output=True)
    return folder


def load(exported: Path, name: str) -> TFLiteScorer:
    manifest = {"version": "churn-odd", "outputs": 1}
    return TFLiteScorer((exported / f"{name}.tflite").read_bytes(), manifest, COLUMNS, bounds=BOUNDS)


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


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_a_model_that_cannot_serve_is_refused_with_the_reason(exported: Path, name: str, reason: str) -> None:
    with pytest.raises(ModelLoadError, match=rf"^model churn-odd cannot be run: .*{reason}"):
        load(exported, name)


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
async def test_what_serves_stays_wherever_such_a_model_would_begin_to_serve(
    exported: Path, tmp_path: Path, name: str, reason: str
) -> None:
    """At `promote`, which refuses it; in a running worker and after a restart, where it was put into place by hand."""
    home = Path(shutil.copytree(SHIPPED, tmp_path / "models")) / "churn"
    first, load_all = current_version(home), partial(load_scorers, home.parent, FEATURE_MAPPING)
    reloader = ModelReloader(home.parent, load_all, lambda _: None, load_all())
    add_copy(home, "churn-odd", (exported / f"{name}.tflite").read_bytes())
    with pytest.raises(PromotionRefusedError, match=reason):
        promote_model(load_settings(HOLDFAST_MODELS_DIR=str(home.parent)), home, "churn-odd", PromotionRequest("ann"))
    assert current_version(home) == first
    promote(home, "churn-odd", at=AS_OF, by="ann")
    await reloader.poll()
    for scorers, refused in (
        (reloader.scorers, reloader.refused),
        (found := load_all(), tuple(found.refused.values())),
    ):
        assert scorers.versions["churn"] == first
        assert re.match(f"churn: churn-odd is refused .*{reason}.*; {first} serves$", "".join(refused))


def test_a_customer_that_the_interpreter_fails_on_is_the_only_one_without_a_score(exported: Path) -> None:
    table = customers(70)
    table.columns[COLUMNS[0]][[3, 40]] = 1e6
    scores = load(exported, "a row fails").score(table)[:, 0]
    assert np.flatnonzero(np.isnan(scores)).tolist() == [3, 40]
    assert set(scores[~np.isnan(scores)]) == {0.25}
