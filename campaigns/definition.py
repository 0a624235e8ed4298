"""Campaigns and offers as data: the files a marketer writes."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from campaigns.errors import CampaignDefinitionError, MessageError
from campaigns.messages import compile_message

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

Parsed = TypeVar("Parsed")

MAX_FILE_BYTES = 256 * 1024
OFFERS_FILE = "offers.json"


class Channel(StrEnum):
    """The channels a campaign system can be asked to use."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


class Launch(StrEnum):
    """What makes a campaign contact a customer."""

    ON_ENTER = "on_enter"
    BY_OPERATOR = "by_operator"


class Offer(BaseModel):
    """One of the offers that the next-best-offer model chooses from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int = Field(ge=1, le=1000)
    key: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    name: str = Field(min_length=1, max_length=200)


class Campaign(BaseModel):
    """Whom to contact, when, with which offers, through which channels, in which words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    segment: str
    launch: Launch = Launch.ON_ENTER
    offers: tuple[int, ...] = Field(min_length=1)
    channels: tuple[Channel, ...] = Field(min_length=1)
    message: str = Field(min_length=1, max_length=10_000)
    holdout_percent: Annotated[float, Field(ge=0, le=50)] = 0
    cooldown_days: Annotated[int, Field(ge=0, le=3650)] = 0
    valid_days: Annotated[int, Field(ge=1, le=365)] = 14

    @field_validator("message")
    @classmethod
    def _message_compiles(cls, message: str) -> str:
        try:
            compile_message(message)
        except MessageError as error:
            raise ValueError(str(error)) from error
        return message

    @cached_property
    def version(self) -> str:
        """Twelve hex digits of the SHA-256 of everything that decides."""
        return hashlib.sha256(self.model_dump_json(exclude={"description"}).encode()).hexdigest()[:12]


def load_campaigns(folder: Path, *, segments: Collection[str]) -> tuple[tuple[Campaign, ...], dict[int, Offer]]:
    """Read every campaign file of a folder and its offers.json.

    Args:
        folder: the folder of definition files.
        segments: keys of the segments that exist; a campaign naming another is refused.

    Raises:
        CampaignDefinitionError: a file is missing, unreadable, invalid, or names what does not exist.
    """
    offers = _load_offers(folder / OFFERS_FILE)
    paths = sorted(path for path in folder.glob("*.json") if path.name != OFFERS_FILE)
    campaigns = {path: _parse(path, TypeAdapter(Campaign)) for path in paths}
    seen: dict[str, Path] = {}
    for path, campaign in campaigns.items():
        if campaign.key in seen:
            raise CampaignDefinitionError(
                f"{path}: $.key {campaign.key!r} is already used by {seen[campaign.key]}; choose another"
            )
        seen[campaign.key] = path
        _refuse_unknown(path, campaign, segments, offers)
    return tuple(campaigns.values()), offers


def _refuse_unknown(path: Path, campaign: Campaign, segments: Collection[str], offers: Collection[int]) -> None:
    if campaign.segment not in segments:
        known = ", ".join(sorted(segments)) or "none"
        raise CampaignDefinitionError(
            f"{path}: $.segment names {campaign.segment!r}, which is not defined; known segments: {known}"
        )
    unknown = sorted(set(campaign.offers) - set(offers))
    if unknown:
        raise CampaignDefinitionError(f"{path}: $.offers names {unknown}, which {OFFERS_FILE} does not define")


def _load_offers(path: Path) -> dict[int, Offer]:
    offers = _parse(path, TypeAdapter(tuple[Offer, ...]))
    by_id = {offer.id: offer for offer in offers}
    if len(by_id) != len(offers):
        raise CampaignDefinitionError(f"{path}: two offers have the same id; each id may appear once")
    return by_id


def _parse(path: Path, adapter: TypeAdapter[Parsed]) -> Parsed:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise CampaignDefinitionError(
                f"{path}: {size:,} bytes; a definition file may have {MAX_FILE_BYTES:,} at most"
            )
        return adapter.validate_json(path.read_bytes())
    except OSError as error:
        raise CampaignDefinitionError(
            f"{path}: cannot be read ({error.strerror}); every definitions folder needs it"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in first["loc"])
        raise CampaignDefinitionError(f"{path}: ${where}: {first['msg']}") from error
