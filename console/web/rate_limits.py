"""How many requests an account may send to the API in a minute, and an address that nobody is known at."""

from __future__ import annotations

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from console.web.errors import TooManyRequestsError


class RateLimits:
    """Counts requests in the memory of this process.

    Args:
        per_minute: of an account, and of an address whose requests have no valid key; 0 sets no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check_address(self, address: str) -> None:
        """Let an address ask who it is, which takes a query of the ledger.

        Raises:
            TooManyRequestsError: too many of its requests had no valid key.
        """
        if self._limit is not None and not self._limiter.test(self._limit, _of_address(address)):
            self._refuse(f"too many requests without a valid key from {address}", _of_address(address))

    def note_stranger(self, address: str) -> None:
        """Count a request without a valid key."""
        if self._limit is not None:
            self._limiter.hit(self._limit, _of_address(address))

    def count(self, account: str) -> None:
        """Count a request of an account.

        Raises:
            TooManyRequestsError: it has sent too many.
        """
        if self._limit is not None and not self._limiter.hit(self._limit, f"account:{account}"):
            self._refuse(
                f"{account} may send {self._limit.amount:,} requests a minute (HOLDFAST_CONSOLE_RATE_PER_MINUTE)",
                f"account:{account}",
            )

    def _refuse(self, why: str, key: str) -> None:
        assert self._limit is not None  # noqa: S101 - only a limit refuses
        reset = self._limiter.get_window_stats(self._limit, key).reset_time
        raise TooManyRequestsError(why, retry_after_s=max(1, round(reset - time.time())))


def _of_address(address: str) -> str:
    return f"address:{address}"
