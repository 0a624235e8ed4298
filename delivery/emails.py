"""A trigger as an e-mail. Pure, but for the date that it carries."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from delivery.permission import find_domain

if TYPE_CHECKING:
    from datetime import datetime

    from delivery.config import EmailDelivery
    from delivery.trigger import Trigger


class _WholeAddresses(EmailPolicy):
    """SMTP's policy, but List-Unsubscribe is never folded: that would encode it, and no mail program reads it so."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name == "List-Unsubscribe":
            return f"{name}: {value}\r\n".encode("ascii")
        return super().fold_binary(name, value)


ASCII = _WholeAddresses(linesep="\r\n")
# An address beyond ASCII needs SMTPUTF8 (RFC 6531), which the mail server may lack; all else goes without.
UTF8 = ASCII.clone(utf8=True)
_BLOCKS = {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "table", "ul", "ol", "blockquote"}
_TAG = re.compile(r"<[^>]*>?")
_UNSEEN = {"script", "style", "head", "title"}


def build_email(
    trigger: Trigger,
    delivered: EmailDelivery,
    *,
    to: str,
    at: datetime,
    unsubscribe_url: str | None,
    unsubscribe_text: str = "",
) -> EmailMessage:
    """Return the e-mail of a trigger.

    Every attempt has the same Message-ID, so that a receiver can tell a repetition.

    Args:
        trigger: the trigger.
        delivered: sender and subjects.
        to: the recipient's address.
        at: the Date.
        unsubscribe_url: this customer's way out (RFC 8058), None in a notification of staff.
        unsubscribe_text: the words of the link to it.

    Raises:
        ValueError: a part of it cannot stand in an e-mail.
    """
    name, address = parseaddr(delivered.sender)
    message = EmailMessage(policy=ASCII if to.isascii() else UTF8)
    message["From"] = Address(name, addr_spec=address)
    # By its parts: parsed as a whole, one beyond ASCII is refused.
    local, _, domain = to.rpartition("@")
    message["To"] = Address(username=local, domain=domain)
    message["Subject"] = trigger.subject or delivered.subjects.get(trigger.campaign, delivered.subject)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{trigger.id}@{find_domain(address)}>"
    if unsubscribe_url is not None:
        message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    is_html = trigger.message_format == "html"
    text = read_html(trigger.message) if is_html else trigger.message
    message.set_content(f"{text}\n{_end_text(unsubscribe_url, unsubscribe_text)}")
    if is_html:
        message.add_alternative(f"{trigger.message}\n{_end_html(unsubscribe_url, unsubscribe_text)}", subtype="html")
    return message


def _end_text(url: str | None, text: str) -> str:
    return "" if url is None else f"\n-- \n{text}: {url}\n"


def _end_html(url: str | None, text: str) -> str:
    return "" if url is None else f'<p><a href="{escape(url)}">{escape(text)}</a></p>\n'


class _TextOfHtml(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self.parts.append("\n")
        if tag == "a":
            self._links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        if tag in _BLOCKS:
            self.parts.append("\n")
        if tag == "a" and self._links and (link := self._links.pop()):
            self.parts.append(f" ({link})")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(" ".join(data.split()) if data.strip() else " ")
            if data[-1:].isspace():
                self.parts.append(" ")


def read_html(html: str) -> str:
    """Return an HTML message as text: for people and filters that read no HTML."""
    parser = _TextOfHtml()
    try:
        parser.feed(html)
        parser.close()
    except AssertionError:  # the parser's answer to a broken declaration, as <![
        parser.parts = [_TAG.sub(" ", html)]
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)
