"""Passwords: Argon2id, with the parameters of RFC 9106's low-memory option, which argon2-cffi has as its default."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from console.errors import AccessError

SHORTEST = 12
LONGEST = 512
_HASHER = PasswordHasher()
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each check takes 64 MiB; strangers can ask for many."""
_OF_NOBODY = _HASHER.hash("of nobody")


def hash_password(password: str) -> str:
    """Return the hash to store.

    Raises:
        AccessError: the password is too short, or so long that hashing it would take long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccessError(f"a password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}")
    return _HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Return whether a password is right. It takes as long where there is no account or no password."""
    try:
        with _AT_ONCE:
            return _HASHER.verify(stored or _OF_NOBODY, password[:LONGEST]) and stored is not None
    except (UnicodeEncodeError, VerificationError, InvalidHashError):
        return False
