"""The trained model of leads: its scores, the points that stand in for it, files of leads, and its training rows."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from console.use_cases.promotions import PromotionRequest, preview_promotion, promote_model
from models.errors import LeadFileError, ModelLoadError, PromotionRefusedError
from models.lead_file import read_leads
from models.lead_model import load_lead_model, load_lead_scorer
from models.leads import FEATURES, LEADS, THRESHOLDS
from models.registry import keep_models, load_scorers
from models.versions import MODEL_FILE, current_version, read_current
from streams.settings import load_settings
from tests.model_versions import SHIPPED, add_copy, promote_copy
from training.data.lead_rows import find_varying, read_file_rows
from training.errors import TrainingDataError
from training.tasks.leads import Leads, match_quantiles

if TYPE_CHECKING:
    from pathlib import Path

    from models.versions import ModelVersion

LEAD = {"urgency_score": 0.9, "response_rate": 0.8, "budget_specified": 1.0}
SCORES = {"probabilities": [0.0, 0.5, 1.0], "scores": [0.0, 80.0, 100.0]}


def promote(models_dir: Path, version: str = "leads-2", scores: dict[str, list[float]] = SCORES) -> ModelVersion:
    """Let a model serve leads: the shipped one of churn, which has eight features as well."""
    home = models_dir / LEADS
    if not home.exists():
        shutil.copytree(SHIPPED / "churn", home, ignore=shutil.ignore_patterns("reasons.json"))
    current = read_current(home)
    assert current is not None
    return promote_copy(
        home,
        version,
        name=LEADS,
        features=list(FEATURES),
        columns={name: name for name in FEATURES},
        files={MODEL_FILE: current.manifest["files"][MODEL_FILE]},
        lead_scores=scores,
    )


def test_a_promoted_model_scores_leads_instead_of_the_points(tmp_path: Path) -> None:
    promote(tmp_path)
    scorer, refused = load_lead_scorer(tmp_path, THRESHOLDS)
    (found,) = scorer.score([LEAD])
    assert (found.basis, found.version, refused) == ("model", "leads-2", {})
    assert found.probability is not None
    assert found.score == pytest.approx(np.interp(found.probability, *SCORES.values()), abs=0.05)
    assert scorer.score([]) == []
    assert scorer.explain(LEAD, "model") == ()  # a version without a background


def test_a_model_that_cannot_be_used_leaves_the_points(tmp_path: Path) -> None:
    """It says why; a model that served goes on."""
    promote(tmp_path)
    serving = load_scorers(tmp_path, {})
    promote(tmp_path, "leads-3", scores={})
    found = load_scorers(tmp_path, {})
    assert found.leads.score([LEAD])[0].basis == "points"
    assert "leads-3 says no scores for its probabilities" in found.refused[LEADS]
    assert keep_models(serving, found).leads.version == "leads-2"


def test_a_version_is_promoted_without_a_view(tmp_path: Path) -> None:
    promote(tmp_path)
    home, settings = tmp_path / LEADS, load_settings(models_dir=tmp_path)
    add_copy(home, "leads-3")
    promote_model(settings, home, "leads-3", PromotionRequest("ann"))
    assert current_version(home) == "leads-3"
    add_copy(home, "leads-4", lead_scores={})
    with pytest.raises(ModelLoadError, match="says no scores"):
        load_lead_model(home, "leads-4")
    with pytest.raises(PromotionRefusedError, match="no preview"):
        preview_promotion(settings, home, "leads-3")


def test_as_many_leads_reach_each_score_by_the_model_as_by_points() -> None:
    rng = np.random.default_rng(3)
    probabilities, points = rng.beta(1, 8, 5000), rng.normal(50, 15, 5000).clip(0, 100)
    matched = match_quantiles(probabilities, points)
    scores = np.interp(probabilities, matched["probabilities"], matched["scores"])
    for least in (20, 50, 80):
        assert (scores >= least).mean() == pytest.approx((points >= least).mean(), abs=0.003)
    assert (matched["scores"][0], matched["scores"][-1]) == (0, 100)
    constant = match_quantiles(np.full(100, 0.3), points)
    assert constant["probabilities"] == [0, 0.3, 1]


HEAD = "lead_id,urgency_score,skin_age,budget_specified,converted,date\n"


def write(path: Path, text: str, encoding: str = "utf-8-sig") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_a_file_of_leads_is_read(tmp_path: Path) -> None:
    """With a byte order mark, empty cells and other names."""
    one, two = read_leads(write(tmp_path / "leads.csv", HEAD + "a,0.5,7,true,yes,2025-01-02\nb,,3,0,,\n"))
    assert (one.lead_id, one.features["profile_delta"], one.features["budget_specified"]) == ("a", 7, 1)
    assert (two.features["urgency_score"], two.features["budget_specified"], two.converted) == (None, 0, "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lead,urgency\n", "the columns are lead, urgency; needed are lead_id"),
        ("", "the columns are none"),
        (HEAD + "a,2,,,,\n", r"line 2: Expected `float` <= 1.0 - at `\$.urgency_score`"),
        (HEAD + "a,0.1,,,,\na,0.2,,,,\n", "line 3: lead 'a' is in line 2, too"),
        (HEAD + ",0.1,,,,\n", "line 2: lead_id is ''; it must be plain text"),
        (HEAD + "a,,,,,\n", "line 2: there is no feature"),
        (HEAD + 'a,"0.1,,,,\n', "not CSV"),
        (HEAD + "a,0,5,7,1,yes,2025-01-02,x\n", "line 2: more cells than the header"),
        (HEAD + "a\0,0.1,,,,\n", "must be plain text"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(LeadFileError, match=problem):
        read_leads(write(tmp_path / "leads.csv", text))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeadFileError, match="save it as UTF-8"):
        read_leads(write(tmp_path / "leads.csv", HEAD + "Zoë,0.5,,,,\n", "latin-1"))
    with pytest.raises(LeadFileError, match="cannot be read"):
        read_leads(tmp_path / "none.csv")


def test_labels_become_rows_and_a_feature_without_variety_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "leads.csv", HEAD + "a,0.5,7,1,yes,2025-01-02\nb,0.2,7,0,no,2025-01-03\n")
    rows = read_file_rows(path)
    mapping, left_out = find_varying(rows)
    assert list(mapping) == ["urgency_score", "budget_specified"]
    assert "profile_delta" in left_out
    assert Leads().targets(rows).tolist() == [[1], [0]]


@pytest.mark.parametrize(("cells", "problem"), [(",", "no lead has a cell"), ("yes,soon", "holds no date")])
def test_labels_that_cannot_be_learned_from_are_refused(tmp_path: Path, cells: str, problem: str) -> None:
    with pytest.raises(TrainingDataError, match=problem):
        read_file_rows(write(tmp_path / "leads.csv", HEAD + f"a,0.5,,,{cells}\n"))
