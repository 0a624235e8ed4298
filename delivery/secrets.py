"""Addresses of servers and secrets of channels, from the environment and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from delivery.config import LOOPBACK, EmailDelivery
from delivery.errors import DeliveryConfigError
from delivery.signatures import read_secret
from delivery.smtp import SmtpServer, read_smtp_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from delivery.config import DeliveryConfig, WebhookDelivery

UNSUBSCRIBE_SECRET = "HOLDFAST_UNSUBSCRIBE_SECRET"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    """Where a webhook is, and the keys of its signatures."""

    url: str = field(repr=False)
    keys: Sequence[bytes] = field(repr=False)


def read_mail_server(delivered: EmailDelivery, environment: Mapping[str, str]) -> SmtpServer:
    """Return the mail server of a channel.

    Raises:
        DeliveryConfigError: its variable is missing or cannot be used; the message does not quote it.
    """
    name = f"{delivered.variable}_URL"
    url = _require(name, environment, f"the mail server of channel {delivered.channel!r}")
    try:
        return read_smtp_url(url)
    except ValueError as error:
        raise DeliveryConfigError(f"{name}: {error}") from None


def read_webhook(delivered: WebhookDelivery, environment: Mapping[str, str]) -> WebhookAddress:
    """Return the address of a channel's webhook, and its keys.

    Raises:
        DeliveryConfigError: a variable is missing or cannot be used; the message does not quote it.
    """
    name = f"{delivered.variable}_URL"
    url = _require(name, environment, f"the webhook of channel {delivered.channel!r}")
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    except ValueError:
        usable = False
    if not usable:
        raise DeliveryConfigError(f"{name}: must be an https:// address; http:// is for loopback only")
    return WebhookAddress(url, read_keys(f"{delivered.variable}_SECRET", environment, "signatures of the webhook"))


def read_unsubscribe_keys(config: DeliveryConfig, environment: Mapping[str, str]) -> Sequence[bytes]:
    """Return the keys of unsubscribe links, the one that signs first; none where no channel needs them.

    Raises:
        DeliveryConfigError: the variable is missing or cannot be used.
    """
    return read_keys(UNSUBSCRIBE_SECRET, environment, "unsubscribe links") if config.unsubscribe else ()


def read_keys(name: str, environment: Mapping[str, str], purpose: str) -> Sequence[bytes]:
    """Return the keys of a variable: one secret, or several with spaces between them while they are exchanged.

    Raises:
        DeliveryConfigError: the variable is missing or cannot be used; the message does not quote it.
    """
    secrets = _require(name, environment, f"the secret of {purpose}").split()
    try:
        return [read_secret(each) for each in secrets]
    except ValueError as error:
        raise DeliveryConfigError(f"{name}: {error}") from None


def _require(name: str, environment: Mapping[str, str], what: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise DeliveryConfigError(f"{name} is not set: {what}; see docs/delivery.md")
    return value
