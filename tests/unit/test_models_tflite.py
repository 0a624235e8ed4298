"""The TFLite scorer refuses what does not fit and says both sides."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelInputError, ModelLoadError
from models.inputs import FEATURE_MAPPING, model_inputs
from models.tflite import TFLiteScorer
from models.versions import current_version, version_folder

CHURN = Path(__file__).parents[2] / "examples" / "online_retail" / "models" / "churn"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(version_folder(CHURN, current_version(CHURN) or ""), tmp_path / "churn"))


def table(count: int) -> FeatureTable:
    generator = np.random.default_rng(3)
    columns = {name: generator.gamma(1.0, 40.0, count) for name in FEATURE_MAPPING.values()}
    return FeatureTable(tuple(map(str, range(count))), columns)


def test_a_changed_model_is_refused_with_both_hashes(folder: Path) -> None:
    content = (folder / "model.tflite").read_bytes() + b"x"
    (folder / "model.tflite").write_bytes(content)
    with pytest.raises(ModelLoadError) as caught:
        TFLiteScorer.load(folder, FEATURE_MAPPING)
    declared = json.loads((folder / "manifest.json").read_text())["files"]["model.tflite"]
    assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert declared in str(caught.value)


def test_broken_bytes_with_the_right_hash_are_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.tflite"] = hashlib.sha256(b"no model").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "model.tflite").write_bytes(b"no model")
    with pytest.raises(ModelLoadError, match="cannot be run"):
        TFLiteScorer.load(folder, FEATURE_MAPPING)


def test_other_features_are_refused_naming_both_sides(folder: Path) -> None:
    mapping = {name: column for name, column in FEATURE_MAPPING.items() if name != "revenue"} | {"age": "age"}
    with pytest.raises(ModelLoadError, match="only in the model: revenue; only in the mapping: age"):
        TFLiteScorer.load(folder, mapping)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1}', "\udcff"])
def test_a_manifest_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content, errors="surrogateescape")
    with pytest.raises(ModelLoadError, match="not a model manifest"):
        TFLiteScorer.load(folder, FEATURE_MAPPING)


def test_a_missing_model_file_is_refused_with_its_path(folder: Path) -> None:
    (folder / "model.tflite").unlink()
    with pytest.raises(ModelLoadError, match=r"model\.tflite: cannot be read"):
        TFLiteScorer.load(folder, FEATURE_MAPPING)


def test_outputs_other_than_the_manifest_says_are_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | {"outputs": 8}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelLoadError, match="the manifest says"):
        TFLiteScorer.load(folder, FEATURE_MAPPING)


def test_a_model_with_other_columns_than_its_manifest_says_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | {"spreads": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelLoadError, match="gives 2 scores for a customer, the manifest says 1;"):
        TFLiteScorer.load(folder, FEATURE_MAPPING)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("spreads", 2, "expected at most 1, got 2 - at `$.spreads`"),
        ("spreads", -1, "at `$.spreads`"),
        ("confidence", {"cuts": [0.2, 0.1]}, "expected two finite numbers in ascending order"),
        ("confidence", {}, "missing required field `cuts`"),
    ],
)
def test_a_confidence_that_contradicts_itself_is_refused(
    folder: Path, field: str, value: object, sentence: str
) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | {field: value}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelLoadError) as caught:
        TFLiteScorer.load(folder, FEATURE_MAPPING)
    assert sentence in str(caught.value)


def test_the_mapping_says_which_column_a_feature_is_read_from(folder: Path) -> None:
    renamed = dict(FEATURE_MAPPING) | {"days_since_last": "last_purchase_days_ago"}
    rows = table(40)
    moved = rows.with_columns({"last_purchase_days_ago": rows.columns["days_since_last_transaction"]})
    scores = TFLiteScorer.load(folder, renamed).score(moved)
    np.testing.assert_array_equal(scores, TFLiteScorer.load(folder, FEATURE_MAPPING).score(rows))


def test_a_missing_column_is_named(folder: Path) -> None:
    rows = table(2)
    less = FeatureTable(rows.customer_ids, {k: v for k, v in rows.columns.items() if k != "total_revenue"})
    with pytest.raises(ModelInputError, match="'total_revenue'"):
        TFLiteScorer.load(folder, FEATURE_MAPPING).score(less)


def test_a_text_column_is_named() -> None:
    cells = np.array(["gold", None], dtype=object)
    with pytest.raises(ModelInputError, match=r"'tier' is text, .* as \(tier = 'gold'\)::int"):
        model_inputs(FeatureTable(("a", "b"), {"tier": cells}), ["tier"])


def test_null_is_nan_and_true_is_one() -> None:
    cells = np.array([True, None, 2], dtype=object)
    np.testing.assert_array_equal(
        model_inputs(FeatureTable(("a", "b", "c"), {"x": cells}), ["x"]), [[1], [np.nan], [2]]
    )


def test_threads_that_share_a_scorer_get_the_scores_of_one(folder: Path) -> None:
    scorer = TFLiteScorer.load(folder, FEATURE_MAPPING)
    rows = table(300)
    expected = scorer.score(rows)
    wrong: list[int] = []

    def work(number: int) -> None:
        wrong.extend(number for _ in range(50) if not np.array_equal(scorer.score(rows), expected))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_first_model_of_a_process_prints_nothing() -> None:
    """And what is written to the standard error afterwards arrives."""
    folder = version_folder(CHURN, current_version(CHURN) or "")
    code = (
        "import sys; from pathlib import Path; from models.tflite import TFLiteScorer; "
        "from models.inputs import FEATURE_MAPPING; from tests.unit.test_models_tflite import table; "
        f"print(len(TFLiteScorer.load(Path({str(folder)!r}), FEATURE_MAPPING).score(table(3))), file=sys.stderr)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("", "3\n")
