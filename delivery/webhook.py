"""Signed webhooks over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from delivery.answers import TryAgain, read_http_answer
from delivery.courier import read_clock
from delivery.signatures import sign_webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from delivery.answers import Answer
    from delivery.ports import Claimed


class WebhookTransport:
    """Posts each trigger, as it was published, to one address. Redirects are not followed: they would lose the body.

    Args:
        session: the HTTP client.
        url: the address.
        keys: the keys of the signatures.
        timeout_s: the longest time for a request.
        clock: returns the time.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        keys: Sequence[bytes],
        *,
        timeout_s: float,
        clock: Callable[[], datetime] = read_clock,
    ) -> None:
        self._session = session
        self._url = url
        self._keys = keys
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._clock = clock

    async def send(self, claimed: Claimed, address: str | None) -> Answer:  # noqa: ARG002 - a webhook has one address
        """See the port."""
        now = self._clock()
        signed = sign_webhook(self._keys, claimed.trigger.id, int(now.timestamp()), claimed.body)
        headers = {**signed, "Content-Type": "application/json"}
        try:
            async with self._session.post(
                self._url, data=claimed.body, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as answer:
                return read_http_answer(answer.status, answer.headers.get("Retry-After"), now)
        except (aiohttp.ClientError, OSError) as error:
            # Not its text, which may quote the address and a token in it.
            return TryAgain(f"http connection: {type(error).__name__}")
