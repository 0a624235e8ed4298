"""Figures over the whole ledger, which take long: one that is there is shown at once, and computed again meanwhile."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from console.use_cases.parts import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Value = TypeVar("Value")

FRESH_FOR = 20.0
"""A figure is fresh for so many times as long as it took: computing one takes at most a twentieth of the time."""
FIRST_WAIT_S, NEXT_WAIT_S = 0.1, 0.05
"""How long to wait for a figure, and where there is a former one."""
MOST = 200
"""So many figures are kept; the one that was asked for least recently goes first."""


@dataclass(frozen=True, slots=True)
class Kept(Generic[Value]):
    """A figure.

    Attributes:
        value: None where there is none yet, or it could not be computed.
        computed_at: when; None without a value.
        problem: why it could not be computed; empty otherwise.
    """

    value: Value | None = None
    computed_at: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class _Figure:
    kept: Kept[Any]
    fresh_until: float = 0.0
    reading: Reading[tuple[Any, float, datetime]] | None = None


class KeptFigures:
    """Computes each figure at most once at a time. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._figures: dict[Hashable, _Figure] = {}

    def find(self, key: Hashable, compute: Callable[[], Value]) -> Kept[Value]:
        """Return a figure, the former one where it takes long; neither value nor problem while there is none.

        Args:
            key: of the figure; the same one is the same figure.
            compute: returns it.
        """
        with self._lock:
            figure = self._figures.pop(key, None) or _Figure(Kept())
            self._figures[key] = figure
            if len(self._figures) > MOST:
                del self._figures[next(iter(self._figures))]
            if figure.reading is None and time.monotonic() >= figure.fresh_until:
                figure.reading = Reading(lambda: _time(compute))
            reading, wait_s = figure.reading, NEXT_WAIT_S if figure.kept.value is not None else FIRST_WAIT_S
        if reading is not None and reading.has_ended(time.monotonic() + wait_s):
            with self._lock:
                if figure.reading is reading:
                    figure.reading = None
                    part = reading.wait(0.0, 0.0)
                    value, took_s, at = part.value or (None, 0.0, None)
                    figure.kept = Kept(value, at, part.problem)
                    figure.fresh_until = time.monotonic() + FRESH_FOR * took_s
        return figure.kept


def _time(compute: Callable[[], Value]) -> tuple[Value, float, datetime]:
    begun = time.monotonic()
    value = compute()
    return value, time.monotonic() - begun, datetime.now(UTC)
