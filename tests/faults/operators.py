"""What operators run next to disturbed workers: commands of `holdfast`, again and again."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from tests.forked_process import ForkedProcess, run_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.run import Run

TIMEOUT_S = 120.0
PAUSE_S = 2.0
REPLAYED = timedelta(seconds=10)
OUTBOX_DAYS = 5 / 86_400
TRACEBACK = "Traceback (most recent call last)"


def prune() -> Sequence[str]:
    """Return the arguments that delete old rows."""
    return ("prune", "--json")


def replay() -> Sequence[str]:
    """Return the arguments that decide the last seconds again."""
    now = datetime.now(UTC)
    return ("replay", "--from", (now - REPLAYED).isoformat(), "--to", now.isoformat(), "--json")


class Operators:
    """Prunes and replays while a block runs. A command may fail, as when a service is away, but must say so in words.

    Args:
        run: the ledger, the topics and the definitions.

    Attributes:
        done: commands that succeeded and that failed, by name.
        complaints: what no command may print.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._over = Event()
        self._threads = [Thread(target=self._repeat, args=[each], name=each.__name__) for each in (prune, replay)]
        self.done: Counter[str] = Counter()
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def _repeat(self, find_arguments: Callable[[], Sequence[str]]) -> None:
        name = find_arguments.__name__
        environment = {
            **os.environ,
            **self._run.settings(),
            "HOLDFAST_RETENTION_OUTBOX_DAYS": f"{OUTBOX_DAYS:.6f}",
        }
        log = self._run.world.logs / f"{name}.log"
        while not self._over.wait(PAUSE_S):
            process = ForkedProcess(run_command, find_arguments(), environment, log)
            try:
                code = process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                self.complaints.append(f"{name} did not end within {TIMEOUT_S:.0f} s: {log.read_text()[-2000:]}")
                continue
            self.done[f"{name} failed" if code else name] += 1
            if TRACEBACK in log.read_text():
                self.complaints.append(f"{name} printed a traceback: {log.read_text()[-2000:]}")
