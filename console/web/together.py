"""Answers the questions of many requests in one go."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Question = TypeVar("Question")
Answer = TypeVar("Answer")

MOST = 200
"""The most questions that are answered together."""


class Together(Generic[Question, Answer]):
    """Has the questions that come while others are answered answered together: one query for many requests.

    A question that comes while none is being answered is answered at once, without waiting for others. For one event
    loop.

    Args:
        answer: returns an answer for each question, in their order; runs in one thread of its own. Its error is that of
            all who asked.
    """

    def __init__(self, answer: Callable[[Sequence[Question]], Sequence[Answer]]) -> None:
        self._answer = answer
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="together")
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._work: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """Return the answer to a question. An error of `answer` is raised."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answered))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._answer_waiting())
        return await answered

    async def _answer_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            answering = loop.run_in_executor(self._executor, self._answer, [question for question, _ in some])
            await asyncio.wait([answering])
            error = answering.exception()
            for place, (_, answered) in enumerate(some):
                if answered.done():  # the one who asked has left
                    continue
                if error:
                    answered.set_exception(error)
                else:
                    answered.set_result(answering.result()[place])
