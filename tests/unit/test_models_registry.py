"""Which scorer serves: the model, or the rule and the reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelLoadError, RfmDefinitionError
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.rfm import RfmCuts
from models.tasks.registry import TASKS
from models.versions import current_version, roll_back, version_folder
from tests.builders import AS_OF
from tests.model_versions import promote_copy

MODELS = Path(__file__).parents[2] / "examples" / "online_retail" / "models"


def test_the_shipped_models_load() -> None:
    scorers = load_scorers(MODELS, FEATURE_MAPPING, len(FEATURE_MAPPING))
    assert (scorers["churn"].basis, scorers["nbo"].basis, scorers["ltv"].basis) == ("model", "model", "rules")
    assert scorers.versions["churn"].startswith("churn-20110217-")


def test_an_empty_folder_gives_rules_and_says_so(tmp_path: Path) -> None:
    scorers = load_scorers(tmp_path, FEATURE_MAPPING)
    assert set(scorers.reasons) == {name for name, task in TASKS.items() if not task.is_optional}
    assert scorers["churn"].version == "rules"
    assert scorers.rfm == RfmCuts()


def test_a_refused_model_gives_rules_with_the_refusal_as_reason(tmp_path: Path) -> None:
    home = Path(shutil.copytree(MODELS / "churn", tmp_path / "churn"))
    (version_folder(home, current_version(home) or "") / "model.tflite").write_bytes(b"changed")
    scorers = load_scorers(tmp_path, FEATURE_MAPPING)
    assert scorers["churn"].basis == "rules"
    assert "SHA-256" in scorers.reasons["churn"]


def test_a_model_that_was_not_promoted_gives_rules_and_says_so(tmp_path: Path) -> None:
    home = Path(shutil.copytree(MODELS / "churn", tmp_path / "churn"))
    (home / "current").unlink()
    assert load_scorers(tmp_path, FEATURE_MAPPING).reasons["churn"] == f"no model promoted at {home}"


@pytest.mark.parametrize("content", ["", "../../nbo", "churn-gone", "\udcff"])
def test_a_current_file_that_names_no_version_gives_the_version_promoted_last(tmp_path: Path, content: str) -> None:
    home = Path(shutil.copytree(MODELS / "churn", tmp_path / "churn"))
    promoted = current_version(home)
    (home / "current").write_text(content, errors="surrogateescape")
    scorers = load_scorers(tmp_path, FEATURE_MAPPING)
    assert scorers.versions["churn"] == promoted
    assert str(home) in scorers.refused["churn"]
    (home / "history.jsonl").unlink()
    assert str(home) in load_scorers(tmp_path, FEATURE_MAPPING).reasons["churn"]


def test_the_version_promoted_last_that_can_serve_does(tmp_path: Path) -> None:
    home = Path(shutil.copytree(MODELS / "churn", tmp_path / "churn"))
    promote_copy(home, "churn-2")
    promote_copy(home, "churn-3", b"no model")
    promote_copy(home, "churn-4", features=["age"])
    scorers = load_scorers(tmp_path, FEATURE_MAPPING)
    assert (scorers.versions["churn"], scorers["churn"].basis) == ("churn-2", "model")
    assert scorers.refused["churn"].startswith("churn: churn-4 is refused (")
    assert scorers.refused["churn"].endswith("; churn-2 serves")
    assert "only in the model: age" in scorers.refused["churn"]


def test_a_version_that_was_rolled_back_does_not_serve_in_place_of_another(tmp_path: Path) -> None:
    home = Path(shutil.copytree(MODELS / "churn", tmp_path / "churn"))
    first = current_version(home)
    promote_copy(home, "churn-2")
    roll_back(home, at=AS_OF, by="ann")
    promote_copy(home, "churn-3", b"no model")
    assert load_scorers(tmp_path, FEATURE_MAPPING).versions["churn"] == first


@pytest.mark.parametrize(
    "line", ["{", '{"what": 1}', '{"action": "promoted", "at": "", "by": "", "before": [], "after": 5}']
)
def test_a_damaged_history_offers_no_version(tmp_path: Path, line: str) -> None:
    home = Path(shutil.copytree(MODELS / "churn", tmp_path / "churn"))
    promote_copy(home, "churn-2", b"no model")
    (home / "history.jsonl").write_text(line)
    scorers = load_scorers(tmp_path, FEATURE_MAPPING)
    assert scorers["churn"].basis == "rules"
    assert scorers.refused["churn"].endswith("; rules decide")


def test_a_model_in_the_wrong_folder_is_not_used(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "nbo", tmp_path / "churn")
    assert "8 outputs, 1 are needed" in load_scorers(tmp_path, FEATURE_MAPPING).reasons["churn"]


def test_an_input_size_that_contradicts_the_mapping_is_refused() -> None:
    with pytest.raises(ModelLoadError, match="ML_MODEL_INPUT_SIZE is 5"):
        load_scorers(MODELS, FEATURE_MAPPING, 5)


def test_mock_mode_scores_by_customer_id_alone() -> None:
    scorers = load_scorers(MODELS, FEATURE_MAPPING, mock=True)
    one, two = FeatureTable(("17850",), {}), FeatureTable(("13047", "17850"), {})
    assert scorers["churn"].basis == "mock"
    np.testing.assert_array_equal(scorers["nbo"].score(one)[0], scorers["nbo"].score(two)[1])


@pytest.mark.parametrize("content", ["{", '{"recency": [4, 3, 2, 1]}', '{"recency": [1, 2]}'])
def test_bad_rfm_cut_points_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "rfm.json").write_text(content)
    with pytest.raises(RfmDefinitionError, match=r"rfm\.json"):
        load_scorers(tmp_path, FEATURE_MAPPING)


def test_without_a_folder_the_rules_score_and_name_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies in the folder where the worker was started."""
    (tmp_path / "churn").mkdir()
    monkeypatch.chdir(tmp_path)
    assert set(load_scorers(None, FEATURE_MAPPING).reasons.values()) == {
        "HOLDFAST_MODELS_DIR names no folder of models"
    }
