"""Experiments on models: start, stop, and what they have shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from campaigns.model_experiments import evaluate_experiment, find_harm
from campaigns.postgres_experiments import open_experiments
from console.use_cases.served_versions import check_served
from models.errors import ExperimentError, NoVersionError
from models.experiment_control import start_experiment, stop_experiment
from models.experiments import ACTOR, find_running, read_experiments
from models.routing import load_model
from models.tasks.registry import TASKS, can_be_tried
from models.versions import current_version, read_version
from training.data.dataset import Source
from training.monitoring.monitor import measure_outcomes
from training.tasks.registry import TASKS as TRAINED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from campaigns.model_experiments import ExperimentResult
    from campaigns.postgres_experiments import Agreement, ExperimentStop, PostgresExperiments
    from models.experiments import Experiment
    from streams.settings import Settings
    from training.monitoring.cohorts import Cohort


@dataclass(frozen=True, slots=True)
class ExperimentStatus:
    """An experiment and what it has shown.

    Attributes:
        experiment: as the models folder has it.
        stop: when and why it stopped by itself; None where it did not.
        is_orphan: whether it runs by its file, and another version than its champion was promoted.
        result: of a live experiment.
        harm: why its challenger is clearly worse now; None where it is not.
        agreement: of a shadow.
        answers: of a shadow, customers by what the scores of champion and challenger lead to.
        outcomes: champion and challenger on the outcomes since the start, each None where there are none yet; empty
            where that was not asked for.
    """

    experiment: Experiment
    stop: ExperimentStop | None = None
    is_orphan: bool = False
    result: ExperimentResult | None = None
    harm: str | None = None
    agreement: Agreement | None = None
    answers: Mapping[tuple[str | None, str | None], int] | None = None
    outcomes: Sequence[Cohort | None] = ()

    @property
    def runs(self) -> bool:
        """Whether workers run it."""
        return self.experiment.stopped_at is None and self.stop is None and not self.is_orphan


def begin(
    settings: Settings, model: str, challenger: str, *, share: float, by: str, why: str, forced: bool
) -> Experiment:
    """Start an experiment; one that stopped by itself is closed first.

    Args:
        settings: those of the workers.
        model: churn, nbo or ltv.
        challenger: the version to try.
        share: of the customers whom it decides for; 0 for a shadow.
        by: who starts it.
        why: the reason.
        forced: overrule gates.

    Raises:
        ExperimentError: it cannot be started; see models/experiment_control.py.
        NoVersionError, VersionError: likewise.
        LedgerUnavailableError, WarehouseError: the ledger or the view cannot be read.
    """
    home = _home(settings, model)
    _close_stopped(settings, home)
    return start_experiment(
        home,
        challenger,
        share=share,
        at=datetime.now(UTC),
        by=by,
        why=why,
        forced=forced,
        check=partial(check_served, settings, home),
    )


def end(settings: Settings, model: str, *, by: str, why: str) -> Experiment | None:
    """Stop the experiment on a model, and return it; None where none runs.

    One that stopped by itself keeps the reason of that.

    Raises:
        ExperimentError, NoVersionError, VersionError: the models folder cannot be read or written.
        LedgerUnavailableError: the ledger cannot be read.
    """
    home = _home(settings, model)
    return _close_stopped(settings, home) or stop_experiment(home, at=datetime.now(UTC), by=by, reason=why)


def find_status(settings: Settings, model: str, *, outcomes: bool = False) -> ExperimentStatus | None:
    """Return the latest experiment on a model and what it has shown; None where there was none.

    Args:
        settings: those of the workers.
        model: churn, nbo or ltv.
        outcomes: also compare champion and challenger of a shadow on the outcomes since the start.

    Raises:
        ExperimentError, NoVersionError, VersionError: the models folder cannot be read.
        LedgerUnavailableError: the ledger cannot be read.
        TrainingSourceError, TrainingDataError: the outcomes cannot be read.
    """
    home = _home(settings, model)
    found = read_experiments(home)[-1:]
    if not found:
        return None
    (experiment,) = found
    with open_experiments(settings.ledger_url) as ledger:
        stop = ledger.find_stops([experiment.key]).get(experiment.key)
        is_orphan = experiment.stopped_at is None and current_version(home) != experiment.champion
        if experiment.is_shadow:
            cohorts = _measure(settings, home, experiment) if outcomes else ()
            agreement, answers = ledger.find_agreement(experiment.key), ledger.count_answers(experiment.key)
            return ExperimentStatus(experiment, stop, is_orphan, agreement=agreement, answers=answers, outcomes=cohorts)
        result = _evaluate(ledger, experiment, stop)
    return ExperimentStatus(experiment, stop, is_orphan, result, find_harm(result))


def find_history(settings: Settings, model: str) -> Sequence[Experiment]:
    """Return every experiment on a model, the oldest first.

    Raises:
        ExperimentError, NoVersionError: the models folder cannot be read.
    """
    return read_experiments(_home(settings, model))


def _evaluate(ledger: PostgresExperiments, experiment: Experiment, stop: ExperimentStop | None) -> ExperimentResult:
    """Return what came of the contacts that were decided while it ran."""
    closed = datetime.fromisoformat(experiment.stopped_at) if experiment.stopped_at else None
    until = stop.stopped_at if stop else closed
    return evaluate_experiment(ledger.find_days(experiment.key, until), experiment.share)


def _close_stopped(settings: Settings, home: Path) -> Experiment | None:
    """Close an experiment that stopped by itself, and return it; None where none has."""
    running = find_running(home)
    if running is None:
        return None
    with open_experiments(settings.ledger_url) as ledger:
        stop = ledger.find_stops([running.key]).get(running.key)
    if stop is None:
        return None
    return stop_experiment(home, at=stop.stopped_at.astimezone(UTC), by=ACTOR, reason=stop.reason)


def _measure(settings: Settings, home: Path, experiment: Experiment) -> Sequence[Cohort | None]:
    versions = [read_version(home, each) for each in (experiment.champion, experiment.challenger)]
    manifest = versions[0].manifest
    task = TRAINED[experiment.model].sized(manifest["outputs"])
    query = getattr(settings, f"{experiment.model}_training_query", None)
    return measure_outcomes(
        [(each, load_model(each.folder, settings.feature_mapping)) for each in versions],
        task.labelled(manifest.get("label") or task.label),
        Source(settings.warehouse_url, settings.feature_mapping, date.min, query),
        since=date.fromisoformat(experiment.started_at[:10]),
    )


def _home(settings: Settings, model: str) -> Path:
    if settings.models_dir is None:
        raise NoVersionError("HOLDFAST_MODELS_DIR is not set; name the folder that holds the models")
    if not can_be_tried(model):
        raise NoVersionError(f"no model {model!r} can be tried; there are: {', '.join(filter(can_be_tried, TASKS))}")
    if TASKS[model].is_optional:
        raise ExperimentError(f"{model}: no experiment is possible; its gate compares it with the control groups")
    return settings.models_dir / model
