"""`python -m streams`: a worker, as `holdfast worker` runs it."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import uvloop

from features.errors import WarehouseRowError
from streams.observability.customer_digests import describe_trace
from streams.observability.logs import configure_logs
from streams.runtime.shutdown import end_within
from streams.services import run_worker
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from streams.settings import Settings


def run(work: Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]] = run_worker) -> None:
    """Read the settings and work until SIGTERM or Ctrl-C.

    Args:
        work: what to do until the event is set.
    """
    settings = load_settings()
    configure_logs(settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_work(settings, work))
        except* WarehouseRowError as errors:
            # What ends a worker is printed into its log: without the row's values, which the server quotes.
            (reason, *_) = (
                each["error"] for each in describe_trace(errors) if each["type"] == WarehouseRowError.__name__
            )
            raise WarehouseRowError(f"the warehouse cannot compute rows of the view: {reason}") from None


async def _work(settings: Settings, work: Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    deadline = asyncio.create_task(_end_in_time(stop, settings.shutdown_s))
    try:
        await work(settings, stop)
    finally:
        deadline.cancel()


async def _end_in_time(stop: asyncio.Event, seconds: float) -> None:
    await stop.wait()
    end_within(seconds)


if __name__ == "__main__":
    run()
