"""Campaigns, offers and channels as data: the files that a marketer writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from campaigns.breaker import Breaker
from campaigns.channels import CHANNELS_FILE, CUSTOMER, SHIPPED, Channel, load_channels, shipped_channels
from campaigns.contact_limits import LIMITS_FILE, ContactLimit, load_limits, refuse_unknown_campaigns
from campaigns.errors import CampaignDefinitionError, MessageError
from campaigns.locale_formats import DEFAULT_LOCALE, read_locale
from campaigns.messages import read_template
from campaigns.variants import FEWEST, MOST, Variant
from segments.definition import SHIPPED as SHIPPED_SEGMENTS
from segments.definition import load_segments
from segments.definition_files import read_folder, read_json, validate

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pydantic import ValidationInfo

    from segments.definition import Segment

OFFERS_FILE = "offers.json"
OFFER_FIELDS = ("id", "key", "name")
"""The fields of an offer that messages may print: what it is worth is none of the customer's business."""


class Launch(StrEnum):
    """What makes a campaign contact a customer."""

    ON_ENTER = "on_enter"
    BY_OPERATOR = "by_operator"


class Offer(BaseModel):
    """One of the offers that the next-best-offer model chooses from.

    Attributes:
        id: its place among the scores of the model, from 1.
        key: its name in triggers.
        name: its name for people.
        value: what it brings when a customer accepts it, in the company's currency. 1 where no offer states a value:
            then campaigns are compared by probability.
        cost: what it costs when a customer accepts it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int = Field(ge=1)
    key: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    name: str = Field(min_length=1, max_length=200)
    value: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 1
    cost: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0

    @property
    def has_value(self) -> bool:
        """Whether its definition states a value or a cost."""
        return not self.model_fields_set.isdisjoint({"value", "cost"})

    @property
    def margin(self) -> float:
        """What is left of the value."""
        return self.value - self.cost


class Campaign(BaseModel):
    """Whom to contact, when, with which offers, through which channels, with which message.

    Of several campaigns that could contact a customer at one event the one with the highest `priority` does, and of
    equal ones the one with the highest expected net value, see campaigns/arbitration.py; one that does not compete
    makes its contact too. With `ignore_limits` it contacts beyond the limits of limits.json; its contacts count.
    Campaigns of one `holdout_group` hold out the same customers, those of the smaller share among those of the larger.
    `exploration_percent` of the decisions make a random offer, see campaigns/offers.py. Each customer gets one of the
    `variants`, see campaigns/variants.py. Its `breaker` stops it, see campaigns/breaker.py.

    The validation context may give `channels`, the channels that exist by key (the shipped ones when left out),
    `offers`, the offers that exist by id, `limits`, the limits on contacts, and `file`, the file's name for error
    messages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    segment: str
    launch: Launch = Launch.ON_ENTER
    offers: tuple[int, ...] = Field(min_length=1)
    purpose: str | None = None
    channels: tuple[str, ...] = Field(min_length=1)
    message: str = Field(min_length=1, max_length=10_000)
    locale: str = DEFAULT_LOCALE
    holdout_percent: Annotated[float, Field(ge=0, le=50)] = 0
    holdout_group: str | None = Field(default=None, pattern=r"^[a-z0-9-]{1,64}$")
    exploration_percent: Annotated[float, Field(ge=0, le=50)] = 0
    cooldown_days: Annotated[int, Field(ge=0, le=3650)] = 0
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    ignore_limits: bool = False
    competes: bool = True
    valid_days: Annotated[int, Field(ge=1, le=365)] = 14
    variants: tuple[Variant, ...] = ()
    breaker: Breaker | None = None

    _channels: Mapping[str, Channel] = PrivateAttr(default_factory=dict)
    _offers_with_value: Mapping[int, Offer] = PrivateAttr(default_factory=dict)
    _limits: tuple[ContactLimit, ...] = PrivateAttr(default=())
    _variants: Mapping[str, Campaign] = PrivateAttr(default_factory=dict)
    _file: str = PrivateAttr(default="")

    @field_validator("channels")
    @classmethod
    def _channels_exist(cls, channels: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = _known_channels(info.context)
        unknown = [key for key in channels if key not in known]
        if unknown:
            raise ValueError(f"unknown channel {unknown[0]!r}; known channels: {', '.join(sorted(known))}")
        if len({known[key].recipient for key in channels}) > 1:
            kinds = ", ".join(f"{key} is for {known[key].recipient}" for key in channels)
            raise ValueError(f"one campaign cannot reach customers and staff: {kinds}; write two campaigns")
        if purpose := info.data.get("purpose"):
            for key in channels:
                known[key].for_purpose(purpose)
        return channels

    @field_validator("message")
    @classmethod
    def _message_compiles(cls, message: str) -> str:
        _compile(message)
        return message

    @field_validator("variants")
    @classmethod
    def _variants_differ(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        if variants and not FEWEST <= len(variants) <= MOST:
            raise ValueError(f"a campaign has {FEWEST} to {MOST} variants, or none; here are {len(variants)}")
        keys = [each.key for each in variants]
        if twice := [key for place, key in enumerate(keys) if key in keys[:place]]:
            raise ValueError(f"key {twice[0]!r} is used twice; choose another")
        for each in variants:
            if each.message is not None:
                try:
                    _compile(each.message)
                except ValueError as error:
                    raise ValueError(f"message of {each.key!r}: {error}") from error
        return variants

    @field_validator("locale")
    @classmethod
    def _locale_exists(cls, locale: str) -> str:
        read_locale(locale)
        return locale

    def model_post_init(self, context: Any, /) -> None:
        """Keep the definitions of the campaign's channels."""
        known = _known_channels(context)
        chosen = {key: known[key] for key in self.channels}
        purpose = self.purpose
        self._channels = {key: each.for_purpose(purpose) for key, each in chosen.items()} if purpose else chosen
        offers: Mapping[int, Offer] = (context or {}).get("offers", {})
        known_offers = [offers[id_] for id_ in self.all_offers if id_ in offers]
        self._offers_with_value = {each.id: each for each in known_offers if each.has_value}
        is_limited = self.recipient == CUSTOMER and not self.ignore_limits
        limits: tuple[ContactLimit, ...] = (context or {}).get("limits", ()) if is_limited else ()
        self._limits = tuple(
            each for each in limits if each.campaign in (None, self.key) and each.channel in (None, *self.channels)
        )
        self._file = str((context or {}).get("file", ""))
        self._variants = {each.key: self._vary(each) for each in self.variants}

    def _vary(self, variant: Variant) -> Campaign:
        changed = {"message": variant.message or self.message, "offers": variant.offers or self.offers}
        return self.model_copy(update={"variants": (), **changed})

    @cached_property
    def by_variant(self) -> Mapping[str, Campaign]:
        """The campaign as each variant makes it, by key."""
        return self._variants

    @property
    def assignment_group(self) -> str:
        """What arms and variants are assigned by: campaigns with the same one assign a customer alike."""
        return self.holdout_group or self.key

    @property
    def all_offers(self) -> tuple[int, ...]:
        """Its offers and those of its variants, each once."""
        return tuple(dict.fromkeys([*self.offers, *(id_ for each in self.variants for id_ in each.offers or ())]))

    # Cached: pydantic finds a private attribute in ten times the time of an ordinary one.

    @cached_property
    def channels_by_key(self) -> Mapping[str, Channel]:
        """The definitions of the campaign's channels."""
        return self._channels

    @cached_property
    def is_arbitrated(self) -> bool:
        """Whether its contact is made only if it wins over those of other campaigns at the same event."""
        return self.competes and self.recipient == CUSTOMER

    @cached_property
    def limits(self) -> tuple[ContactLimit, ...]:
        """The limits on contacts that may keep it from contacting a customer."""
        return self._limits

    @property
    def file(self) -> str:
        """The file that defines it, for error messages."""
        return self._file

    @cached_property
    def message_facts(self) -> frozenset[str]:
        """The names of the customer's facts that the message reads, and those of its variants."""
        messages = [self.message, *(each.message for each in self.variants if each.message is not None)]
        return frozenset().union(*(read_template(each).facts for each in messages))

    @cached_property
    def consent_facts(self) -> frozenset[str]:
        """The consent columns of its channels, and those of the times at which consent was given."""
        channels = [each for each in self.channels_by_key.values() if each.needs_consent]
        return frozenset(name for each in channels for name in (each.consent_column, each.consent_time_column))

    @cached_property
    def zone_facts(self) -> frozenset[str]:
        """The columns with the customer's time zone that its channels' quiet hours read."""
        quiet = [each.quiet_hours for each in self._channels.values() if each.quiet_hours]
        return frozenset(each.zone_column for each in quiet if each.zone_column)

    @property
    def recipient(self) -> str:
        """Who gets its messages: `customer` or `staff`, the same for all of its channels."""
        return self._channels[self.channels[0]].recipient

    @cached_property
    def version(self) -> str:
        """Twelve hex digits of the SHA-256 of everything that decides.

        Channels count where they are not as shipped, offers where they have a value, and limits where there are any.
        """
        optional = {
            "purpose": self.purpose is None,
            "locale": self.locale == DEFAULT_LOCALE,
            "priority": self.priority == 0,
            "ignore_limits": not self.ignore_limits,
            "competes": self.competes,
            "holdout_group": self.holdout_group is None,
            "exploration_percent": self.exploration_percent == 0,
            "variants": not self.variants,
            # It stops a campaign and decides nothing else: raising it makes no new version.
            "breaker": True,
        }
        unset = {name for name, is_default in optional.items() if is_default}
        decides = self.model_dump_json(exclude={"description", *unset})
        own = {key: each.describe() for key, each in self._channels.items() if shipped_channels().get(key) != each}
        valued = {id_: (each.value, each.cost) for id_, each in sorted(self._offers_with_value.items())}
        limits = [each.model_dump() for each in self._limits]
        more = "".join(json.dumps(each) for each in (own, valued, limits) if each)
        return hashlib.sha256((decides + more).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class DefinitionSet:
    """Everything that a definitions folder holds.

    Attributes:
        segments: in the order of their files.
        campaigns: in the order of their files.
        offers: by id, from 1 without gaps.
        channels: by key.
    """

    segments: tuple[Segment, ...]
    campaigns: tuple[Campaign, ...]
    offers: dict[int, Offer]
    channels: Mapping[str, Channel]


def load_definitions(folder: Path | None) -> DefinitionSet:
    """Read the definitions of a folder with segments/ and campaigns/, or the shipped ones.

    Raises:
        DefinitionError: a file cannot be used, or names what does not exist.
        RuleError: a rule cannot be compiled.
    """
    segment_folder = folder / "segments" if folder else SHIPPED_SEGMENTS
    campaign_folder = folder / "campaigns" if folder else SHIPPED
    defined = load_segments(segment_folder)
    channels = load_channels(campaign_folder)
    found, offers = load_campaigns(campaign_folder, segments={each.key for each in defined}, channels=channels)
    return DefinitionSet(defined, found, offers, channels)


def load_campaigns(
    folder: Path, *, segments: Collection[str], channels: Mapping[str, Channel] | None = None
) -> tuple[tuple[Campaign, ...], dict[int, Offer]]:
    """Read every campaign file of a folder, its offers.json and its limits.json.

    Args:
        folder: the folder of definition files.
        segments: keys of the segments that exist; a campaign naming another is refused.
        channels: the channels that exist; the folder's own when left out.

    Raises:
        DefinitionError: a file is missing, unreadable, invalid, or names what does not exist.
    """
    offers = _load_offers(folder / OFFERS_FILE)
    known_channels = load_channels(folder) if channels is None else channels
    limits = load_limits(folder, known_channels)
    context = {"channels": known_channels, "offers": offers, "limits": limits}

    def build(content: Any, file: Path) -> Campaign:
        return validate(content, Campaign, where=file, context={**context, "file": file})

    found = read_folder(folder, build, other_files={OFFERS_FILE, CHANNELS_FILE, LIMITS_FILE})
    refuse_unknown_campaigns(limits, {each.key for each in found}, folder / LIMITS_FILE)
    for campaign in found:
        _refuse_unknown(campaign, segments, offers)
    return found, offers


def _compile(message: str) -> None:
    """Refuse a message that is no template, or prints what an offer does not have."""
    try:
        template = read_template(message)
    except MessageError as error:
        raise ValueError(str(error)) from error
    if unknown := sorted(template.offer_fields - set(OFFER_FIELDS)):
        raise ValueError(f"an offer has no {unknown[0]!r} for messages; it has: {', '.join(OFFER_FIELDS)}")


def _refuse_unknown(campaign: Campaign, segments: Collection[str], offers: Collection[int]) -> None:
    if campaign.segment not in segments:
        known = ", ".join(sorted(segments)) or "none"
        raise CampaignDefinitionError(
            f"{campaign.file}: $.segment names {campaign.segment!r}, which is not defined; known segments: {known}"
        )
    named = {"$.offers": campaign.offers}
    named |= {f"$.variants[{place}].offers": each.offers or () for place, each in enumerate(campaign.variants)}
    for path, ids in named.items():
        if unknown := sorted(set(ids) - set(offers)):
            place = f"{campaign.file}: {path}"
            raise CampaignDefinitionError(f"{place} names {unknown}, which {OFFERS_FILE} does not define")


def _load_offers(file: Path) -> dict[int, Offer]:
    offers = validate(read_json(file), tuple[Offer, ...], where=file)
    by_id = {offer.id: offer for offer in offers}
    if len(by_id) < len(offers):
        raise CampaignDefinitionError(f"{file}: two offers have the same id; number them from 1 to {len(offers)}")
    # A model gives one score per offer, the score of offer id i at position i - 1.
    missing = sorted(set(range(1, len(offers) + 1)) - set(by_id))
    if missing:
        raise CampaignDefinitionError(
            f"{file}: no offer has id {missing[0]}; number the offers from 1 to {len(offers)} without gaps"
        )
    _refuse_some_values(by_id, file)
    return by_id


def _refuse_some_values(offers: Mapping[int, Offer], file: Path) -> None:
    """Refuse values that some offers have and others lack: they are compared with each other."""
    stated = {id_: "value" in each.model_fields_set for id_, each in offers.items()}
    if len({*stated.values()}) > 1:
        without = min(id_ for id_, has_value in stated.items() if not has_value)
        having = min(id_ for id_, has_value in stated.items() if has_value)
        raise CampaignDefinitionError(
            f"{file}: offer {having} has a value and offer {without} has none; give every offer a value, or none"
        )


def _known_channels(context: Mapping[str, Any] | None) -> Mapping[str, Channel]:
    known: Mapping[str, Channel] | None = (context or {}).get("channels")
    return shipped_channels() if known is None else known
