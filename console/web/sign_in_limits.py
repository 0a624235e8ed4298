"""How many sign-ins may fail, by account and by address, so that passwords cannot be guessed."""

from __future__ import annotations

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from console.web.errors import TooManyRequestsError

OF_ACCOUNT = RateLimitItemPerMinute(5, 5)
OF_ADDRESS = RateLimitItemPerMinute(30, 5)


class SignInLimits:
    """Counts failures in the memory of this process: five of an account and thirty of an address in five minutes."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, name: str, address: str) -> None:
        """Let a sign-in be tried.

        Raises:
            TooManyRequestsError: too many have failed.
        """
        for limit, key in ((OF_ACCOUNT, f"account:{name}"), (OF_ADDRESS, f"address:{address}")):
            if not self._limiter.test(limit, key):
                reset, _ = self._limiter.get_window_stats(limit, key)
                raise TooManyRequestsError(
                    "too many sign-ins have failed", retry_after_s=max(1, round(reset - time.time()))
                )

    def note_failure(self, name: str, address: str) -> None:
        """Count a sign-in that failed."""
        self._limiter.hit(OF_ACCOUNT, f"account:{name}")
        self._limiter.hit(OF_ADDRESS, f"address:{address}")
