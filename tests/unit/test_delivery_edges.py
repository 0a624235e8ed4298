"""E-mail, webhooks and the unsubscribe page, over real connections on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from structlog.testing import capture_logs

from campaigns.errors import LedgerUnavailableError
from delivery.answers import Settled, TryAgain
from delivery.config import EmailDelivery, Unsubscribe
from delivery.metrics import DeliveryFigures
from delivery.ports import Claimed
from delivery.signatures import UnsubscribeClaim, make_token, sign_webhook
from delivery.smtp import SmtpServer, SmtpTransport
from delivery.unsubscribe_page import UnsubscribePage, serve_page
from delivery.webhook import WebhookTransport
from streams.errors import SettingsError
from tests.fakes.deliveries import InMemoryDeliveries
from tests.journey.receivers import MailServer, WebServer, web_server
from tests.triggers import NOW, received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KEY = b"k" * 32
URL = "https://shop.example/u/token"
DELIVERED = EmailDelivery(channel="email", by="smtp", sender="a@shop.example", subject="s", address_column="email")
DESK = EmailDelivery(
    channel="email",
    by="smtp",
    sender="a@shop.example",
    subject="s",
    to="Desk <desk@shop.example>",
    return_path="bounces@shop.example",
)


def claimed(**changes: Any) -> Claimed:
    got = received(**changes)
    return Claimed(got.trigger, got.body, 1)


@asynccontextmanager
async def smtp(handler: Any, **options: Any) -> AsyncIterator[SmtpServer]:
    """Lend a mail server with this handler."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, loop=loop, **options), "127.0.0.1", 0)
    try:
        yield SmtpServer("smtp", "127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()


def transport(server: SmtpServer, delivered: EmailDelivery = DELIVERED) -> SmtpTransport:
    return SmtpTransport(server, delivered, timeout_s=2, unsubscribe=lambda _: (URL, "Bye"), clock=lambda: NOW)


async def test_an_email_is_sent() -> None:
    mail = MailServer()
    async with smtp(mail) as server:
        assert await transport(server).send(claimed(), "ann@mail.example") == Settled("delivered", "smtp 250")
    ((address, message),) = mail.received
    assert (address, message["List-Unsubscribe"]) == ("ann@mail.example", f"<{URL}>")


async def test_staff_are_written_to_without_a_way_out() -> None:
    mail = MailServer()
    async with smtp(mail) as server:
        assert await transport(server, DESK).send(claimed(), None) == Settled("delivered", "smtp 250")
    ((address, message),) = mail.received
    assert (address, message["List-Unsubscribe"]) == ("desk@shop.example", None)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("550 5.1.1 no ann@mail.example here", Settled("bounced", "smtp recipient: 550 5.1.1")),
        ("450 4.2.1 later", TryAgain("smtp recipient: 450 4.2.1")),
    ],
)
async def test_a_refusal_of_the_recipient_is_read(said: str, answer: object) -> None:
    mail = MailServer(answers={"ann@mail.example": [said]})
    async with smtp(mail) as server:
        assert await transport(server).send(claimed(), "ann@mail.example") == answer


class Answers:
    """A handler that gives the answer it was built with."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers

    async def handle_MAIL(self, _server: object, _session: object, envelope: Any, address: str, *_: object) -> str:  # noqa: N802 - the name that aiosmtpd calls
        """Answer the sender."""
        envelope.mail_from = address
        return self.answers.get("mail", "250 OK")

    async def handle_DATA(self, server: Any, *_: object) -> str:  # noqa: N802 - as above
        """Answer the message, or hang up."""
        said = self.answers.get("data", "250 OK")
        if said == "hang up":
            server.transport.abort()
        return said


@pytest.mark.parametrize(
    ("answers", "answer"),
    [
        ({"mail": "550 5.7.1 not you"}, TryAgain("smtp sender: 550 5.7.1")),
        ({"data": "554 5.7.1 spam"}, Settled("bounced", "smtp message: 554 5.7.1")),
        ({"data": "451 4.3.0 full"}, TryAgain("smtp message: 451 4.3.0")),
        ({"data": "hang up"}, TryAgain("smtp connection: SMTPServerDisconnected")),
    ],
)
async def test_other_refusals_are_read(answers: dict[str, str], answer: object) -> None:
    async with smtp(Answers(**answers)) as server:
        assert await transport(server).send(claimed(), "ann@mail.example") == answer


async def test_a_wrong_password_bounces_nobody() -> None:
    """It concerns all e-mails, and is corrected by an operator."""

    def refuse(*_: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    async with smtp(MailServer(), authenticator=refuse, auth_require_tls=False) as server:
        wrong = SmtpServer("smtp", server.host, server.port, "u", "s3cret")
        answer = await transport(wrong).send(claimed(), "ann@mail.example")
    assert answer == TryAgain("smtp connection: 535 5.7.8")


async def test_a_server_without_starttls_gets_nothing() -> None:
    mail = MailServer()
    async with smtp(mail) as server:
        asked = SmtpServer("smtp+starttls", server.host, server.port)
        answer = await transport(asked).send(claimed(), "ann@mail.example")
    assert isinstance(answer, TryAgain)
    assert mail.received == []


async def test_no_mail_server_is_a_reason_to_try_again() -> None:
    answer = await transport(SmtpServer("smtp", "127.0.0.1", 1)).send(claimed(), "ann@mail.example")
    assert answer == TryAgain("smtp connection: SMTPConnectError")


async def test_an_address_beyond_ascii_needs_a_server_that_takes_it() -> None:
    mail = MailServer()
    async with smtp(mail, enable_SMTPUTF8=True) as server:
        assert await transport(server).send(claimed(), "jürgen@müller.example") == Settled("delivered", "smtp 250")
    async with smtp(mail) as server:
        answer = await transport(server).send(claimed(), "jürgen@müller.example")
    assert answer == Settled("failed", "the mail server takes no address beyond ASCII")
    assert [address for address, _ in mail.received] == ["jürgen@müller.example"]


@pytest.mark.parametrize("address", [".ann@mail.example", "an..n@mail.example", "ann@mail..example"])
async def test_an_address_that_no_header_can_carry_fails_alone(address: str) -> None:
    async with smtp(MailServer()) as server:
        answer = await transport(server).send(claimed(), address)
    assert isinstance(answer, Settled)
    assert address not in answer.reason


@pytest.fixture
def hook() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


async def post(url: str, content: Claimed, timeout_s: float = 5) -> Any:
    async with aiohttp.ClientSession() as session:
        hook = WebhookTransport(session, url, [KEY], timeout_s=timeout_s, clock=lambda: NOW)
        return await hook.send(content, None)


async def test_a_webhook_gets_the_trigger_with_its_signature(hook: WebServer) -> None:
    """The bytes that were published; the same id in every attempt."""
    hook.answers = [(503, {"Retry-After": "7"}), (301, {"Location": "/other"}), (410, {})]
    url, trigger = f"http://127.0.0.1:{hook.port}/hook", claimed()
    answers = [await post(url, trigger) for _ in range(4)]
    assert [getattr(each, "outcome", "again") for each in answers] == ["again", "again", "failed", "delivered"]
    assert answers[0].after.total_seconds() == 7
    assert {headers["webhook-id"] for headers, _ in hook.received} == {trigger.trigger.id}
    headers, body = hook.received[-1]
    assert body == trigger.body
    assert headers["Content-Type"] == "application/json"
    signed = sign_webhook([KEY], trigger.trigger.id, int(NOW.timestamp()), body)
    assert headers["webhook-signature"] == signed["webhook-signature"]


async def test_no_web_server_is_a_reason_to_try_again() -> None:
    assert await post("http://127.0.0.1:1/t0ken", claimed()) == TryAgain("http connection: ClientConnectorError")


class Full(InMemoryDeliveries):
    """Deliveries that take no opt-out."""

    async def opt_out(self, _opt_out: object) -> None:
        """Fail."""
        raise LedgerUnavailableError("away")


@asynccontextmanager
async def page(deliveries: InMemoryDeliveries) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """Lend the page's address and a client."""
    shown = UnsubscribePage(deliveries, [KEY], DeliveryFigures(), clock=lambda: NOW)
    runner, port = await serve_page(shown, Unsubscribe(base_url="https://shop.example", port=0))
    async with aiohttp.ClientSession() as session:
        yield f"http://127.0.0.1:{port}", session
    await runner.cleanup()


TOKEN = make_token(KEY, UnsubscribeClaim("5f0c", "ann", "email"))


async def test_get_asks_and_post_unsubscribes() -> None:
    """As RFC 8058 says; behind any path of the base address, and once however often it is posted."""
    deliveries = InMemoryDeliveries()
    async with page(deliveries) as (url, client):
        for path in (f"/{TOKEN}", f"/some/path/{TOKEN}"):
            async with client.get(url + path) as answer:
                assert answer.status == 200
                assert '<form method="post">' in await answer.text()
                assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert deliveries.opt_outs == {}
        for _ in range(2):
            async with client.post(f"{url}/{TOKEN}", data={"List-Unsubscribe": "One-Click"}) as answer:
                assert answer.status == 200
                assert "unsubscribed" in await answer.text()
    (opted,) = deliveries.opt_outs.values()
    assert (opted.customer_id, opted.channel, opted.trigger_id, opted.at) == ("ann", "email", "5f0c", NOW)


@pytest.mark.parametrize("token", ["x", TOKEN[:-1], TOKEN + "A", "x" * 5000, "%00"])
async def test_without_a_valid_token_nothing_happens(token: str) -> None:
    deliveries = InMemoryDeliveries()
    async with page(deliveries) as (url, client):
        for method in ("GET", "POST"):
            async with client.request(method, f"{url}/{token}") as answer:
                assert answer.status in {404, 414, 400}
    assert deliveries.opt_outs == {}


async def test_an_opt_out_that_is_not_stored_is_not_confirmed() -> None:
    async with page(Full()) as (url, client):
        with capture_logs() as logs:
            async with client.post(f"{url}/{TOKEN}") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
    assert [each["event"] for each in logs] == ["opt_out_not_stored"]
    assert "ann" not in str(logs)


async def test_a_port_in_use_is_one_sentence(hook: WebServer) -> None:
    shown = UnsubscribePage(InMemoryDeliveries(), [KEY], DeliveryFigures())
    with pytest.raises(SettingsError, match=rf"\$\.unsubscribe: port {hook.port} .* choose another port"):
        await serve_page(shown, Unsubscribe(base_url="https://shop.example", port=hook.port))
