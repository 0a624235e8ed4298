"""How many requests an account may send to the API in a minute, and an address whose requests have no valid key."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from console.web.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S = 60.0


class RateLimits:
    """Counts requests in the memory of this process, in windows of a minute that begin at the same time for all.

    Args:
        per_minute: of an account, and of an address whose requests have no valid key; 0 sets no limit.
        clock: the monotonic clock, s.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._lock = threading.Lock()
        self._began = clock()
        self._counts: dict[str, int] = {}

    def check_address(self, address: str) -> None:
        """Let an address ask who it is, which takes a query of the ledger.

        Raises:
            TooManyRequestsError: too many of its requests had no valid key.
        """
        self._count(f"address:{address}", 0, f"too many requests without a valid key from {address}")

    def note_stranger(self, address: str) -> None:
        """Count a request without a valid key.

        Raises:
            TooManyRequestsError: there were too many before.
        """
        self._count(f"address:{address}", 1, f"too many requests without a valid key from {address}")

    def count(self, account: str) -> None:
        """Count a request of an account.

        Raises:
            TooManyRequestsError: it has sent too many.
        """
        self._count(
            f"account:{account}",
            1,
            f"{account} may send {self._per_minute:,} requests a minute (HOLDFAST_CONSOLE_RATE_PER_MINUTE)",
        )

    def _count(self, key: str, requests: int, refusal: str) -> None:
        if not self._per_minute:
            return
        with self._lock:
            now = self._clock()
            if now - self._began >= WINDOW_S:
                self._began = now
                self._counts.clear()
            before = self._counts.get(key, 0)
            if before >= self._per_minute:
                raise TooManyRequestsError(refusal, retry_after_s=math.ceil(self._began + WINDOW_S - now))
            self._counts[key] = before + requests
