"""Channels as data: how a campaign system can reach a customer, and the format of its messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from campaigns.errors import CampaignDefinitionError
from campaigns.quiet_hours import QuietHours
from segments.definition_files import describe_place, find_file, read_content, validate

CHANNELS_FILE = "channels"
"""The name of the file, without its suffix."""

MAX_MESSAGE_CHARACTERS = 2_000
SHIPPED = Path(__file__).parent / "definitions"
"""The folder of the campaigns, offers and channels that come with Holdfast."""

CUSTOMER: Literal["customer"] = "customer"
STAFF: Literal["staff"] = "staff"

MessageFormat = Literal["html", "text"]


class ConsentValues(BaseModel):
    """What the values of a consent column that is not boolean mean; text is compared without surrounding blanks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    given: tuple[str | float, ...] = Field(min_length=1, description="The values with which the customer consents.")
    denied: tuple[str | float, ...] = Field(
        default=(), description="The values with which the customer does not; null is always one of them."
    )

    @model_validator(mode="after")
    def _say_one_thing(self) -> Self:
        both = [value for value in map(_plain, self.given) if value in map(_plain, self.denied)]
        if both:
            raise ValueError(f"{both[0]!r} is both given and denied")
        return self

    def read(self, value: object) -> bool | None:
        """Return whether a value gives consent, None where it is not listed."""
        plain = _plain(value)
        if plain in map(_plain, self.given):
            return True
        return False if plain in map(_plain, self.denied) else None


class Channel(BaseModel):
    """A channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9_-]{1,32}$", description="Its name in campaigns, events and the ledger.")
    message_format: MessageFormat = Field(description="html: what a template inserts is escaped; text: it is not.")
    max_characters: int = Field(
        default=MAX_MESSAGE_CHARACTERS,
        ge=1,
        le=MAX_MESSAGE_CHARACTERS,
        description="A longer message is withheld.",
    )
    consent_column: str = Field(
        default_factory=lambda data: f"{data.get('key')}_consent",
        min_length=1,
        max_length=200,
        description="The view's column that is true where the customer consents; <key>_consent when left out.",
    )
    max_segments: int | None = Field(
        default=None, ge=1, le=13, description="A text message of more SMS parts is withheld."
    )
    consent_values: ConsentValues | None = Field(
        default=None, description="What the values of a consent column mean that is not boolean."
    )
    purposes: Mapping[str, str] = Field(
        default_factory=dict, description="The consent column of each purpose that a campaign may name."
    )
    recipient: Literal["customer", "staff"] = Field(
        default=CUSTOMER,
        # What is for staff needs no consent unless `consent_column` is given, and is no contact of the customer.
        description="staff: a notification about the customer, which competes with no contact and counts as none.",
    )
    cost: float = Field(
        default=0,
        ge=0,
        le=1e9,
        allow_inf_nan=False,
        description="What a contact costs, in the currency of the offers' values.",
    )
    quiet_hours: QuietHours | None = Field(
        default=None, description="When it delivers nothing; at any time when left out."
    )

    @model_validator(mode="after")
    def _counts_segments_of_text(self) -> Self:
        if self.max_segments is not None and self.message_format != "text":
            raise ValueError("max_segments is for a channel of message_format text")
        return self

    def read_consent(self, value: object) -> bool | None:
        """Return whether a value of the consent column gives consent, None where it cannot be read."""
        if value is None or isinstance(value, bool):
            return bool(value)
        return self.consent_values.read(value) if self.consent_values else None

    def for_purpose(self, purpose: str) -> Channel:
        """Return the channel with the consent column of a purpose.

        Raises:
            ValueError: it has no such purpose.
        """
        if purpose not in self.purposes:
            known = ", ".join(sorted(self.purposes)) or "none"
            raise ValueError(f"channel {self.key!r} has no purpose {purpose!r}; it has: {known}")
        return self.model_copy(update={"consent_column": self.purposes[purpose]})

    def describe(self) -> dict[str, Any]:
        """Return what decides, as JSON; what is left out in a definition is left out here."""
        optional = {
            "max_segments": self.max_segments,
            "consent_values": self.consent_values,
            "purposes": self.purposes,
            "cost": self.cost,
            "recipient": self.recipient != CUSTOMER,
        }
        unset = {name for name, value in optional.items() if not value}
        quiet = {} if self.quiet_hours is None else {"quiet_hours": self.quiet_hours.describe()}
        # Without a column of its own, a channel for staff needs no consent.
        consent = set() if self.needs_consent else {"consent_column"}
        return {**self.model_dump(exclude={*unset, *consent, "quiet_hours"}), **quiet}

    @property
    def needs_consent(self) -> bool:
        """Whether a contact needs the customer's consent."""
        return self.recipient == CUSTOMER or "consent_column" in self.model_fields_set

    @property
    def consent_time_column(self) -> str:
        """The warehouse column with the time at which the customer consented; it may be missing."""
        return f"{self.consent_column}_at"


def load_channels(folder: Path) -> Mapping[str, Channel]:
    """Return the channels of a definitions folder by key, the shipped ones where it has no file of them.

    Raises:
        DefinitionError: the file cannot be used.
    """
    file = find_file(folder, CHANNELS_FILE)
    return build_channels(read_content(file), where=file) if file else shipped_channels()


def build_channels(content: Any, *, where: object) -> Mapping[str, Channel]:
    """Return the channels of a file's content, by key.

    Raises:
        DefinitionError: the content cannot be used.
    """
    channels = validate(content, tuple[Channel, ...], where=where)
    by_key: dict[str, Channel] = {}
    for number, channel in enumerate(channels):
        if by_key.setdefault(channel.key, channel) is not channel:
            place = describe_place(where, f"$[{number}].key")
            raise CampaignDefinitionError(f"{where}: {place} {channel.key!r} appears twice; choose another")
    return by_key


@lru_cache(maxsize=1)
def shipped_channels() -> Mapping[str, Channel]:
    """Return the channels that come with Holdfast: email, sms and push."""
    file = SHIPPED / f"{CHANNELS_FILE}.json"
    return build_channels(read_content(file), where=file)


def _plain(value: object) -> object:
    return value.strip() if isinstance(value, str) else value
