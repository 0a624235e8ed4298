"""What an e-mail consists of."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest

from delivery.config import EmailDelivery
from delivery.emails import build_email, read_html
from tests.triggers import NOW, received

if TYPE_CHECKING:
    from email.message import EmailMessage

DELIVERED = EmailDelivery(
    channel="email",
    by="smtp",
    sender="Blumen Müller <news@shop.example>",
    subject="For you",
    subjects={"vip": "Für Sie"},
    address_column="email",
)
URL = "https://shop.example/u/abc.def"


def email(url: str | None = URL, to: str = "ann@mail.example", **changes: Any) -> EmailMessage:
    """Return an e-mail as a mail server receives it."""
    trigger = received(**changes).trigger
    message = build_email(trigger, DELIVERED, to=to, at=NOW, unsubscribe_url=url, unsubscribe_text="Abmelden")
    return message_from_bytes(message.as_bytes(), policy=default)


def read(part: Any) -> str:
    """Return a part's text with the line ends of this system."""
    return str(part.get_content()).replace("\r\n", "\n")


def test_headers_name_sender_recipient_trigger_and_the_way_out() -> None:
    """List-Unsubscribe and List-Unsubscribe-Post as in RFC 8058, section 8.1."""
    message = email()
    assert message["From"] == "Blumen Müller <news@shop.example>"
    assert message["To"] == "ann@mail.example"
    assert message["Subject"] == "For you"
    assert message["Date"] == "Mon, 02 Mar 2026 12:00:00 +0000"
    assert message["Message-ID"] == f"<{received().trigger.id}@shop.example>"
    assert message["List-Unsubscribe"] == f"<{URL}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_campaign_may_have_a_subject_of_its_own() -> None:
    assert email(campaign="vip")["Subject"] == "Für Sie"
    assert email(campaign="vip", subject="Liebe Ann")["Subject"] == "Liebe Ann"


def test_a_subject_adds_no_header() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        email(subject="Hello\nBcc: eve@mail.example")


def test_a_text_message_is_one_part_with_the_link() -> None:
    """Nothing in it is markup."""
    message = email(message="5 < 6 & Grüße")
    assert message.get_content_type() == "text/plain"
    assert read(message) == f"5 < 6 & Grüße\n\n-- \nAbmelden: {URL}\n"


def test_an_html_message_has_a_part_for_people_who_read_text() -> None:
    message = email(message_format="html", message="<p>Hello <b>Ann</b></p>")
    text, html = message.iter_parts()  # type: ignore[misc]
    assert message.get_content_type() == "multipart/alternative"
    assert read(text) == f"Hello Ann\n\n-- \nAbmelden: {URL}\n"
    assert read(html) == f'<p>Hello <b>Ann</b></p>\n<p><a href="{URL}">Abmelden</a></p>\n'


def test_a_notification_of_staff_has_no_way_out() -> None:
    message = email(url=None)
    assert message["List-Unsubscribe"] is None
    assert "Abmelden" not in message.get_content()


@pytest.mark.parametrize("to", ["ann@mail.example", "jürgen@müller.example"])
def test_long_links_stay_in_one_piece(to: str) -> None:
    """Neither folded nor encoded: mail programs read the header as it is written."""
    url = "https://shop.example/u/" + "aZ09-_." * 90
    message = build_email(received().trigger, DELIVERED, to=to, at=NOW, unsubscribe_url=url)
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in message.as_bytes()


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\nTwo"),
        ("a<br>b", "a\nb"),
        ("<b>a</b> <i>b</i>", "a b"),
        ("O&#39;Brien &amp; S&ouml;hne", "O'Brien & Söhne"),
        ('<a href="https://a.example/">Shop</a>!', "Shop (https://a.example/)!"),
        ("<a>Shop</a>", "Shop"),
        ("<style>p {}</style><script>x()</script>seen", "seen"),
        ("  many \n blanks ", "many blanks"),
        ("</script>odd", "odd"),
        ("a <![broken b", "a"),
        ("", ""),
    ],
)
def test_html_is_read_as_text(html: str, text: str) -> None:
    assert read_html(html) == text
