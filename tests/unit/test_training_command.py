"""What the command promises before any warehouse or TensorFlow is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from console.cli import holdfast
from tests.journey.workplace import write_definitions
from training import __main__ as command
from training.errors import NoExposuresError, TrainingDataError
from training.tasks.registry import TASKS

WHERE = ["--warehouse-url", "postgresql://nobody@127.0.0.1:1/none", "--out", "models"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command.train, [*arguments, *WHERE], env={"ML_FEATURE_MAPPING": ""})


def test_forcing_needs_a_reason() -> None:
    done = run("churn", "--force", "--why", "  ")
    assert done.exit_code == 2
    assert "--force needs --why" in done.output


def test_a_mapping_that_is_no_object_is_refused() -> None:
    done = run("churn", "--feature-mapping", "[1]")
    assert done.exit_code == 2
    assert 'as {"recency": "days_since_last_transaction"}' in done.output


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--write-view", "features"], "--write-view needs --orders"),
        (["--label", "Exited", "--orders", "sales"], "--label names a column of rows"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: list[str], problem: str) -> None:
    done = run("churn", *options)
    assert (done.exit_code, problem in done.output) == (2, True)


def test_a_warehouse_that_cannot_be_reached_is_one_sentence_and_json_still_comes_last() -> None:
    done = run("rfm", "--json")
    assert done.exit_code == 2
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["exit_code"] == 2
    assert "the warehouse refused" in printed["failures"]["rfm"]


def outcome(verdict: str) -> dict[str, Any]:
    return {"verdict": verdict, "serves": verdict != "refused", "warnings": []}


@pytest.mark.parametrize(
    ("churn", "nbo", "code"),
    [("promoted", "unchanged", 0), ("refused", "promoted", 3), ("broken", "refused", 2), ("promoted", "broken", 2)],
)
def test_the_exit_code_of_all_is_that_of_the_worst(churn: str, nbo: str, code: int) -> None:
    became = command.TrainedModels()
    for name, verdict in (("churn", churn), ("nbo", nbo)):
        if verdict == "broken":
            became.failures[name] = "no rows"
        else:
            became.models[name] = outcome(verdict)
    assert became.exit_code == code


@pytest.mark.parametrize(
    ("orders", "trained"),
    [(("--orders", "orders"), {*TASKS}), ((), {*TASKS} - {"next_purchase"})],
    ids=["orders", "tables"],
)
def test_one_that_fails_does_not_keep_the_others_from_being_trained(
    monkeypatch: pytest.MonkeyPatch, orders: tuple[str, ...], trained: set[str]
) -> None:
    asked: list[str] = []

    def run_one(name: str, _options: dict[str, Any]) -> dict[str, Any]:
        asked.append(name)
        if name == "churn":
            raise TrainingDataError("no rows")
        return {"file": name}

    monkeypatch.setattr(command, "run_one", run_one)
    done = run("all", *orders, "--json")
    assert {*asked} == trained | {"rfm"}
    assert done.exit_code == 2
    assert json.loads(done.stdout.splitlines()[-1])["failures"] == {"churn": "no rows"}


def test_uplift_without_exposures_is_skipped_among_others_and_an_error_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_one(name: str, _options: dict[str, Any]) -> dict[str, Any]:
        if name == "uplift":
            raise NoExposuresError("no control group")
        return {"file": name}

    monkeypatch.setattr(command, "run_one", run_one)
    everything, alone = run("all", "--json"), run("uplift", "--json")
    printed = json.loads(everything.stdout.splitlines()[-1])
    assert (everything.exit_code, printed["failures"], printed["skipped"]) == (0, {}, {"uplift": "no control group"})
    assert "uplift: skipped: no control group" in everything.output
    assert (alone.exit_code, "error: no control group" in alone.output) == (2, True)


def test_uplift_asks_for_the_ledger_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_LEDGER_URL", raising=False)
    done = run("uplift")
    assert done.exit_code == 2
    assert "set HOLDFAST_LEDGER_URL, or name your own --query" in done.output


@pytest.mark.parametrize(
    ("arguments", "offers"),
    [(["train", "nbo"], 30), (["train", "all"], 30), (["train", "nbo", "--offers", "5"], 5)],
)
def test_the_number_of_offers_is_that_of_the_offers_file(
    arguments: list[str], offers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_DEFINITIONS_DIR", str(write_definitions(tmp_path)))
    path = tmp_path / "campaigns" / "offers.json"
    file = [{"id": number, "key": f"offer-{number}", "name": "An offer"} for number in range(1, 31)]
    path.write_text(json.dumps(file))
    asked: list[int | None] = []

    def run_one(name: str, options: dict[str, Any]) -> dict[str, Any]:
        asked.append(options["offers"])
        return {"file": name}

    monkeypatch.setattr(command, "run_one", run_one)
    done = CliRunner().invoke(holdfast, [*arguments, *WHERE])
    assert (done.exit_code, set(asked)) == (0, {offers})


def test_without_an_offers_file_the_rows_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []
    monkeypatch.setattr(command, "run_one", lambda _, options: asked.append(options["offers"]) or {})
    assert run("nbo").exit_code == 0
    assert asked == [None]


def test_nothing_that_serves_or_starts_imports_tensorflow_or_what_only_training_needs() -> None:
    """TensorFlow and the interpreter crash in one process, and a worker has neither TensorFlow nor scikit-learn."""
    heavy = ("tensorflow", "keras", "sklearn", "scipy", "lightgbm", "matplotlib", "optuna")
    served = ("streams.services", "training.__main__")
    looked_up = "[console.cli.holdfast.commands[name] for name in console.cli.holdfast.commands]"
    look = f"import sys, console.cli; {looked_up}; print([name for name in {heavy + served} if name in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == str(list(served))
