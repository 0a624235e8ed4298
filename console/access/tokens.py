"""Secrets of sessions and keys: the ledger holds only their digests."""

from __future__ import annotations

import secrets
from hashlib import sha256
from hmac import compare_digest

KEY_PREFIX = "hf_"
"""So that scanners for secrets find keys in logs and repositories."""
_BYTES = 32


def make_session_token() -> str:
    """Return a new token of a session."""
    return secrets.token_urlsafe(_BYTES)


def make_key() -> str:
    """Return a new API key."""
    return KEY_PREFIX + secrets.token_urlsafe(_BYTES)


def digest(secret: str) -> bytes:
    """Return what the ledger holds of a secret. Secrets are random, so no slow hash is needed."""
    return sha256(secret.encode()).digest()


def derive_csrf_token(session_token: str) -> str:
    """Return the token that forms of a session must carry: another site cannot know it."""
    return sha256(b"csrf:" + session_token.encode()).hexdigest()


def is_same(expected: str, given: str | None) -> bool:
    """Compare two tokens in a time that does not depend on where they differ."""
    return given is not None and compare_digest(expected.encode(), given.encode(errors="replace"))
