"""Makes predictions for all requests: models are loaded once, and again after a promotion."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import FOR_PEOPLE
from console.use_cases.predictions import open_service
from console.web.together import Together
from models.facts import facts_read
from models.predictions import list_kinds
from models.registry import version_fingerprint
from segments.definition_files import SUFFIXES
from streams.definitions import find_mark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.use_cases.predictions import Answers, PredictionService
    from streams.settings import Settings

FRESH_S = 2.0
"""How long a look at what is promoted counts."""


class PredictionDesk:
    """Answers questions in one thread, on one connection to the warehouse.

    Args:
        settings: where customers, models and definitions are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Made by `open`: a console that is built and not served holds nothing open.
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._service: PredictionService | None = None
        self._fingerprint: object = None
        self._looked_at = 0.0
        self._together = {kind: Together(partial(self._answer_each, kind)) for kind in list_kinds()}

    def open(self) -> None:
        """Start the thread; models are loaded with the first question."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="predictions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the warehouse, and stop the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def answer(self, kind: str, customer_ids: Sequence[str]) -> Answers:
        """Return the predictions of some customers; safe for threads.

        Raises:
            WarehouseError, LedgerUnavailableError, PredictionError: as PredictionService.answer.
            CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
        """
        return asyncio.run_coroutine_threadsafe(self._answer(kind, customer_ids), self._loop).result()

    async def ask(self, kind: str, customer_ids: Sequence[str]) -> Answers:
        """Return the predictions of some customers; requests that ask at the same time are answered together.

        Raises:
            The errors of `answer`.
        """
        return await self._together[kind].ask(customer_ids)

    def find_inputs(self) -> frozenset[str]:
        """Return the facts that models, segments and offers read; safe for threads.

        Raises:
            WarehouseError, CampaignError, SegmentsError, ModelError: as `answer`.
        """
        return asyncio.run_coroutine_threadsafe(self._find_inputs(), self._loop).result()

    async def _find_inputs(self) -> frozenset[str]:
        async with self._lock:
            service = await self._find_service()
        segments, offers = service.definitions.segments, service.definitions.offers.values()
        rules = (*(each.facts for each in segments), *(each.facts for each in offers))
        return facts_read(service.scorers).union(*rules)

    def _answer_each(self, kind: str, questions: Sequence[Sequence[str]]) -> list[Answers]:
        """Return the predictions of each question's customers; all rows are read and scored in one batch."""
        found = self.answer(kind, [each for question in questions for each in question])
        predictions = {each["customer_id"]: each for each in found.predictions}
        return [_choose(found, predictions, list(dict.fromkeys(question))) for question in questions]

    async def _answer(self, kind: str, customer_ids: Sequence[str]) -> Answers:
        async with self._lock:
            try:
                return await (await self._find_service()).answer(kind, customer_ids)
            except FOR_PEOPLE:
                # The next question opens the service again: the warehouse or the models may have changed.
                await self._close()
                raise

    async def _find_service(self) -> PredictionService:
        """Return the service, opened again where a model was promoted or a definition has changed."""
        if self._service is not None and time.monotonic() - self._looked_at < FRESH_S:
            return self._service
        fingerprint = await asyncio.to_thread(self._take_fingerprint)
        if self._service is None or fingerprint != self._fingerprint:
            await self._close()
            self._service = await self._stack.enter_async_context(open_service(self._settings))
            self._fingerprint = fingerprint
        self._looked_at = time.monotonic()
        return self._service

    async def _close(self) -> None:
        self._service = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    def _take_fingerprint(self) -> object:
        """Return what changes with a promotion, and with a change of a definition."""
        settings = self._settings
        models = version_fingerprint(settings.models_dir or Path())
        if settings.definitions != "files":
            return models, find_mark(settings)
        folder = settings.definitions_dir
        files = sorted(each for each in folder.rglob("*") if each.suffix in SUFFIXES) if folder else []
        return models, tuple((str(each), each.stat().st_mtime_ns) for each in files)


def _choose(found: Answers, predictions: Mapping[str, dict[str, Any]], wanted: Sequence[str]) -> Answers:
    """Return what was found of the wanted customers."""
    return replace(
        found,
        predictions=[predictions[each] for each in wanted if each in predictions],
        problems={each: found.problems[each] for each in wanted if each in found.problems},
    )
