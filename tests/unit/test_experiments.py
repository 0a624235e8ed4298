"""Experiments on models: their record next to the versions, and who belongs to which arm."""

from __future__ import annotations

import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from models.errors import ExperimentError, ModelLoadError, NoVersionError
from models.experiment_control import start_experiment, stop_experiment
from models.experiments import EXPERIMENTS_FILE, Experiment, find_running, read_experiments
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers, version_fingerprint
from models.trials import with_trials
from models.versions import current_version, list_names, promote, prune, roll_back, version_folder
from tests.builders import AS_OF
from tests.model_versions import SHIPPED, add_copy, promote_copy

if TYPE_CHECKING:
    from models.registry import Scorers

CHURN = current_version(SHIPPED / "churn") or ""
CUSTOMERS = [f"customer-{number}" for number in range(4000)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The model churn, with a second version that is not promoted."""
    home = Path(shutil.copytree(SHIPPED / "churn", tmp_path / "churn"))
    add_copy(home, "churn-2")
    return home


def start(home: Path, version: str = "churn-2", **changes: Any) -> Experiment:
    given: dict[str, Any] = {"share": 0.2, "at": AS_OF, "by": "ann", "check": lambda _: None, **changes}
    return start_experiment(home, version, **given)


def serve(home: Path) -> Scorers:
    """Return what a worker that starts now scores with."""
    return with_trials(load_scorers(home.parent, FEATURE_MAPPING), home.parent, FEATURE_MAPPING)


def experiment(key: str = "e", share: float = 0.2) -> Experiment:
    return Experiment(key, "churn", "churn-1", "churn-2", share, AS_OF.isoformat(), "ann")


def test_a_started_experiment_is_on_record_and_a_stopped_one_stays_there(home: Path) -> None:
    before = version_fingerprint(home.parent)
    started = start(home, why=" new features ")
    assert (started.champion, started.challenger, started.why) == (CHURN, "churn-2", "new features")
    assert find_running(home) == started
    assert version_fingerprint(home.parent) != before
    ended = stop_experiment(home, at=AS_OF, by="bob", reason="enough")
    assert ended is not None
    assert (ended.stopped_by, ended.stop_reason, find_running(home)) == ("bob", "enough", None)
    assert stop_experiment(home, at=AS_OF, by="bob", reason="again") is None
    again = start(home, at=AS_OF + timedelta(days=1))
    assert read_experiments(home) == [ended, again]
    assert again.key != started.key


def test_only_one_runs_at_a_time(home: Path) -> None:
    add_copy(home, "churn-3")
    started = start(home)
    with pytest.raises(ExperimentError, match=f"experiment {started.key} runs with churn-2; end it first"):
        start(home, "churn-3")


def test_what_cannot_be_tried_is_refused(home: Path) -> None:
    with pytest.raises(ExperimentError, match="serves already"):
        start(home, CHURN)
    with pytest.raises(NoVersionError, match="no version 'churn-9'"):
        start(home, "churn-9")

    def fail(_: str) -> None:
        raise ModelLoadError("other features")

    with pytest.raises(ExperimentError, match="churn-2: cannot score: other features"):
        start(home, check=fail)
    (version_folder(home, "churn-2") / "card.md").write_text("changed")
    with pytest.raises(ExperimentError, match="SHA-256"):
        start(home)
    (home / "current").unlink()
    with pytest.raises(ExperimentError, match="no version serves"):
        start(home)
    assert read_experiments(home) == []


def test_a_version_that_a_gate_refused_decides_only_by_force_and_with_a_reason(home: Path) -> None:
    add_copy(home, "churn-3", gates=[{"name": "auc", "passed": False}])
    with pytest.raises(ExperimentError, match="--mode shadow, which decides nothing"):
        start(home, "churn-3")
    with pytest.raises(ExperimentError, match="needs a reason"):
        start(home, "churn-3", forced=True, why=" ")
    assert start(home, "churn-3", share=0.0).is_shadow
    stop_experiment(home, at=AS_OF, by="ann", reason="x")
    assert start(home, "churn-3", forced=True, why="season", at=AS_OF + timedelta(days=1)).share == 0.2


@pytest.mark.parametrize("other", ["churn-2", "churn-3"])
def test_a_promotion_ends_it(home: Path, other: str) -> None:
    """That of the challenger, and that of any other version: what it was compared with is gone."""
    add_copy(home, "churn-3")
    start(home)
    promote(home, other, at=AS_OF, by="bob")
    (ended,) = read_experiments(home)
    assert (ended.stopped_by, ended.stop_reason) == ("bob", f"{other} was promoted")
    promote(home, CHURN, at=AS_OF, by="bob", forced=True, why="back")
    assert serve(home).trials == {}


def test_a_rollback_ends_it(home: Path) -> None:
    promote_copy(home, "churn-3")
    start(home)
    roll_back(home, at=AS_OF, by="bob")
    (ended,) = read_experiments(home)
    assert ended.stop_reason == f"{CHURN} was rolled back to"


def test_pruning_keeps_both_versions_while_it_runs(home: Path) -> None:
    start(home)
    for version in ("churn-3", "churn-4"):
        add_copy(home, version)
    assert prune(home, keep_last=0) == ["churn-3", "churn-4"]
    assert {CHURN, "churn-2"} <= set(list_names(home))
    stop_experiment(home, at=AS_OF, by="ann", reason="x")
    assert prune(home, keep_last=0) == ["churn-2"]


def test_a_damaged_record_stops_no_worker_and_says_which_file_it_is(home: Path) -> None:
    (home / EXPERIMENTS_FILE).write_text("[]\n")
    scorers = serve(home)
    assert (scorers.trials, scorers.versions["churn"]) == ({}, CHURN)
    assert "experiments.jsonl: not a record of experiments" in scorers.refused["churn experiment"]
    with pytest.raises(ExperimentError, match="restore the file"):
        start(home)


def test_an_experiment_whose_champion_does_not_serve_is_not_in_force(home: Path) -> None:
    """As after a crash between the two files that a promotion writes."""
    start(home)
    (home / "current").write_text("churn-2\n")
    assert serve(home).trials == {}


def test_a_challenger_that_cannot_be_loaded_leaves_its_customers_to_the_champion(home: Path) -> None:
    start(home)
    (version_folder(home, "churn-2") / "model.tflite").write_bytes(b"broken")
    scorers = serve(home)
    assert scorers.trials["churn"].challenger is None
    assert scorers.challengers == {}
    assert scorers.refused["churn experiment"].endswith("; the champion decides")


def test_the_share_is_kept_and_every_experiment_draws_anew() -> None:
    one, other = (experiment(key).assign(CUSTOMERS) for key in ("one", "other"))
    for drawn in (one, other):
        assert drawn.mean() == pytest.approx(0.2, abs=0.03)
    assert (one & other).mean() == pytest.approx(0.04, abs=0.015)
    assert not experiment(share=0.0).assign(CUSTOMERS).any()


def test_an_arm_depends_on_nothing_but_experiment_and_customer() -> None:
    """Neither on the order nor on the batch; and whoever has the challenger keeps it when the share grows."""
    whole = experiment().assign(CUSTOMERS)
    parts = [experiment().assign(CUSTOMERS[place : place + 7]) for place in range(0, len(CUSTOMERS), 7)]
    assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(whole[::-1], experiment().assign(CUSTOMERS[::-1]))
    assert (experiment(share=0.5).assign(CUSTOMERS) | ~whole).all()
    assert [each == "challenger" for each in map(experiment().arm_of, CUSTOMERS[:50])] == whole[:50].tolist()


start_shadow = partial(start, share=0.0)


def test_a_shadow_reads_no_column_on_behalf_of_decisions(home: Path) -> None:
    """So it cannot freeze a segment, nor change when customers are due."""
    start_shadow(home)
    scorers = serve(home)
    assert scorers.trials["churn"].challenger is not None
    assert len(scorers.readers) == len(scorers.by_name)
