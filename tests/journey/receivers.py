"""A real mail server and a real web server, which keep what they receive and answer as a test says."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from threading import Thread
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import EmailMessage


@dataclass(slots=True)
class MailServer:
    """A mail server. `answers` are the answers to recipients, each once and in order; then it accepts."""

    received: list[tuple[str, EmailMessage]] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: object, _session: object, envelope: Any, address: str, _options: object
    ) -> str:
        """Answer a recipient."""
        if left := self.answers.get(address):
            return left.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - as above
        """Keep a message."""
        message = message_from_bytes(envelope.content, policy=default)
        self.received += [(address, message) for address in envelope.rcpt_tos]
        return "250 Accepted"

    def mails(self, address: str) -> list[EmailMessage]:
        """Return the messages accepted for an address."""
        return [message for recipient, message in self.received if recipient == address]


@contextmanager
def loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """Lend an event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Lend a mail server on loopback."""
    mail = MailServer()
    with loop_in_thread() as loop:

        async def start() -> asyncio.Server:
            return await loop.create_server(lambda: SMTP(mail, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)

        server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        mail.port = server.sockets[0].getsockname()[1]
        yield mail
        loop.call_soon_threadsafe(server.close)


@dataclass(slots=True)
class WebServer:
    """A web server. `answers` are (status, headers) of the next answers; then it answers 204."""

    received: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    port: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        """Keep a request."""
        self.received.append((dict(request.headers), await request.read()))
        status, headers = self.answers.pop(0) if self.answers else (204, {})
        return web.Response(status=status, headers=headers)


@contextmanager
def web_server() -> Iterator[WebServer]:
    """Lend a web server on loopback."""
    server = WebServer()
    app = web.Application()
    app.add_routes([web.post("/hook", server.handle)])
    runner = web.AppRunner(app)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.port = runner.addresses[0][1]

    with loop_in_thread() as loop:
        asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield server
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
