"""Loads models at the start, and after promotions and rollbacks while the worker runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from campaigns.errors import LedgerUnavailableError
from models.errors import ModelError
from models.registry import keep_models, load_scorers, version_fingerprint
from models.tasks.registry import TASKS
from models.trials import keep_challengers, leave_out, with_trials
from models.versions import read_serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from models.experiments import Experiment
    from models.registry import Scorers
    from streams.settings import Settings

POLL_EVERY_S = 2.0

log = structlog.get_logger()


def load_models(settings: Settings, offers: Collection[int]) -> Scorers:
    """Load the models that the settings name; a rule replaces each that is missing.

    Args:
        settings: the models' folder and the mapping of their features.
        offers: the ids of the offers file; a model of offers has one score for each.

    Raises:
        ModelError: a setting contradicts the models.
    """
    mapping, size = settings.feature_mapping, settings.model_input_size
    risk = settings.churn_risk_thresholds
    return load_scorers(
        settings.models_dir,
        mapping,
        size,
        offers=len(offers),
        risk=risk,
        mock=settings.mock_mode,
        lead_thresholds=settings.lead_thresholds,
        concerns_file=settings.concerns_file,
    )


def find_changeovers(settings: Settings) -> dict[str, str]:
    """Return the changeover under which each promoted model serves, by name, where no worker refuses it.

    Raises:
        VersionError: a file `current` cannot be read.
    """
    if settings.models_dir is None or settings.mock_mode:
        return {}
    found = {name: read_serving(settings.models_dir / name).changeover for name in TASKS}
    return {name: changeover for name, changeover in found.items() if changeover}


def load_served(settings: Settings, offers: Collection[int]) -> Scorers:
    """Load the models that the settings name, and the experiments on them: what a worker scores with.

    Args:
        settings: as for `load_models`.
        offers: likewise.

    Raises:
        ModelError: a setting contradicts the models.
    """
    scorers = load_models(settings, offers)
    if settings.models_dir is None or settings.mock_mode:
        return scorers
    return with_trials(scorers, settings.models_dir, settings.feature_mapping)


async def _find_none(_: Collection[str]) -> Mapping[str, str]:
    return {}


class ModelReloader:
    """Polls every few seconds for promoted versions and experiments, and hands over scorers when they change.

    A version that cannot be used is refused: the one promoted before it serves, as after a restart, and health says so.

    Args:
        models_dir: the folder of models; None where the settings name none.
        load: loads what is promoted.
        use: receives the scorers for later batches.
        scorers: those that serve.
        find_stops: returns why each of some experiments stopped by itself, by key; those that did not are missing.

    Attributes:
        scorers: those that serve now.
        refused: what was promoted and cannot be used, and what serves instead, in sentences.
        stopped: why each experiment that runs by its file stopped by itself, by model and key.
    """

    def __init__(
        self,
        models_dir: Path | None,
        load: Callable[[], Scorers],
        use: Callable[[Scorers], None],
        scorers: Scorers,
        find_stops: Callable[[Collection[str]], Awaitable[Mapping[str, str]]] = _find_none,
    ) -> None:
        self._named = models_dir is not None
        self._models_dir = models_dir or Path()
        self._load = load
        self._use = use
        self._find_stops = find_stops
        self._marks = version_fingerprint(self._models_dir)
        self._loaded = self.scorers = scorers
        self._used = (scorers, frozenset[str]())
        self.stopped: Mapping[tuple[str, str], str] = {}
        self.refused: Sequence[str] = tuple(scorers.refused.values())

    def describe_missing(self) -> list[str]:
        """Return that the folder holds no model at all, if it was named: it is probably not mounted.

        A single model that is absent is left out on purpose: it was never promoted. One that served is in `refused`.
        """
        if not self._named or self.refused or self.scorers.reasons.keys() != self.scorers.by_name.keys():
            return []
        folder = f"models: {self._models_dir} holds no promoted model, rules decide"
        return [f"{folder}; promote one, or leave HOLDFAST_MODELS_DIR empty"]

    def find_experiments(self) -> Sequence[Experiment]:
        """Return the experiments in force."""
        return [trial.experiment for trial in self.scorers.trials.values()]

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            await self.poll()

    async def poll(self) -> None:
        """Load what changed since the last poll; retry what was refused then; end the experiments that have stopped."""
        marks = await asyncio.to_thread(version_fingerprint, self._models_dir)
        if marks != self._marks or self.refused:
            # Read before loading: the next poll sees a promotion in between.
            self._marks = marks
            try:
                found = await asyncio.to_thread(self._load)
            except ModelError as error:
                self._refuse((str(error),))
            else:
                self._loaded = keep_challengers(self._loaded, keep_models(self._loaded, found))
                self._refuse(tuple(self._loaded.refused.values()))
        try:
            await self.end_stopped()
        except LedgerUnavailableError:
            log.warning("experiment_stops_unknown", experiments=[*self._running(self.scorers)])

    async def end_stopped(self) -> None:
        """Hand over what is loaded without the experiments that have stopped by themselves.

        Raises:
            LedgerUnavailableError: it is not known which have; nothing has changed.
        """
        running = self._running(self._loaded)
        reasons = await self._find_stops(running) if running else {}
        self.stopped = {(running[key], key): reason for key, reason in reasons.items()}
        used = (self._loaded, frozenset(reasons))
        if used[0] is self._used[0] and used[1] == self._used[1]:
            return
        self._used = used
        before, self.scorers = self.scorers, leave_out(self._loaded, reasons)
        scorers = self.scorers
        if scorers.versions != before.versions or scorers.rfm != before.rfm:
            changeovers = scorers.changeovers
            log.info("models_swapped", before=before.versions, after=scorers.versions, changeovers=changeovers)
        if self._running(scorers) != self._running(before):
            log.info("experiments_changed", before=[*self._running(before)], after=[*self._running(scorers)])
        self._use(scorers)

    def _running(self, scorers: Scorers) -> dict[str, str]:
        """Return the model of each experiment by its key."""
        return {trial.experiment.key: name for name, trial in scorers.trials.items()}

    def _refuse(self, refused: Sequence[str]) -> None:
        if refused and refused != self.refused:
            log.error("promoted_model_refused", reasons=refused)
        self.refused = refused
