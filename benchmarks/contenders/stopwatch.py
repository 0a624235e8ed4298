"""Counts events and measures the time between the first and the last."""

from __future__ import annotations

import json
import sys
import time


class Stopwatch:
    """Starts at the first events noted, which are not counted, and stops at the last.

    Args:
        events: number of events expected.
        warm: number of events processed before the clock starts.
    """

    def __init__(self, events: int, warm: int = 0) -> None:
        self._left = events
        self._warm = warm
        self._counted = 0
        self._began = 0.0
        self._spent = 0.0

    def note(self, events: int) -> bool:
        """Add events to the count, and return whether all expected events have been seen."""
        if self._began:
            self._counted += events
        else:
            self._warm -= events
            if self._warm <= 0:
                self._began, self._spent = time.perf_counter(), time.process_time()
        self._left -= events
        return self._left <= 0

    def report(self, **more: float) -> None:
        """Print events per second, and CPU seconds of this process (all threads) per million events."""
        seconds, spent = time.perf_counter() - self._began, time.process_time() - self._spent
        figures = {"events_per_s": self._counted / seconds, "cpu_s_per_million": spent / self._counted * 1e6}
        sys.stdout.write(json.dumps(figures | more) + "\n")
        sys.stdout.flush()
