"""E-mail by SMTP: one connection per message."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTP

from delivery.answers import Settled, TryAgain, read_smtp_refusal
from delivery.config import LOOPBACK
from delivery.courier import read_clock
from delivery.emails import build_email

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from delivery.answers import Answer
    from delivery.config import EmailDelivery
    from delivery.ports import Claimed
    from delivery.trigger import Trigger

PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
QUIT_S = 1.0


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server, and how to connect to it.

    Attributes:
        scheme: `smtp`: not encrypted; `smtp+starttls`: encrypted after STARTTLS or not at all used; `smtps`: TLS.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def read_smtp_url(url: str) -> SmtpServer:
    """Return the server of a URL as smtp+starttls://user:password@host:587, special characters as %XX.

    Raises:
        ValueError: it cannot be used; the message does not quote it.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(
            "must be smtp+starttls://user:password@host:587, smtps://user:password@host:465 or, without a password, "
            "smtp://host:25; special characters as %XX"
        )
    if (parts.username is None) != (parts.password is None):
        raise ValueError("must have a user name and a password, or neither")
    if parts.scheme == "smtp" and parts.password is not None and parts.hostname not in LOOPBACK:
        raise ValueError("would send the password without encryption; use smtp+starttls:// or smtps://")
    try:
        port = parts.port or PORTS[parts.scheme]
    except ValueError:
        raise ValueError("has a port that is no number from 0 to 65535") from None
    name, password = (None if each is None else unquote(each) for each in (parts.username, parts.password))
    return SmtpServer(parts.scheme, parts.hostname, port, name, password)


class SmtpTransport:
    """Sends e-mail.

    Args:
        server: the mail server.
        delivered: sender, subjects and, for staff, the recipient.
        timeout_s: the longest wait for each answer of the server.
        unsubscribe: returns the address of the page on which this customer unsubscribes, and the words of the link.
        clock: returns the time.
    """

    def __init__(
        self,
        server: SmtpServer,
        delivered: EmailDelivery,
        *,
        timeout_s: float,
        unsubscribe: Callable[[Trigger], tuple[str, str]] | None,
        clock: Callable[[], datetime] = read_clock,
    ) -> None:
        self._server = server
        self._delivered = delivered
        self._timeout_s = timeout_s
        self._unsubscribe = unsubscribe
        self._clock = clock

    async def send(self, claimed: Claimed, address: str | None) -> Answer:
        """See the port."""
        recipient = address or parseaddr(self._delivered.to or "")[1]
        url, words = self._unsubscribe(claimed.trigger) if self._unsubscribe and address else (None, "")
        try:
            message = build_email(
                claimed.trigger,
                self._delivered,
                to=recipient,
                at=self._clock(),
                unsubscribe_url=url,
                unsubscribe_text=words,
            )
            content = message.as_bytes()
        except ValueError:
            return Settled("failed", "the e-mail cannot be written: its address or its text")
        return await self._send(recipient, content)

    async def _send(self, recipient: str, content: bytes) -> Answer:
        client = self._connect()
        try:
            await client.connect()
            return await self._transmit(client, recipient, content)
        except aiosmtplib.SMTPResponseException as error:
            return read_smtp_refusal("connection", error.code, error.message)
        except (aiosmtplib.SMTPException, OSError) as error:
            # Not its text, which may quote an address.
            return TryAgain(f"smtp connection: {type(error).__name__}")
        finally:
            client.close()

    async def _transmit(self, client: SMTP, recipient: str, content: bytes) -> Answer:
        sender = parseaddr(self._delivered.return_path or self._delivered.sender)[1]
        options = [] if recipient.isascii() else ["SMTPUTF8"]
        try:
            await client.sendmail(sender, [recipient], content, mail_options=options)
        except aiosmtplib.SMTPSenderRefused as error:
            return read_smtp_refusal("sender", error.code, error.message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            (refused,) = error.recipients
            return read_smtp_refusal("recipient", refused.code, refused.message)
        except aiosmtplib.SMTPDataError as error:
            return read_smtp_refusal("message", error.code, error.message)
        except ValueError:
            return Settled("failed", "invalid_address")
        except aiosmtplib.SMTPNotSupported:
            return Settled("failed", "the mail server takes no address beyond ASCII")
        # Accepted: nothing that happens from now on makes it another answer.
        with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            async with asyncio.timeout(QUIT_S):
                await client.quit()
        return Settled("delivered", "smtp 250")

    def _connect(self) -> SMTP:
        server = self._server
        return SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            timeout=self._timeout_s,
            use_tls=server.scheme == "smtps",
            start_tls=server.scheme == "smtp+starttls",
        )
