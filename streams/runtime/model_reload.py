"""Loads models at the start, and after promotions and rollbacks while the worker runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from models.errors import ModelError
from models.registry import keep_models, load_scorers, version_fingerprint
from models.tasks.registry import TASKS
from models.versions import read_serving

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

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
    folder = settings.models_dir or Path()
    mapping, size = settings.feature_mapping, settings.model_input_size
    risk = settings.churn_risk_thresholds
    return load_scorers(folder, mapping, size, offers=len(offers), risk=risk, mock=settings.mock_mode)


def find_changeovers(settings: Settings) -> dict[str, str]:
    """Return the changeover under which each promoted model serves, by name, where no worker refuses it.

    Raises:
        VersionError: a file `current` cannot be read.
    """
    if settings.models_dir is None or settings.mock_mode:
        return {}
    found = {name: read_serving(settings.models_dir / name).changeover for name in TASKS}
    return {name: changeover for name, changeover in found.items() if changeover}


class ModelReloader:
    """Polls every few seconds for promoted versions, and hands over scorers when they change.

    A version that cannot be used is refused: the one promoted before it serves, as after a restart, and health says so.

    Args:
        models_dir: the folder of models; None where the settings name none.
        load: loads what is promoted.
        use: receives the scorers for later batches.
        scorers: those that serve.

    Attributes:
        scorers: those that serve now.
        refused: what was promoted and cannot be used, and what serves instead, in sentences.
    """

    def __init__(
        self, models_dir: Path | None, load: Callable[[], Scorers], use: Callable[[Scorers], None], scorers: Scorers
    ) -> None:
        self._named = models_dir is not None
        self._models_dir = models_dir or Path()
        self._load = load
        self._use = use
        self._marks = version_fingerprint(self._models_dir)
        self.scorers = scorers
        self.refused: Sequence[str] = tuple(scorers.refused.values())

    def describe_missing(self) -> list[str]:
        """Return that the folder holds no model at all, if it was named: it is probably not mounted.

        A single model that is absent is left out on purpose: it was never promoted. One that served is in `refused`.
        """
        if not self._named or self.refused or self.scorers.reasons.keys() != self.scorers.by_name.keys():
            return []
        folder = f"models: {self._models_dir} holds no promoted model, rules decide"
        return [f"{folder}; promote one, or leave HOLDFAST_MODELS_DIR empty"]

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            await self.poll()

    async def poll(self) -> None:
        """Load what was promoted since the last poll; retry what was refused then."""
        marks = await asyncio.to_thread(version_fingerprint, self._models_dir)
        if marks == self._marks and not self.refused:
            return
        # Read before loading: the next poll sees a promotion in between.
        self._marks = marks
        try:
            found = await asyncio.to_thread(self._load)
        except ModelError as error:
            self._refuse((str(error),))
            return
        scorers = keep_models(self.scorers, found)
        self._refuse(tuple(scorers.refused.values()))
        if scorers.versions != self.scorers.versions or scorers.rfm != self.scorers.rfm:
            changeovers = scorers.changeovers
            log.info("models_swapped", before=self.scorers.versions, after=scorers.versions, changeovers=changeovers)
        self.scorers = scorers
        self._use(scorers)

    def _refuse(self, refused: Sequence[str]) -> None:
        if refused and refused != self.refused:
            log.error("promoted_model_refused", reasons=refused)
        self.refused = refused
