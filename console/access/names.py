"""Names of accounts."""

from __future__ import annotations

import re

from console.errors import AccessError

LOCAL, UNKNOWN = "local", "unknown"
"""Who acts in the audit log where no sign-in is needed, and where a sign-in names no account."""
LONGEST = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]*", re.ASCII)


def normalize_name(given: str) -> str:
    """Return a name as accounts have it: people type capitals and spaces around it."""
    return given.strip().lower()


def is_name(name: str) -> bool:
    """Return whether an account can have a name.

    Names are lower-case ASCII, so that no two look the same, and none holds what a page, a log or a terminal obeys.
    """
    return len(name) <= LONGEST and _NAME.fullmatch(name) is not None and name not in {LOCAL, UNKNOWN}


def check_name(name: str) -> str:
    """Return the name.

    Raises:
        AccessError: no account can have it.
    """
    if not is_name(name):
        raise AccessError(
            f"{name!r} cannot be the name of an account: it has up to {LONGEST} of a-z, 0-9 and ._@+-, begins with a "
            f"letter or a digit, and is not {LOCAL} or {UNKNOWN}"
        )
    return name
