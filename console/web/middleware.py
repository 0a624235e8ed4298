"""What holds for every request: security headers, and a limit to its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 2_000_000
_LONGEST_LENGTH = 19
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
SANDBOX = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    # A browser opens no sandbox whose answer asks for a group of its own.
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Referrer-Policy": "no-referrer",
}
"""Headers of a page that others wrote: it has its styles and pictures, no script, no cookie, and nothing to ask."""
_ASSETS = "/static/"
_KEPT = frozenset({200, 206, 304})


class SecurityHeaders:
    """Adds the security headers where an answer has none of its own, and keeps all but the assets out of caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                is_asset = scope["path"].startswith(_ASSETS) and message["status"] in _KEPT
                headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_asset else "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses a request whose body is too large, whether or not it says how large it is."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, announced = 0, _read_length(scope)

        async def receive_within_limit() -> Message:
            nonlocal received
            self._check(announced)
            message = await receive()
            received += len(message.get("body", b""))
            self._check(received)
            return message

        await self._app(scope, receive_within_limit, send)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise HTTPException(413, f"the body is larger than {self._max_bytes:,} bytes", {"Connection": "close"})


def _read_length(scope: Scope) -> int:
    """Return how large a body is said to be, bytes; 0 where nothing is said."""
    given = Headers(scope=scope).get("Content-Length", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < _LONGEST_LENGTH else 0
