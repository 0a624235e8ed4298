"""A thread for blocking calls that may never return."""

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
    """Makes calls one after another in a daemon thread; the process does not wait for it at exit.

    The process would wait for the threads of a pool. One thread per call would block the event loop while it starts,
    which takes milliseconds on busy cores.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._thread = Thread(target=_work, args=(self._calls,), name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[..., Result], *arguments: object) -> Future[Result]:
        """Return the future of a call, made after all earlier ones."""
        answer: Future[Result] = Future()
        self._calls.put((answer, work, arguments))
        return answer

    def end(self) -> None:
        """End the thread after the calls made so far; make none afterwards."""
        self._calls.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, at most `timeout_s` seconds."""
        self._thread.join(timeout_s)


def _work(calls: SimpleQueue[Call | None]) -> None:
    while (call := calls.get()) is not None:
        answer, work, arguments = call
        answer.set_running_or_notify_cancel()
        try:
            answer.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - the caller that waits for the future raises it
            # Without its frames, which keep the arguments of the call alive.
            answer.set_exception(error.with_traceback(None))
