"""Training from the example warehouse, as the command a person runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console.warehouse import load_example
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.versions import read_current

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = Path(__file__).parents[2] / "examples" / "online_retail"
# Looked up and not imported: TensorFlow and the interpreter crash in one process.
needs_tensorflow = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the extra `training`")


@pytest.fixture
def example_url(warehouse_url: str) -> str:
    load_example(warehouse_url, date(2011, 6, 1), EXAMPLE)
    return warehouse_url


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training", *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, cwd=EXAMPLE.parents[1]
    )


def manifest(home: Path) -> Mapping[str, Any]:
    """Return the manifest of the version that serves."""
    current = read_current(home)
    assert current is not None
    return current.manifest


@needs_tensorflow
@pytest.mark.parametrize("task", ["churn", "nbo"])
def test_the_shipped_models_are_what_the_documented_command_gives(task: str, example_url: str, tmp_path: Path) -> None:
    done = run(task, "--warehouse-url", example_url, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    trained, shipped = manifest(tmp_path / task), manifest(EXAMPLE / "models" / task)
    assert trained["training"]["data_sha256"] == shipped["training"]["data_sha256"]
    assert trained["metrics"]["model"]["auc"] == pytest.approx(shipped["metrics"]["model"]["auc"], abs=0.005)
    assert trained["metrics"]["model"]["auc"] > trained["metrics"]["rule"]["auc"]
    assert trained["verification"]["max_difference"] < 1e-5
    assert task not in load_scorers(tmp_path, FEATURE_MAPPING).reasons


@needs_tensorflow
def test_ones_own_query_and_mapping_are_used(example_url: str, tmp_path: Path) -> None:
    query = """SELECT customer_id, total_revenue * 2.0 AS spend, days_since_last_transaction AS days, churned
               FROM customer_churn_history WHERE snapshot_date >= :start_date AND country LIKE 'U%'"""
    mapping = {"spend": "spend", "recency": "days"}
    done = run(
        *("churn", "--warehouse-url", example_url, "--out", str(tmp_path), "--start-date", "2011-02-01"),
        DWH_CHURN_TRAINING_QUERY=query,
        ML_FEATURE_MAPPING=json.dumps(mapping),
    )
    assert done.returncode == 0, done.stderr
    assert manifest(tmp_path / "churn")["features"] == ["spend", "recency"]


def test_rfm_cut_points_of_the_example_are_those_shipped(example_url: str, tmp_path: Path) -> None:
    done = run("rfm", "--warehouse-url", example_url, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rfm.json").read_text() == (EXAMPLE / "models" / "rfm.json").read_text()


@pytest.mark.parametrize(
    ("url", "reason"),
    [("postgresql://someone:secret@127.0.0.1:1/none", "connection"), (None, "no_such_table")],
)
def test_what_cannot_be_read_is_one_sentence_and_exit_code_two(
    url: str | None, reason: str, warehouse_url: str, tmp_path: Path
) -> None:
    query = "SELECT * FROM no_such_table"
    done = run("rfm", "--warehouse-url", url or warehouse_url, "--out", str(tmp_path), "--query", query)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
