"""`holdfast models` on the example warehouse: rows of later days evaluate the shipped model."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from console.cli import holdfast
from models.experiment_control import start_experiment
from models.inputs import FEATURE_MAPPING, model_inputs
from models.monitoring_record import read_monitoring
from models.registry import load_scorers
from models.versions import SNAPSHOT_FILE, add_version, promote, read_current, staging_folder
from tests.model_versions import add_copy
from training.data.dataset import Source, read_table
from training.evaluation.evaluation_data import EvaluationData
from training.monitoring.drift import describe_snapshot
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.journey.conftest import LendExample

    Run = Callable[..., tuple[int, Any]]

EXAMPLE = Path(__file__).parents[2] / "examples" / "online_retail"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
THEN = "SELECT * FROM customer_features('2011-02-16')"


@pytest.fixture
def example_url(lend_example: LendExample) -> Iterator[str]:
    """The warehouse as of half a year after the last training day of the shipped model."""
    with lend_example(date(2011, 9, 15)) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE / "models", tmp_path / "models"))


@pytest.fixture
def run(example_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command with --json and returns its exit code and output."""
    monkeypatch.setenv("HOLDFAST_WAREHOUSE_URL", example_url)
    monkeypatch.setenv("HOLDFAST_MODELS_DIR", str(folder))

    def invoke(*arguments: str) -> tuple[int, Any]:
        result = CliRunner().invoke(holdfast, ["models", *arguments, "--json"])
        return result.exit_code, json.loads(result.stdout)

    return invoke


def remember_training(folder: Path, url: str) -> None:
    """Promote a copy of the churn model with a snapshot of its training customers."""
    home = folder / "churn"
    current = read_current(home)
    assert current is not None
    rows = read_table(Source(url, FEATURE_MAPPING, date.min), THEN)
    inputs = model_inputs(rows, [*FEATURE_MAPPING.values()])
    scores = load_scorers(folder, FEATURE_MAPPING)["churn"].score(rows)
    nothing = np.empty((0, 1), np.float32)
    evidence = EvaluationData(
        *(TASKS["churn"], nothing, nothing, {}, None, np.empty(0), (), np.empty(0, "datetime64[D]")),
        training_inputs=inputs,
        training_scores=scores,
        later_inputs=inputs,
        features=tuple(FEATURE_MAPPING),
    )
    with staging_folder(home) as staging:
        shutil.copytree(current.folder, staging)
        (staging / SNAPSHOT_FILE).write_text(json.dumps(describe_snapshot(evidence)))
        files = {name: digest for name, digest in current.manifest["files"].items() if name != SNAPSHOT_FILE}
        changed = {"version": "churn-2", "files": files, "gates": []}
        (staging / "manifest.json").write_text(json.dumps({**current.manifest, **changed}))
        add_version(home, staging, at=NOW, by="ann")
    promote(home, "churn-2", at=NOW, by="ann")


def test_later_outcomes_say_that_the_ranking_holds_and_the_chances_do_not(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    code, result = run("monitor", "churn", "--by", "country", "--metrics", str(tmp_path / "churn.prom"))
    assert code == 4
    assert [(each["check"], each["verdict"]) for each in result["findings"]] == [
        ("drift", "retrain"),
        ("ranking", "fine"),
        ("calibration", "retrain"),
    ]
    assert [each["name"] for each in result["periods"]] == ["2011-04", "2011-05", "2011-06"]
    last = result["periods"][-1]
    assert (last["rows"], last["auc"], last["observed"]) == (
        5301,
        pytest.approx(0.760, abs=0.002),
        pytest.approx(0.5, abs=0.001),
    )
    assert sum(each["rows"] for each in result["groups"]) == sum(each["rows"] for each in result["periods"])
    assert "holdfast_model_retrain" in (tmp_path / "churn.prom").read_text()
    kept = read_monitoring(folder / "churn")
    assert kept is not None
    assert (kept.verdict, len(kept.reasons)) == ("retrain", 2)


def test_customers_have_moved_since_training_and_not_from_themselves(run: Run, folder: Path, example_url: str) -> None:
    remember_training(folder, example_url)
    code, result = run("monitor", "churn", "--since", "2012-01-01")
    assert (code, result["periods"]) == (4, [])
    assert result["drift"]["days_since_last"] > 1
    code, result = run("monitor", "churn", "--since", "2012-01-01", "--population", THEN)
    assert (code, max(result["drift"].values())) == (0, pytest.approx(0, abs=1e-6))


def test_nothing_to_judge_by_is_said_with_code_two(run: Run) -> None:
    empty = "SELECT * FROM customer_features_view WHERE false"
    code, result = run("monitor", "churn", "--since", "2012-01-01", "--population", empty)
    assert (code, result["verdict"]) == (2, "cannot be judged")
    assert "the view has no customers" in result["findings"][0]["sentence"]


def test_a_view_with_several_rows_of_a_customer_is_not_monitored(example_url: str, folder: Path) -> None:
    twice = "SELECT * FROM customer_features_view UNION ALL SELECT * FROM customer_features_view"
    environment = {"HOLDFAST_WAREHOUSE_URL": example_url, "HOLDFAST_MODELS_DIR": str(folder)}
    result = CliRunner(env=environment).invoke(holdfast, ["models", "monitor", "churn", "--population", twice])
    assert "customers have several rows in the view" in str(result.exception)


def test_a_preview_tells_who_would_move_and_promotes_nothing(run: Run, folder: Path) -> None:
    version = (folder / "churn" / "current").read_text().strip()
    (folder / "churn" / "current").unlink()
    code, found = run("promote", "churn", version, "--preview")
    assert (code, found["customers"], found["before"], found["after"]) == (0, 3466, "rules", version)
    assert sum(each["customers"] for each in found["moves"]["churn_risk"]) > 500
    assert "high-churn-risk" in found["segments"]
    assert not (folder / "churn" / "current").exists()


def test_a_shadow_is_compared_with_the_champion_on_the_outcomes_since_its_start(
    run: Run, folder: Path, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here with a copy of it, which is calibrated alike; nothing is compared that was not asked for."""
    monkeypatch.setenv("HOLDFAST_LEDGER_URL", migrated_url)
    home = folder / "churn"
    add_copy(home, "churn-2")
    begun = datetime(2011, 6, 1, tzinfo=UTC)
    start_experiment(home, "churn-2", share=0.0, at=begun, by="ann", check=lambda _: None)
    code, found = run("experiment", "status", "churn", "--outcomes")
    champion, challenger = found["latest"]["outcomes"]
    assert (code, champion) == (0, challenger)
    assert (champion["rows"], champion["brier"]) == (5301, pytest.approx(0.211, abs=0.001))
    assert found["latest"]["agreement"]["customers"] == 0
    assert run("experiment", "status", "churn")[1]["latest"]["outcomes"] == []
