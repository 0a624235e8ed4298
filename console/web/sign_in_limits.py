"""How many sign-ins may fail, so that passwords cannot be guessed and no stranger locks somebody else out.

A browser in which somebody has signed in before has a cookie that says so (OWASP: "device cookies"). Its failures count
for it alone, and nobody else's for it. Other tries count for the account at their address, for the address, and for the
account: the last limit is so far above the first that one address alone does not reach it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import TYPE_CHECKING

from console.access.tokens import digest
from console.web.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.access.postgres_accounts import PostgresAccounts

_IPV6_SITE_BITS = 48


@dataclass(frozen=True, slots=True)
class Limit:
    """How many tries may fail.

    Attributes:
        most: in a window.
        window: begins with its first try.
    """

    most: int
    window: timedelta


OF_BROWSER = Limit(5, timedelta(minutes=5))
"""Of a browser that has signed in before; of all others at one address together, for each account."""
OF_ADDRESS = Limit(30, timedelta(minutes=5))
OF_ACCOUNT = Limit(100, timedelta(hours=1))
"""Of browsers that have not signed in before. One address reaches five in five minutes, so 65 in an hour."""


@dataclass(frozen=True, slots=True)
class Try:
    """A sign-in that is tried.

    Attributes:
        narrowest: the subject whose failures a success forgets.
        others: the subjects of which this try is no failure then.
        device: the token that the browser had; None where it had none of this account.
        is_first: of its address in the window, or of a known browser.
    """

    narrowest: str
    others: Sequence[str]
    device: str | None
    is_first: bool


class SignInLimits:
    """Counts failures in the ledger, so that all processes count together.

    A try counts as a failure until it has succeeded, so that many at once are no way round.

    Args:
        accounts: keeps the counts.
    """

    def __init__(self, accounts: PostgresAccounts) -> None:
        self._accounts = accounts

    def begin(self, name: str, address: str, device: str | None) -> Try:
        """Let a sign-in be tried.

        Args:
            name: of the account, which there may not be.
            address: where the request comes from.
            device: the token that the browser has; it may be anything.

        Raises:
            TooManyRequestsError: too many have failed.
        """
        known = device if device is not None and self._accounts.knows_device(device, name) else None
        limits = _find_limits(name, _find_site(address), known)
        counts = [self._count(subject, limit) for subject, limit in limits]
        narrowest, *others = (subject for subject, _ in limits)
        return Try(narrowest, others, known, known is not None or counts[1] == 1)

    def note_success(self, tried: Try) -> None:
        """Forget the failures of a browser or of an account at an address, and that this try counted elsewhere."""
        self._accounts.forget_tries(tried.narrowest, tried.others)

    def _count(self, subject: str, limit: Limit) -> int:
        """Count a try. The caller goes from narrow to wide: who is refused does not count for others."""
        tries, wait_s = self._accounts.count_try(subject, limit.window)
        if tries > limit.most:
            raise TooManyRequestsError("too many sign-ins have failed", retry_after_s=max(1, ceil(wait_s)))
        return tries


def _find_limits(name: str, site: str, known: str | None) -> Sequence[tuple[str, Limit]]:
    if known is not None:
        return [(f"device {digest(known).hex()}", OF_BROWSER)]
    return [
        (f"account {name} at {site}", OF_BROWSER),
        (f"address {site}", OF_ADDRESS),
        (f"account {name}", OF_ACCOUNT),
    ]


def _find_site(address: str) -> str:
    """Return what one client usually has for itself: an IPv4 address, or with IPv6 the 2**80 addresses of a site."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> (parsed.max_prefixlen - _IPV6_SITE_BITS):x}"
