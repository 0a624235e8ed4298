"""A thread for calls that block, and may never return."""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = tuple[Future[Any], Callable[..., Any], tuple[object, ...]]

Result = TypeVar("Result")


class WorkerThread:
    """Makes one call after another in a thread of its own, which may be left behind: no exit waits for it.

    The threads of a pool are waited for when the process ends. One thread for each call would hold up the event loop
    until it has started, which on busy cores takes milliseconds.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._thread = Thread(target=_work, args=(self._calls,), name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[..., Result], *arguments: object) -> Future[Result]:
        """Return what will hold the result of a call, made after all before it."""
        answer: Future[Result] = Future()
        self._calls.put((answer, work, arguments))
        return answer

    def end(self) -> None:
        """End the thread after the calls before; no others may follow."""
        self._calls.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, but not for ever."""
        self._thread.join(timeout_s)


def _work(calls: SimpleQueue[Call | None]) -> None:
    while (call := calls.get()) is not None:
        answer, work, arguments = call
        answer.set_running_or_notify_cancel()
        try:
            answer.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - whatever it is, who waits for the answer raises it
            # Without its frames: they hold what the call was made with.
            answer.set_exception(error.with_traceback(None))
