"""Experiments as a worker runs them: the challenger loaded, and which customers it scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from models.errors import ModelLoadError, VersionError
from models.experiments import find_running
from models.registry import load_version
from models.tasks.registry import TASKS, can_be_tried

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from models.experiments import Experiment
    from models.ports import Scorer
    from models.registry import Scorers

_CHAMPION_DECIDES = "the champion decides"


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment in force.

    Attributes:
        experiment: what was started.
        challenger: None where its version cannot be used: the champion scores its customers, too.
    """

    experiment: Experiment
    challenger: Scorer | None


def with_trials(scorers: Scorers, models_dir: Path, feature_mapping: Mapping[str, str]) -> Scorers:
    """Return scorers with the experiments that run on them.

    An experiment counts while its champion is the version promoted and can serve. A challenger that cannot be used
    changes no score; `refused` says so.

    Args:
        scorers: what serves.
        models_dir: holds a folder for each task.
        feature_mapping: the model's name of each feature, and the warehouse column it is read from.
    """
    trials, refused = {}, dict(scorers.refused)
    for name in filter(can_be_tried, TASKS):
        try:
            experiment = find_running(models_dir / name)
            if experiment is None or experiment.champion != scorers.versions.get(name):
                continue
            trials[name] = Trial(experiment, None)
            challenger = load_version(models_dir / name, experiment.challenger, feature_mapping, scorers.offers)
            trials[name] = Trial(experiment, challenger)
        except (ModelLoadError, VersionError) as error:
            refused[_place(name)] = f"{name}: the experiment has no challenger ({error}); {_CHAMPION_DECIDES}"
    return replace(scorers, trials=trials, refused=refused)


def keep_challengers(serving: Scorers, found: Scorers) -> Scorers:
    """Return the scorers to go on with: a challenger in memory stays while its experiment runs.

    Its interpreters are ready, and what happens to its files does not move customers to another version.

    Args:
        serving: those that serve.
        found: those loaded now.
    """
    trials, refused = dict(found.trials), dict(found.refused)
    for name, trial in found.trials.items():
        held = serving.trials.get(name)
        if held is None or held.challenger is None or held.experiment != trial.experiment:
            continue
        trials[name] = held
        if trial.challenger is None:
            version = held.challenger.version
            refused[_place(name)] = refused[_place(name)].replace(_CHAMPION_DECIDES, f"{version} in memory goes on")
    return replace(found, trials=trials, refused=refused)


def leave_out(scorers: Scorers, stopped: Collection[str]) -> Scorers:
    """Return scorers without the experiments of these keys."""
    left = {name: trial for name, trial in scorers.trials.items() if trial.experiment.key not in stopped}
    return scorers if len(left) == len(scorers.trials) else replace(scorers, trials=left)


def _place(name: str) -> str:
    """Return where `refused` has the challenger of a task."""
    return f"{name} experiment"
