"""Experiments on models reach a running worker between batches, and leave it again."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from campaigns.errors import LedgerUnavailableError
from models.experiment_control import start_experiment, stop_experiment
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.trials import with_trials
from models.versions import promote, version_folder
from streams.runtime.model_reload import ModelReloader
from streams.worker_report import describe_stop
from tests.builders import AS_OF
from tests.model_versions import SHIPPED, add_copy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from models.experiments import Experiment
    from models.registry import Scorers


class Stops:
    """What the ledger says of experiments that stopped by themselves."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.away = False

    async def find(self, experiments: Collection[str]) -> Mapping[str, str]:
        """Return those among the experiments."""
        if self.away:
            raise LedgerUnavailableError("away")
        return {key: why for key, why in self.reasons.items() if key in experiments}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The model churn in a folder of all models, with a version that is not promoted."""
    home = Path(shutil.copytree(SHIPPED, tmp_path / "models")) / "churn"
    add_copy(home, "churn-2")
    return home


@pytest.fixture
def stops() -> Stops:
    return Stops()


@pytest.fixture
def used() -> list[Scorers]:
    return []


@pytest.fixture
def reloader(home: Path, stops: Stops, used: list[Scorers]) -> ModelReloader:
    def load() -> Scorers:
        return with_trials(load_scorers(home.parent, FEATURE_MAPPING), home.parent, FEATURE_MAPPING)

    return ModelReloader(home.parent, load, used.append, load(), stops.find)


def start(home: Path) -> Experiment:
    return start_experiment(home, "churn-2", share=0.2, at=AS_OF, by="ann", check=lambda _: None)


async def test_a_start_and_a_stop_are_taken_up(home: Path, reloader: ModelReloader, used: list[Scorers]) -> None:
    started = start(home)
    await reloader.poll()
    assert reloader.find_experiments() == [started]
    await reloader.poll()
    stop_experiment(home, at=AS_OF, by="ann", reason="x")
    await reloader.poll()
    assert reloader.find_experiments() == []
    assert [len(each.trials) for each in used] == [1, 0]
    assert used[1]["churn"] is used[0]["churn"]


async def test_one_that_stopped_by_itself_is_left_out_and_named_until_it_is_closed(
    home: Path, reloader: ModelReloader, stops: Stops, used: list[Scorers]
) -> None:
    key = start(home).key
    await reloader.poll()
    stops.reasons[key] = "worse"
    for _ in range(2):
        await reloader.poll()
    assert (reloader.find_experiments(), reloader.stopped) == ([], {("churn", key): "worse"})
    assert [len(each.trials) for each in used] == [1, 0]
    assert describe_stop("churn", key, "worse").endswith("holdfast models experiment stop churn --why …")
    stop_experiment(home, at=AS_OF, by="ann", reason="x")
    await reloader.poll()
    assert reloader.stopped == {}


async def test_a_worker_that_starts_after_the_stop_does_not_run_it(
    home: Path, stops: Stops, used: list[Scorers]
) -> None:
    stops.reasons[start(home).key] = "worse"
    load = partial(with_trials, load_scorers(home.parent, FEATURE_MAPPING), home.parent, FEATURE_MAPPING)
    reloader = ModelReloader(home.parent, load, used.append, load(), stops.find)
    await reloader.end_stopped()
    assert [each.trials for each in used] == [{}]


async def test_a_ledger_that_is_away_changes_nothing(home: Path, reloader: ModelReloader, stops: Stops) -> None:
    started = start(home)
    await reloader.poll()
    stops.away = True
    stops.reasons[started.key] = "worse"
    await reloader.poll()
    assert reloader.find_experiments() == [started]
    stops.away = False
    await reloader.poll()
    assert reloader.find_experiments() == []


async def test_a_promotion_of_the_challenger_ends_it_and_it_serves_everybody(
    home: Path, reloader: ModelReloader
) -> None:
    start(home)
    await reloader.poll()
    promote(home, "churn-2", at=AS_OF, by="ann")
    await reloader.poll()
    assert (reloader.find_experiments(), reloader.scorers.versions["churn"]) == ([], "churn-2")


async def test_a_challenger_in_memory_stays_when_its_files_break(home: Path, reloader: ModelReloader) -> None:
    """A worker that starts then has none: the champion scores, and both say so."""
    start(home)
    await reloader.poll()
    before = reloader.scorers.trials["churn"]
    (version_folder(home, "churn-2") / "model.tflite").write_bytes(b"broken")
    add_copy(home.parent / "nbo", "nbo-2")
    promote(home.parent / "nbo", "nbo-2", at=AS_OF, by="ann")
    await reloader.poll()
    assert reloader.scorers.trials["churn"] is before
    (said,) = reloader.refused
    assert said.startswith("churn: the experiment has no challenger (")
    assert said.endswith("; churn-2 in memory goes on")
    restarted = with_trials(load_scorers(home.parent, FEATURE_MAPPING), home.parent, FEATURE_MAPPING)
    assert restarted.trials["churn"].challenger is None
