"""How many sign-ins may fail, by account and by address, so that passwords cannot be guessed."""

from __future__ import annotations

import threading
import time
from collections import deque
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import TYPE_CHECKING

from console.web.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S = 300.0
OF_ACCOUNT, OF_ADDRESS = 5, 30
_MANY = 10_000
_IPV6_NETWORK_BITS = 64


class SignInLimits:
    """Counts failures in the memory of this process: five of an account and thirty of an address in five minutes.

    A try counts as a failure until it has succeeded, so that many at once are no way round. Safe for threads.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[tuple[str, str], deque[float]] = {}

    def begin(self, name: str, address: str) -> float:
        """Let a sign-in be tried, and return the time of the try.

        Raises:
            TooManyRequestsError: too many have failed.
        """
        with self._lock:
            now = self._clock()
            self._forget_old(now)
            kept = [(self._find(key, now), most) for key, most in _limits(name, address)]
            waits = [tries[0] + WINDOW_S - now for tries, most in kept if len(tries) >= most]
            if waits:
                raise TooManyRequestsError("too many sign-ins have failed", retry_after_s=max(1, ceil(max(waits))))
            for tries, _ in kept:
                tries.append(now)
            return now

    def note_success(self, name: str, address: str, begun: float) -> None:
        """Forget the failures of an account that has signed in, and this try of its address."""
        (of_account, _), (of_address, _) = _limits(name, address)
        with self._lock:
            self._tries.pop(of_account, None)
            tries = self._tries.get(of_address)
            if tries is not None and begun in tries:
                tries.remove(begun)

    def _find(self, key: tuple[str, str], now: float) -> deque[float]:
        tries = self._tries.setdefault(key, deque())
        while tries and tries[0] <= now - WINDOW_S:
            tries.popleft()
        return tries

    def _forget_old(self, now: float) -> None:
        if len(self._tries) >= _MANY:
            self._tries = {key: tries for key, tries in self._tries.items() if tries and tries[-1] > now - WINDOW_S}


def _limits(name: str, address: str) -> tuple[tuple[tuple[str, str], int], tuple[tuple[str, str], int]]:
    return (("account", name), OF_ACCOUNT), (("address", _find_network(address)), OF_ADDRESS)


def _find_network(address: str) -> str:
    """Return the network that one client usually has for itself: with IPv6 it may choose among 2**64 addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(int(parsed) >> _IPV6_NETWORK_BITS)
    return address
