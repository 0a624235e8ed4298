"""A value that takes long to make, given to all who ask while it is fresh."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


class FreshValue(Generic[Value]):
    """Makes a value at most once at a time, and not again while the last is fresh. Safe for threads.

    Args:
        make: returns a value, given the one before it; None the first time.
        fresh_s: how long a value is given to all who ask.
    """

    def __init__(self, make: Callable[[Value | None], Value], *, fresh_s: float) -> None:
        self._make = make
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._value: Value | None = None
        self._made_at = 0.0

    def read(self) -> Value:
        """Return a fresh value. Those who ask meanwhile wait for the same one; an error of `make` is raised."""
        with self._lock:
            if self._value is None or time.monotonic() - self._made_at > self._fresh_s:
                self._value = self._make(self._value)
                self._made_at = time.monotonic()
            return self._value
