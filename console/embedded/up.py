"""`holdfast up`: run the services until SIGINT or SIGTERM."""

from __future__ import annotations

import shlex
import signal
import sys
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from rich.console import Console

from console.embedded.errors import StartCancelledError
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from console.embedded.services import Endpoints

_LOOK_AFTER = 1.0


def run_until_stopped(data: Path) -> int:
    """Start all services, print where they are, wait for SIGINT or SIGTERM, and stop them.

    Progress goes to the standard error; the standard output holds only `export NAME=value` lines, which a
    shell can read. Call it from the main thread.

    Args:
        data: The data folder.

    Returns:
        The exit code: 0 when it was asked to stop, 1 when a service ended by itself.

    Raises:
        EmbeddedError: the services could not be started; nothing is left running.
    """
    console = Console(stderr=True, highlight=False)
    services = EmbeddedServices(data, report=lambda text: console.print(text, markup=False))
    stopped = Event()

    def ask_to_stop() -> None:
        stopped.set()
        services.cancel()

    with _on_signal(ask_to_stop):
        try:
            endpoints = services.start()
        except StartCancelledError:
            return 0
        try:
            _print_endpoints(endpoints)
            console.print("ready; press Ctrl-C to stop", markup=False)
            return _watch(services, stopped, console)
        finally:
            services.stop()


def _watch(services: EmbeddedServices, stopped: Event, console: Console) -> int:
    """Wait until asked to stop, or until a service has ended by itself."""
    expected = set(services.find_pids())
    while not stopped.wait(_LOOK_AFTER):
        for name in sorted(expected - set(services.find_pids())):
            console.print(f"{name} has ended by itself; its log is {services.find_logs()[name]}", markup=False)
            return 1
    return 0


def _print_endpoints(endpoints: Endpoints) -> None:
    for name, value in endpoints.as_environment().items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    sys.stdout.flush()


@contextmanager
def _on_signal(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` on SIGINT and SIGTERM meanwhile."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        act()

    former = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
