"""delivery.json: which channels are delivered, and how. Addresses of servers and secrets come from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from campaigns.channels import STAFF, Channel
from delivery.errors import DeliveryConfigError
from segments.definition_files import describe_place, find_file, read_content, validate

if TYPE_CHECKING:
    from pathlib import Path

CONFIG_FILE = "delivery"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Retries(BaseModel):
    """The pauses between attempts: the first one doubles with each attempt, up to the longest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_pause_s: Annotated[float, Field(gt=0, le=3_600)] = 10
    longest_pause_s: Annotated[float, Field(gt=0, le=86_400)] = 900

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.longest_pause_s < self.first_pause_s:
            raise ValueError("longest_pause_s must not be less than first_pause_s")
        return self


class Alarm(BaseModel):
    """When bounces or opt-outs of a mail domain are a burst.

    Attributes:
        window_minutes: what is counted lies within so many minutes.
        least: fewer are no burst.
        percent: and a smaller share of the e-mails of the domain in the window is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_minutes: Annotated[int, Field(ge=1, le=1_440)] = 60
    least: Annotated[int, Field(ge=1)] = 10
    percent: Annotated[float, Field(ge=0, le=100)] = 5


class Unsubscribe(BaseModel):
    """The page on which customers unsubscribe.

    Attributes:
        base_url: its public address, without the token.
        host: where it is served, behind your proxy.
        port: 0 chooses a free one.
        text: the words of the link that ends each e-mail.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8090
    text: Annotated[str, Field(min_length=1, max_length=200)] = "Unsubscribe"

    @field_validator("base_url")
    @classmethod
    def _is_https(cls, url: str) -> str:
        parts = urlsplit(url)
        allowed = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if not allowed or not parts.hostname or parts.query or parts.fragment or not url.isascii() or " " in url:
            raise ValueError("must be an address as https://example.org/unsubscribe; RFC 8058 needs https")
        return url.rstrip("/")


def _is_usable(value: str) -> bool:
    address = parseaddr(value)[1]
    try:
        Address(addr_spec=address)
    except (MessageError, ValueError, IndexError):
        return False
    return "@" in address and address.isascii() and value.isprintable()


class _Delivered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: str
    connections: Annotated[int, Field(ge=1, le=200)] = 8
    timeout_s: Annotated[float, Field(ge=1, le=600)] = 30

    @property
    def variable(self) -> str:
        """The beginning of the names of its variables."""
        return "HOLDFAST_DELIVERY_" + self.channel.upper().replace("-", "_")


class EmailDelivery(_Delivered):
    """A channel that is delivered as e-mail.

    Attributes:
        sender: the From of every e-mail, as `Shop <news@example.org>`.
        subject: the subject, where neither the trigger nor `subjects` has one.
        subjects: the subject of campaigns whose definitions have none.
        return_path: the address to which mail servers report what they cannot deliver; that of `sender` when left out.
        address_column: the warehouse column with the customer's address.
        to: the address of notifications for staff.
    """

    by: Literal["smtp"]
    sender: str
    subject: Annotated[str, Field(min_length=1, max_length=200)]
    subjects: Mapping[str, Annotated[str, Field(min_length=1, max_length=200)]] = Field(default_factory=dict)
    return_path: str | None = None
    address_column: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    to: str | None = None

    @field_validator("sender", "return_path", "to")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not _is_usable(value):
            raise ValueError("must be an address, as Shop <news@example.org>")
        return value

    @field_validator("subject", "subjects")
    @classmethod
    def _is_one_line(cls, value: str | Mapping[str, str]) -> str | Mapping[str, str]:
        if not all(each.isprintable() for each in ([value] if isinstance(value, str) else value.values())):
            raise ValueError("a subject must be one line of printable characters")
        return value

    @model_validator(mode="after")
    def _has_one_recipient(self) -> Self:
        if (self.address_column is None) == (self.to is None):
            raise ValueError("needs either address_column, for customers, or to, for staff")
        return self


class WebhookDelivery(_Delivered):
    """A channel that is delivered to a webhook.

    Attributes:
        check_warehouse: whether consent is checked in the warehouse as well as in the ledger.
    """

    by: Literal["webhook"]
    check_warehouse: bool = True


ChannelDelivery = Annotated[EmailDelivery | WebhookDelivery, Field(discriminator="by")]


class DeliveryConfig(BaseModel):
    """The content of delivery.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Annotated[tuple[ChannelDelivery, ...], Field(min_length=1)]
    unsubscribe: Unsubscribe | None = None
    retries: Retries = Retries()
    alarm: Alarm = Alarm()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        variables = [each.variable for each in self.channels]
        for each in self.channels:
            if variables.count(each.variable) > 1:
                raise ValueError(f"channel {each.channel!r} appears twice, or another one has its variables")
            if isinstance(each, EmailDelivery) and each.address_column is not None and self.unsubscribe is None:
                raise ValueError(f"unsubscribe is missing: e-mails of channel {each.channel!r} must have a way out")
        return self


def load_config(folder: Path | None, channels: Mapping[str, Channel]) -> DeliveryConfig:
    """Read delivery.json or delivery.yaml of a definitions folder.

    Args:
        folder: HOLDFAST_DEFINITIONS_DIR.
        channels: the channels of the definitions.

    Raises:
        DeliveryConfigError: there is none, or it names a channel that does not fit.
        DefinitionError: it cannot be used.
    """
    if folder is None:
        raise DeliveryConfigError("set HOLDFAST_DEFINITIONS_DIR to a folder with a delivery.json; see docs/delivery.md")
    file = find_file(folder, CONFIG_FILE)
    if file is None:
        raise DeliveryConfigError(
            f"{folder} has no delivery.json or delivery.yaml, which says what is delivered how; see docs/delivery.md"
        )
    config: DeliveryConfig = validate(read_content(file), DeliveryConfig, where=file)
    for number, each in enumerate(config.channels):
        if problem := _find_problem(each, channels):
            raise DeliveryConfigError(f"{file}: {describe_place(file, f'$.channels[{number}]')}: {problem}")
    return config


def _find_problem(delivered: EmailDelivery | WebhookDelivery, channels: Mapping[str, Channel]) -> str | None:
    channel = channels.get(delivered.channel)
    if channel is None:
        return f"there is no channel {delivered.channel!r}; channels.json has: {', '.join(sorted(channels))}"
    if isinstance(delivered, EmailDelivery):
        for_staff = channel.recipient == STAFF
        if for_staff and delivered.to is None:
            return f"channel {channel.key!r} is for staff: give the address in `to`, not in a column"
        if not for_staff and delivered.address_column is None:
            return f"channel {channel.key!r} is for customers: give the column of their address in `address_column`"
    return None
