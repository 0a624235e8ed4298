"""The model card says what the manifest says, in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.versions import read_current
from training.report.model_card import find_baselines, write_model_card
from training.tasks.registry import TASKS

MODELS = Path(__file__).parents[2] / "examples" / "online_retail" / "models"


def shipped(name: str) -> dict[str, Any]:
    current = read_current(MODELS / name)
    assert current is not None
    return dict(current.manifest)


@pytest.mark.parametrize("name", ["churn", "nbo"])
def test_the_card_of_a_shipped_model_has_its_figures(name: str) -> None:
    manifest = shipped(name)
    card = write_model_card(manifest, TASKS[name])
    low, high = manifest["metrics"]["model"]["auc_95"]
    assert f"{manifest['metrics']['model']['auc']:.4g} [{low:.4g}, {high:.4g}]" in card
    assert f"Trained on {manifest['training']['rows']:,} rows" in card
    assert all(limit in card for limit in manifest["limits"])


@pytest.mark.parametrize("name", TASKS)
def test_every_card_says_what_the_model_is_for_and_what_not(name: str) -> None:
    card = write_model_card({"version": f"{name}-1"}, TASKS[name])
    assert "## Intended use" in card
    assert "legal or similar effect" in card
    assert f"{name}-1" in card
    assert "## What it predicts" in card


def test_gates_stand_in_the_card_with_their_reasons() -> None:
    gate = {"name": "beats_rfm", "verdict": "refused", "sentence": "AUC .61 | RFM .64."}
    card = write_model_card({"version": "churn-1", "gates": [gate]}, None)
    assert "| not worse than rfm | refused | AUC .61 \\| RFM .64. |" in card


def test_baselines_stand_beside_the_model() -> None:
    metrics = {"model": {"auc": 0.7, "auc_95": []}, "baselines": {"rfm": {"auc": 0.6}, "champion": {"brier": 0.2}}}
    card = write_model_card({"version": "churn-1", "metrics": metrics}, None)
    assert "| AUC (.5 is random, 1 is perfect) | 0.7 | 0.6 |  |" in card
    assert [*find_baselines(metrics)] == ["rfm", "champion"]


def test_the_card_is_text_that_any_manifest_gives() -> None:
    assert json.dumps(write_model_card({"version": "churn-1", "metrics": {"note": "one outcome only"}}, None))
