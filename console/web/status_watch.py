"""Looks at the deployment for all who ask: at most one look at a time, and none while the last is fresh."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from console.use_cases.status import read_status

if TYPE_CHECKING:
    from console.use_cases.status import Status
    from streams.settings import Settings

FRESH_S = 2.0


class StatusWatch:
    """Remembers the last look.

    Args:
        settings: of the deployment.
        fresh_s: how long a look is given to all who ask.
    """

    def __init__(self, settings: Settings, *, fresh_s: float = FRESH_S) -> None:
        self._settings = settings
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._looked_at = 0.0

    def look(self) -> Status:
        """Return a look that is fresh. Those who ask meanwhile wait for the same one."""
        with self._lock:
            if self._status is None or time.monotonic() - self._looked_at > self._fresh_s:
                former = self._status.marks if self._status else None
                self._status = read_status(self._settings, former=former)
                self._looked_at = time.monotonic()
            return self._status
