"""Counts events, and takes the time between the first that come and the last."""

from __future__ import annotations

import json
import sys
import time


class Stopwatch:
    """Starts with the first events noted, which do not count, and is done with the last.

    Args:
        events: how many will come.
        warm: how many of them come before it starts.
    """

    def __init__(self, events: int, warm: int = 0) -> None:
        self._left = events
        self._warm = warm
        self._counted = 0
        self._began = 0.0
        self._spent = 0.0

    def note(self, events: int) -> bool:
        """Note that events came, and return whether they were the last."""
        if self._began:
            self._counted += events
        else:
            self._warm -= events
            if self._warm <= 0:
                self._began, self._spent = time.perf_counter(), time.process_time()
        self._left -= events
        return self._left <= 0

    def report(self, **more: float) -> None:
        """Print events per second, and CPU seconds of this process (all threads) for a million events."""
        seconds, spent = time.perf_counter() - self._began, time.process_time() - self._spent
        figures = {"events_per_s": self._counted / seconds, "cpu_s_per_million": spent / self._counted * 1e6}
        sys.stdout.write(json.dumps(figures | more) + "\n")
        sys.stdout.flush()
