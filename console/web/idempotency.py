"""Actions that are done once, however often they are sent: the header Idempotency-Key of a POST to the API.

The key is begun in the ledger when it is known who asks and that they may, and before anything is done. The answer is
stored before it is sent, so a client that got it can get it again. Where the process ends in between, it is not known
whether the action was done, so it is not done again: the repetition is refused, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from console.web.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from console.access.postgres_accounts import PostgresAccounts

HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
LONGEST_KEY = 255
RUNS_AT_MOST = timedelta(minutes=10)
"""A request that has no answer after this time has ended with its process."""
_API = "/api/"
_STATE = "keyed_request"
_NOT_STORED = frozenset({"content-length", "date"})
"""Headers that are of one transmission."""


class ReplayedAnswer(Exception):  # noqa: N818 - not an error
    """The request was answered before; this is the answer."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__("answered before")
        self.status, self.headers, self.body = status, headers, body


@dataclass(slots=True)
class KeyedRequest:
    """A request with an idempotency key.

    Attributes:
        key: as the client chose it.
        content: what the key stands for: method, address, and the body as it arrives.
        account: whose key it is, from the moment that the request is begun.
    """

    key: str
    content: Any = field(default_factory=sha256)
    account: str | None = None


def is_keyed(request: Request) -> bool:
    """Return whether a request has a key."""
    return _STATE in request.scope.get("state", {})


def begin_once(request: Request, accounts: PostgresAccounts, account: str) -> None:
    """Begin a request that has a key. Call it when it is known that the account may.

    Raises:
        ReplayedAnswer: it was answered before.
        ConflictError: the first request under this key still runs, or its process ended before it was answered.
        InvalidRequestError: the key stands for another request.
    """
    keyed = cast("KeyedRequest", request.scope["state"][_STATE])
    if not 1 <= len(keyed.key) <= LONGEST_KEY:
        raise InvalidRequestError(f"{HEADER}: a key has 1 to {LONGEST_KEY} characters; this one has {len(keyed.key)}")
    fingerprint = keyed.content.digest()
    begun = accounts.begin_action(account, keyed.key, fingerprint)
    if begun is None:
        keyed.account = account
        return
    if begun.fingerprint != fingerprint:
        raise InvalidRequestError(
            f"{HEADER}: {keyed.key!r} stands for another request of {begun.begun_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} "
            "UTC; choose a new key for each action"
        )
    if begun.status is None:
        raise ConflictError(_describe_unanswered(keyed.key, begun.begun_at))
    raise ReplayedAnswer(begun.status, begun.headers or {}, begun.body or b"")


def answer_replayed(_: Request, answer: Exception) -> Response:
    """Return a stored answer."""
    assert isinstance(answer, ReplayedAnswer)  # noqa: S101 - it is registered for no other
    return Response(answer.body, answer.status, headers={**answer.headers, REPLAYED: "true"})


def _describe_unanswered(key: str, begun_at: datetime) -> str:
    since = f"{begun_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if datetime.now(UTC) - begun_at < RUNS_AT_MOST:
        return f"the request with the key {key!r} has run since {since}; send it again later for its answer"
    return (
        f"the request with the key {key!r} was begun at {since}, and its process ended before it was answered: whether "
        "it was done is not known; look, and send it under a new key if it was not"
    )


class IdempotencyKeys:
    """Reads the key of a POST to the API, and stores the answer where the key was begun.

    An answer that the service was away, or that there were too many requests, releases the key.
    """

    def __init__(self, app: ASGIApp, accounts: PostgresAccounts) -> None:
        self._app = app
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        keyed = _read_key(scope)
        if keyed is None:
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})[_STATE] = keyed
        messages: list[Message] = []

        async def receive_and_digest() -> Message:
            message = await receive()
            keyed.content.update(message.get("body", b""))
            return message

        async def store_and_send(message: Message) -> None:
            if keyed.account is None:
                await send(message)
                return
            messages.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await run_in_threadpool(self._end, keyed.account, keyed.key, messages)
                for each in messages:
                    await send(each)

        await self._app(scope, receive_and_digest, store_and_send)

    def _end(self, account: str, key: str, messages: list[Message]) -> None:
        start, *parts = messages
        status = start["status"]
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            self._accounts.release_action(account, key)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        kept = {name: value for name, value in headers.items() if name not in _NOT_STORED}
        self._accounts.end_action(account, key, status, kept, b"".join(each.get("body", b"") for each in parts))


def _read_key(scope: Scope) -> KeyedRequest | None:
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_API):
        return None
    given = [value for name, value in scope["headers"] if name == HEADER.lower().encode()]
    if not given:
        return None
    keyed = KeyedRequest(given[0].decode("latin-1"))
    keyed.content.update(b"%s %s?%s\n" % (b"POST", scope["path"].encode(), scope.get("query_string", b"")))
    return keyed
