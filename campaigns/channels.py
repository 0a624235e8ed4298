"""Channels as data: how a campaign system can reach a customer, and the format of its messages."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from campaigns.errors import CampaignDefinitionError
from segments.definition_files import read_json, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANNELS_FILE = "channels.json"
MAX_MESSAGE_CHARACTERS = 2_000
SHIPPED = Path(__file__).parent / "definitions"
"""The folder of the campaigns, offers and channels that come with Holdfast."""

MessageFormat = Literal["html", "text"]


class Channel(BaseModel):
    """A channel.

    Attributes:
        key: its name in campaigns, events and the ledger.
        message_format: `html`: what a template inserts is escaped; `text`: it is not.
        max_characters: a longer message is withheld.
        consent_column: the warehouse column that is true where the customer consents; `<key>_consent` when left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9_-]{1,32}$")
    message_format: MessageFormat
    max_characters: Annotated[int, Field(ge=1, le=MAX_MESSAGE_CHARACTERS)] = MAX_MESSAGE_CHARACTERS
    consent_column: str = Field(default_factory=lambda data: f"{data.get('key')}_consent", min_length=1, max_length=200)

    @property
    def consent_time_column(self) -> str:
        """The warehouse column with the time at which the customer consented; it may be missing."""
        return f"{self.consent_column}_at"


def load_channels(folder: Path) -> Mapping[str, Channel]:
    """Return the channels of a definitions folder by key, the shipped ones where it has no channels.json.

    Raises:
        DefinitionError: the file cannot be used.
    """
    file = folder / CHANNELS_FILE
    return _read(file) if file.exists() else shipped_channels()


@lru_cache(maxsize=1)
def shipped_channels() -> Mapping[str, Channel]:
    """Return the channels that come with Holdfast: email, sms and push."""
    return _read(SHIPPED / CHANNELS_FILE)


def _read(file: Path) -> Mapping[str, Channel]:
    channels = validate(read_json(file), tuple[Channel, ...], where=file)
    by_key: dict[str, Channel] = {}
    for number, channel in enumerate(channels):
        if by_key.setdefault(channel.key, channel) is not channel:
            raise CampaignDefinitionError(f"{file}: $[{number}].key {channel.key!r} appears twice; choose another")
    return by_key
