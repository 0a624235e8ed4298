"""Makes predictions for all requests: models are loaded once, and again after a promotion."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from console.errors import FOR_PEOPLE
from console.use_cases.predictions import open_service
from models.facts import facts_read
from models.registry import version_fingerprint
from segments.definition_files import SUFFIXES
from streams.definitions import find_mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.use_cases.predictions import Answers, PredictionService
    from streams.settings import Settings

FRESH_S = 2.0
"""How long a look at what is promoted counts."""
AT_ONCE = 2_000
"""The most questions that are answered together."""


@dataclass(frozen=True, slots=True)
class _Question:
    kind: str
    customer_ids: Sequence[str]
    answer: asyncio.Future[Answers]


class PredictionDesk:
    """Answers questions in one thread, on one connection to the warehouse.

    Questions that arrive while others are answered are answered together: rows are read and scored in one batch.

    Args:
        settings: where customers, models and definitions are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Made by `open`: a console that is built and not served holds nothing open.
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._waiting: list[_Question] = []
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._service: PredictionService | None = None
        self._fingerprint: object = None
        self._looked_at = 0.0
        self._work: asyncio.Task[None] | None = None

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
        return asyncio.run_coroutine_threadsafe(self._ask(kind, customer_ids), self._loop).result()

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

    async def _ask(self, kind: str, customer_ids: Sequence[str]) -> Answers:
        question = _Question(kind, customer_ids, self._loop.create_future())
        self._waiting.append(question)
        if self._work is None or self._work.done():
            self._work = self._loop.create_task(self._answer_waiting())
        return await question.answer

    async def _answer_waiting(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            by_kind: dict[str, list[_Question]] = defaultdict(list)
            for each in some:
                by_kind[each.kind].append(each)
            for kind, questions in by_kind.items():
                await self._answer_together(kind, questions)

    async def _answer_together(self, kind: str, questions: Sequence[_Question]) -> None:
        wanted = [each for question in questions for each in question.customer_ids]
        try:
            async with self._lock:
                _distribute(await (await self._find_service()).answer(kind, wanted), questions)
        except FOR_PEOPLE as error:
            # The next question opens the service again: the warehouse or the models may have changed.
            await self._close()
            for question in questions:
                question.answer.set_exception(error)
        finally:
            # After an error of the program, those who wait must not wait forever.
            for question in questions:
                question.answer.cancel()

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


def _distribute(found: Answers, questions: Sequence[_Question]) -> None:
    predictions = {each["customer_id"]: each for each in found.predictions}
    for question in questions:
        wanted = list(dict.fromkeys(question.customer_ids))
        mine = replace(
            found,
            predictions=[predictions[each] for each in wanted if each in predictions],
            problems={each: found.problems[each] for each in wanted if each in found.problems},
        )
        question.answer.set_result(mine)
