"""Figures about all customers, computed in the background and kept for a while."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from console.use_cases.customer_analytics import count_rfm, count_risk, measure_campaigns, read_cohorts, read_risks
from console.use_cases.parts import Part, Reading
from console.web.voice_reports import read_voice_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.settings import Settings

KEPT_S = 600.0
PATIENCE_S, LOOK_S = 2.0, 0.1
"""How long to wait for one figure, and for all of them, which a page asks for again by itself."""
PENDING = "being computed"

_SOURCES: Mapping[str, Callable[[Settings], Any]] = {
    "cohorts": read_cohorts,
    "rfm": count_rfm,
    "risk": count_risk,
    "history": read_risks,
    "campaigns": measure_campaigns,
    "voice": read_voice_part,
}


class AnalyticsWatch:
    """Computes each figure at most once at a time, and again when it is asked for after ten minutes.

    Args:
        settings: where customers, purchases, decisions and messages are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._readings: dict[str, tuple[float, Reading[Any]]] = {}

    def look(self) -> dict[str, Part[Any]]:
        """Return every figure; one that takes longer has the problem PENDING, and is there for a later look."""
        readings = {name: self._find(name) for name in _SOURCES}
        until = time.monotonic() + LOOK_S
        return {name: self._wait(each, until) for name, each in readings.items()}

    def find(self, name: str) -> Part[Any]:
        """Return one figure, as `look`."""
        return self._wait(self._find(name), time.monotonic() + PATIENCE_S)

    def _find(self, name: str) -> Reading[Any]:
        with self._lock:
            begun, reading = self._readings.get(name, (-KEPT_S, None))
            if reading is None or time.monotonic() - begun > KEPT_S:
                source = _SOURCES[name]
                reading = Reading(lambda: source(self._settings))
                self._readings[name] = (time.monotonic(), reading)
            return reading

    def _wait(self, reading: Reading[Any], until: float) -> Part[Any]:
        return reading.wait(0.0, until) if reading.has_ended(until) else Part(None, PENDING)
