"""Promotions and rollbacks, taken up while the worker runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from models.errors import ModelError
from models.registry import keep_models, version_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from models.registry import Scorers

LOOK_EVERY_S = 2.0

log = structlog.get_logger()


class ModelReloader:
    """Looks every few seconds which versions are promoted, and hands over scorers when others are.

    A version that cannot be used is refused: the one promoted before it serves, as after a restart, and health says so.

    Args:
        models_dir: holds the models.
        load: loads what is promoted.
        use: takes the scorers for the batches to come.
        scorers: those that serve.

    Attributes:
        scorers: those that serve now.
        refused: what was promoted and cannot be used, and what serves instead, in words.
    """

    def __init__(
        self, models_dir: Path, load: Callable[[], Scorers], use: Callable[[Scorers], None], scorers: Scorers
    ) -> None:
        self._models_dir = models_dir
        self._load = load
        self._use = use
        self._marks = version_fingerprint(models_dir)
        self.scorers = scorers
        self.refused: Sequence[str] = tuple(scorers.refused.values())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.poll()

    async def poll(self) -> None:
        """Take up what was promoted since the last look; look again at what was refused then."""
        marks = await asyncio.to_thread(version_fingerprint, self._models_dir)
        if marks == self._marks and not self.refused:
            return
        # Read before loading: a promotion in between is seen by the next look.
        self._marks = marks
        try:
            found = await asyncio.to_thread(self._load)
        except ModelError as error:
            self._refuse((str(error),))
            return
        scorers = keep_models(self.scorers, found)
        self._refuse(tuple(scorers.refused.values()))
        if scorers.versions != self.scorers.versions or scorers.rfm != self.scorers.rfm:
            log.info("models_swapped", before=self.scorers.versions, after=scorers.versions)
        self.scorers = scorers
        self._use(scorers)

    def _refuse(self, refused: Sequence[str]) -> None:
        if refused and refused != self.refused:
            log.error("promoted_model_refused", reasons=refused)
        self.refused = refused
