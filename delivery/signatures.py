"""What proves where a message comes from: signatures of webhooks, tokens of unsubscribe links. Pure.

Webhooks are signed as Standard Webhooks 1.0 describes it (standardwebhooks.com): HMAC-SHA256 over id, timestamp and
body.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - the mark of a secret, not one
LEAST_SECRET_BYTES = 24
_TOKEN_PURPOSE = b"holdfast unsubscribe 1\x1f"
_LONGEST_TOKEN = 2_000


def read_secret(text: str) -> bytes:
    """Return the key of a secret: base64, with or without the prefix `whsec_`.

    Raises:
        ValueError: it is not base64, or too short to be safe; the message does not quote it.
    """
    try:
        key = b64decode(text.strip().removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a secret must be base64, as `whsec_` and the output of: openssl rand -base64 32") from None
    if len(key) < LEAST_SECRET_BYTES:
        raise ValueError(f"a secret must have {LEAST_SECRET_BYTES} bytes or more, this one has {len(key)}")
    return key


def sign_webhook(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """Return the headers of a webhook, with one signature by each key.

    Args:
        keys: the present key, and while keys are exchanged the other one.
        webhook_id: the same in every attempt; receivers ignore an id that they have seen.
        timestamp: of the attempt, seconds since 1970.
        body: the bytes sent.
    """
    content = b"%s.%d.%s" % (webhook_id.encode(), timestamp, body)
    signatures = (b64encode(hmac.digest(key, content, sha256)).decode() for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }


class UnsubscribeClaim(msgspec.Struct, frozen=True, array_like=True):
    """Who unsubscribes from what: the content of a token."""

    trigger_id: str
    customer_id: str
    channel: str


_claims = msgspec.json.Decoder(UnsubscribeClaim)


def make_token(key: bytes, claim: UnsubscribeClaim) -> str:
    """Return a token for the address of a page. It does not expire: an old e-mail must still let people leave."""
    content = msgspec.json.encode(claim)
    return f"{_encode(content)}.{_encode(_sign_claim(key, content))}"


def read_token(keys: Sequence[bytes], token: str) -> UnsubscribeClaim | None:
    """Return what a token claims, None unless one of the keys has signed it."""
    if len(token) > _LONGEST_TOKEN:
        return None
    first, _, second = token.partition(".")
    try:
        content, signature = _decode(first), _decode(second)
    except ValueError:
        return None
    if not any(hmac.compare_digest(_sign_claim(key, content), signature) for key in keys):
        return None
    return _claims.decode(content)


def _sign_claim(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, _TOKEN_PURPOSE + content, sha256)


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("not base64")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
