"""Campaigns, offers and channels as data: the files that a marketer writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from campaigns.breaker import Breaker
from campaigns.channels import CHANNELS_FILE, CUSTOMER, SHIPPED, STAFF, Channel, load_channels, shipped_channels
from campaigns.contact_limits import LIMITS_FILE, ContactLimit, load_limits, refuse_unknown_campaigns
from campaigns.errors import CampaignDefinitionError
from campaigns.locale_formats import DEFAULT_LOCALE, read_locale
from campaigns.messages import PRODUCT_FIELD
from campaigns.templates import Subjects, Template, Texts, find_facts, find_offer_fields, has_locales, read_templates
from campaigns.variants import FEWEST, MOST, Variant
from features.insights import RECOMMENDATIONS_FACT, RECOMMENDED_AT
from segments.definition import SHIPPED as SHIPPED_SEGMENTS
from segments.definition import JsonLogic, load_segments
from segments.definition_files import describe_place, find_file, read_content, read_folder, validate
from segments.errors import RuleError
from segments.jsonlogic import compile_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Sequence
    from pathlib import Path

    from pydantic import ValidationInfo

    from segments.definition import Segment
    from segments.jsonlogic import Rule

KEY_PATTERN = r"^[a-z0-9-]{1,64}$"
OFFERS_FILE = "offers"
RECOMMENDATION_DAYS = 30
"""The name of the file, without its suffix."""
UPLIFT_EXPLORATION_PERCENT = 10.0


class Launch(StrEnum):
    """What makes a campaign contact a customer."""

    ON_ENTER = "on_enter"
    ON_LEAVE = "on_leave"
    ON_EVENT = "on_event"
    BY_OPERATOR = "by_operator"


class CustomerEvent(StrEnum):
    """An event that a campaign may wait for: the customer's row changed, or the customer wrote a message."""

    UPDATED = "customer.updated"
    MESSAGE = "conversation.message"


class OfferPolicy(StrEnum):
    """How a campaign chooses among the offers that a customer may get."""

    NEXT_BEST = "next_best"
    FIXED = "fixed"
    EXPERIMENT = "experiment"
    RECOMMENDED = "recommended"


class Offer(BaseModel):
    """One of the offers that the next-best-offer model chooses from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int = Field(ge=1, description="Its place among the scores of the model: 1, 2, 3 and so on without gaps.")
    key: str = Field(pattern=KEY_PATTERN, description="Its name in triggers.")
    name: str = Field(min_length=1, max_length=200, description="Its name for people.")
    value: float = Field(
        default=1,
        ge=0,
        le=1e9,
        allow_inf_nan=False,
        description="What it brings when a customer accepts it, in the company's currency; of every offer or of none.",
    )
    cost: float = Field(
        default=0, ge=0, le=1e9, allow_inf_nan=False, description="What it costs when a customer accepts it."
    )
    rule: JsonLogic = Field(default=None, description="JSONLogic: which customers may get it; all when left out.")
    repeat_days: int = Field(
        default=0, ge=0, le=365, description="Days in which a customer does not get it again; 0: no limit."
    )
    products: tuple[str, ...] = Field(
        default=(), max_length=10_000, description="Ids of the products that it is about, for the policy `recommended`."
    )
    categories: tuple[str, ...] = Field(
        default=(), max_length=10_000, description="Categories of products that it is about, likewise."
    )

    _staff_channels: tuple[str, ...] = PrivateAttr(default=())

    @field_validator("rule")
    @classmethod
    def _rule_compiles(cls, rule: Any) -> Any:
        try:
            compile_rule(rule, where="")
        except RuleError as error:
            raise ValueError(str(error).removeprefix(": ")) from error
        return rule

    def model_post_init(self, context: Any, /) -> None:
        """Keep the channels for staff: what they carry is no contact of the customer."""
        self._staff_channels = tuple((context or {}).get("staff_channels", ()))

    @cached_property
    def eligibility(self) -> Rule | None:
        """The compiled rule; None where every customer may get it."""
        return None if self.rule in (None, {}) else compile_rule(self.rule, where=f"the rule of offer {self.key}")

    @property
    def facts(self) -> frozenset[str]:
        """The names of the facts that its rule reads."""
        return self.eligibility.facts if self.eligibility else frozenset()

    @cached_property
    def repeat_limit(self) -> ContactLimit | None:
        """The limit that keeps it from being repeated, over contacts with this offer."""
        if not self.repeat_days:
            return None
        limit = {"key": self.key, "contacts": 1, "days": self.repeat_days}
        return ContactLimit.model_validate(limit, context={"staff_channels": self._staff_channels})

    def pin(self, known: Container[str]) -> Offer:
        """Return the offer that needs the facts which its rule reads now, see Rule.pin."""
        return self.model_copy(update={"eligibility": self.eligibility.pin(known)}) if self.eligibility else self

    @property
    def conditions(self) -> Mapping[str, Any]:
        """What restricts whom it is made to; empty where nothing does."""
        rule = {"rule": self.rule} if self.eligibility else {}
        return {**rule, "repeat_days": self.repeat_days} if self.repeat_days else rule

    @cached_property
    def _subjects(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self.products), frozenset(self.categories)

    @property
    def names_products(self) -> bool:
        """Whether it is about products or categories."""
        return bool(self.products or self.categories)

    def is_about(self, product: Mapping[str, Any]) -> bool:
        """Return whether it is about a product: its `product_id`, a text or a whole number, or its `category`."""
        ids, categories = self._subjects
        id_, category = product.get("product_id"), product.get("category")
        return (isinstance(id_, str | int) and str(id_) in ids) or (
            isinstance(category, str) and category in categories
        )

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

    key: str = Field(pattern=KEY_PATTERN, description="Its name in triggers and in the ledger.")
    name: str = Field(min_length=1, max_length=200, description="Its name for people.")
    description: str = Field(default="", description="For people.")
    segment: str = Field(description="Key of the segment whose customers it contacts.")
    launch: Launch = Field(
        default=Launch.ON_ENTER,
        description="Whom it contacts: who enters the segment, who leaves it, members at an event, or members when an "
        "operator launches it.",
    )
    offers: tuple[int, ...] = Field(min_length=1, description="Ids of the offers to choose from.")
    purpose: str | None = Field(default=None, description="Purpose of the contact, whose consent column counts.")
    channels: tuple[str, ...] = Field(
        min_length=1, description="Keys of the channels, in order; the customer's preferred one comes first."
    )
    message: Texts = Field(
        description="Template of the message: one, or one by channel, each of which may be by locale."
    )
    locale: str = Field(
        default=DEFAULT_LOCALE, description="How numbers, money and dates are written, as `de` or `pt_BR`."
    )
    holdout_percent: float = Field(
        default=0, ge=0, le=50, description="Share of customers in the control group, who are not contacted."
    )
    holdout_group: str | None = Field(
        default=None, pattern=KEY_PATTERN, description="Campaigns of one group hold out the same customers."
    )
    exploration_percent: float = Field(
        default=0, ge=0, le=50, description="Share of the decisions with `next_best` that make a random offer."
    )
    cooldown_days: int = Field(
        default=0, ge=0, le=3650, description="Days after a contact in which it does not contact the customer again."
    )
    priority: int = Field(
        default=0, ge=-1000, le=1000, description="Of several campaigns at one event the highest makes the contact."
    )
    ignore_limits: bool = Field(default=False, description="Whether it contacts beyond the limits; it counts for them.")
    competes: bool = Field(default=True, description="Whether it makes no contact where another campaign does.")
    valid_days: int = Field(default=14, ge=1, le=365, description="Days from the event to the expiry of its triggers.")
    subject: Subjects | None = Field(
        default=None, description="Template of the subject: one for channels of format html, or as `message`."
    )
    event: CustomerEvent | None = Field(
        default=None,
        validate_default=True,
        description="The event at which a campaign with on_event contacts a member; a message is one by the customer.",
    )
    breaker: Breaker | None = Field(
        default=None, description="Stops it when it would contact more customers than it may in some hours."
    )
    offer_policy: OfferPolicy = Field(
        default=OfferPolicy.NEXT_BEST,
        validate_default=True,
        description="Which of the offers that a customer may get: the one of the highest expected value, the first "
        "one listed, each as likely as another, or the one about what is recommended to the customer.",
    )
    recommendation_days: int = Field(
        default=RECOMMENDATION_DAYS,
        ge=1,
        le=365,
        description="Days after which a customer's recommendations are too old for the policy `recommended`.",
    )
    reasons: int = Field(
        default=0,
        ge=0,
        le=8,
        description="How many factors behind the customer's scores its triggers carry, the strongest first; 0: none.",
    )
    uplift_exploration_percent: float = Field(
        default=UPLIFT_EXPLORATION_PERCENT,
        ge=1,
        le=100,
        description="Share of the customers whom the model of uplift would leave alone who are treated as the others.",
    )
    # The last two fields: their checks need the others.
    locale_column: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        validate_default=True,
        description="The view's column with the customer's locale, which chooses among texts by locale.",
    )
    variants: tuple[Variant, ...] = Field(
        default=(), description="A/B test: what each of 2 to 10 variants changes; each customer gets one of them."
    )

    _channels: Mapping[str, Channel] = PrivateAttr(default_factory=dict)
    _offers: Mapping[int, Offer] = PrivateAttr(default_factory=dict)
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

    @field_validator("message", "subject")
    @classmethod
    def _texts_are_for_channels(cls, texts: Any, info: ValidationInfo) -> Any:
        channels = info.data.get("channels")
        if channels is None or not isinstance(texts, Mapping):
            return texts
        if unknown := [key for key in texts if key not in channels]:
            raise ValueError(f"{unknown[0]!r} is none of the campaign's channels: {', '.join(channels)}")
        missing = [key for key in channels if key not in texts]
        if missing and info.field_name == "message":
            raise ValueError(f"there is no text for the channel {missing[0]!r}")
        return texts

    @field_validator("subject")
    @classmethod
    def _subject_has_a_channel(cls, subject: Any, info: ValidationInfo) -> Any:
        channels, known = info.data.get("channels", ()), _known_channels(info.context)
        if isinstance(subject, str) and channels and all(known[key].message_format != "html" for key in channels):
            raise ValueError(f"no channel has the format html; write the subject by channel: {', '.join(channels)}")
        return subject

    @field_validator("event")
    @classmethod
    def _event_is_for_its_launch(cls, event: CustomerEvent | None, info: ValidationInfo) -> CustomerEvent | None:
        launch = info.data.get("launch")
        if launch is Launch.ON_EVENT and event is None:
            raise ValueError(f"launch on_event waits for an event; name it: {' or '.join(CustomerEvent)}")
        if event is not None and launch not in (Launch.ON_EVENT, None):
            raise ValueError(f"an event is for launch on_event, and this campaign has {launch}")
        return event

    @field_validator("offer_policy")
    @classmethod
    def _policy_explores_once(cls, policy: OfferPolicy, info: ValidationInfo) -> OfferPolicy:
        if policy is not OfferPolicy.NEXT_BEST and info.data.get("exploration_percent"):
            raise ValueError(f"exploration_percent is for {OfferPolicy.NEXT_BEST}; leave it out with {policy}")
        texts = find_offer_fields(info.data.get("message")) | find_offer_fields(info.data.get("subject"))
        if policy is not OfferPolicy.RECOMMENDED and PRODUCT_FIELD in texts:
            raise ValueError(f"the texts read offer.{PRODUCT_FIELD}, which only {OfferPolicy.RECOMMENDED} sets")
        return policy

    @field_validator("recommendation_days")
    @classmethod
    def _recommendations_are_read(cls, days: int, info: ValidationInfo) -> int:
        policy = info.data.get("offer_policy", OfferPolicy.RECOMMENDED)
        if policy is not OfferPolicy.RECOMMENDED and days != RECOMMENDATION_DAYS:
            raise ValueError(f"recommendation_days is for {OfferPolicy.RECOMMENDED}; leave it out with {policy}")
        return days

    @field_validator("locale")
    @classmethod
    def _locale_exists(cls, locale: str) -> str:
        read_locale(locale)
        return locale

    @field_validator("locale_column")
    @classmethod
    def _locales_are_chosen(cls, column: str | None, info: ValidationInfo) -> str | None:
        message, subject, locale = (info.data.get(name) for name in ("message", "subject", "locale"))
        if message is None or locale is None:
            return column
        has_choice = has_locales(message) or has_locales(subject)
        if has_choice and column is None:
            raise ValueError("there are texts by locale; name the view's column with the customer's locale")
        if column is not None and not has_choice:
            raise ValueError("there are no texts by locale to choose from; write them, or leave the column out")
        written = read_templates(message, info.data.get("channels", ()), locale)
        for channel, each in read_templates(subject or {}, (), locale).items():
            theirs = written.get(channel, each).sources
            if len(each.sources) > 1 and each.sources.keys() != theirs.keys():
                raise ValueError(f"the subject of {channel} has other locales than its message; write both in the same")
        return column

    @field_validator("variants")
    @classmethod
    def _variants_are_campaigns(cls, variants: tuple[Variant, ...], info: ValidationInfo) -> tuple[Variant, ...]:
        if variants and not FEWEST <= len(variants) <= MOST:
            raise ValueError(f"a campaign has {FEWEST} to {MOST} variants, or none; here are {len(variants)}")
        keys = [each.key for each in variants]
        if twice := [key for place, key in enumerate(keys) if key in keys[:place]]:
            raise ValueError(f"key {twice[0]!r} is used twice; choose another")
        # Where another field is wrong there is no campaign to vary.
        is_whole = info.data.keys() | {"variants"} == cls.model_fields.keys()
        for each in variants if is_whole else ():
            try:
                _vary(info.data, each, info.context)
            except ValidationError as error:
                first = error.errors()[0]
                path, problem = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
                raise ValueError(f"{path} of {each.key!r}: {problem}") from error
        return variants

    def model_post_init(self, context: Any, /) -> None:
        """Keep the definitions of the campaign's channels."""
        known = _known_channels(context)
        chosen = {key: known[key] for key in self.channels}
        purpose = self.purpose
        self._channels = {key: each.for_purpose(purpose) for key, each in chosen.items()} if purpose else chosen
        offers: Mapping[int, Offer] = (context or {}).get("offers", {})
        self._offers = {id_: offers[id_] for id_ in sorted(self.all_offers) if id_ in offers}
        is_limited = self.recipient == CUSTOMER and not self.ignore_limits
        limits: tuple[ContactLimit, ...] = (context or {}).get("limits", ()) if is_limited else ()
        self._limits = tuple(
            each for each in limits if each.campaign in (None, self.key) and each.channel in (None, *self.channels)
        )
        self._file = str((context or {}).get("file", ""))
        values = {name: getattr(self, name) for name in Campaign.model_fields}
        self._variants = {each.key: _vary(values, each, context) for each in self.variants}

    @cached_property
    def by_variant(self) -> Mapping[str, Campaign]:
        """The campaign as each variant makes it, by key."""
        return self._variants

    @cached_property
    def assignment_group(self) -> str:
        """What arms and variants are assigned by: campaigns with the same one assign a customer alike."""
        return self.holdout_group or self.key

    @cached_property
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
    def templates(self) -> Mapping[str, tuple[Template, Template | None]]:
        """The templates of its message and its subject by channel; None for channels without a subject."""
        subjects = read_templates(self.subject or {}, self._subject_channels, self.locale)
        messages = read_templates(self.message, self.channels, self.locale)
        return {channel: (each, subjects.get(channel)) for channel, each in messages.items()}

    @cached_property
    def audience(self) -> str:
        """Whom it contacts, in words of decisions."""
        return f"{self.event} of a member of {self.segment}" if self.event else self.segment

    @property
    def _subject_channels(self) -> Sequence[str]:
        return [key for key, each in self._channels.items() if each.message_format == "html"]

    @cached_property
    def facts_by_template(self) -> Mapping[str, frozenset[str]]:
        """The names of the customer's facts that its templates read, and the choice among them, by their place."""
        chosen = frozenset({self.locale_column} if self.locale_column else ())
        found = {"$.message": find_facts(self.message), "$.subject": find_facts(self.subject)}
        for place, each in enumerate(self.variants):
            found |= {f"$.variants[{place}].{name}": find_facts(texts) for name, texts in each.texts.items()}
        return {**found, "$.locale_column": chosen}

    @cached_property
    def message_facts(self) -> frozenset[str]:
        """The names of the customer's facts that its texts read, those of its variants, and the choice of a locale."""
        return frozenset[str]().union(*self.facts_by_template.values())

    @cached_property
    def offer_facts(self) -> frozenset[str]:
        """The facts that its offer policy reads."""
        reads = self.offer_policy is OfferPolicy.RECOMMENDED
        return frozenset((RECOMMENDATIONS_FACT, RECOMMENDED_AT)) if reads else frozenset()

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

    @cached_property
    def recipient(self) -> str:
        """Who gets its messages: `customer` or `staff`, the same for all of its channels."""
        return self._channels[self.channels[0]].recipient

    @cached_property
    def version(self) -> str:
        """Twelve hex digits of the SHA-256 of everything that decides.

        Channels count where they are not as shipped, offers where they have a value, a rule or a limit on repetition,
        their products where the policy reads them, and limits where there are any.
        """
        optional = {
            "purpose": self.purpose is None,
            "locale": self.locale == DEFAULT_LOCALE,
            "priority": self.priority == 0,
            "ignore_limits": not self.ignore_limits,
            "competes": self.competes,
            "holdout_group": self.holdout_group is None,
            "exploration_percent": self.exploration_percent == 0,
            "uplift_exploration_percent": self.uplift_exploration_percent == UPLIFT_EXPLORATION_PERCENT,
            "subject": self.subject is None,
            "event": self.event is None,
            "offer_policy": self.offer_policy is OfferPolicy.NEXT_BEST,
            "recommendation_days": self.recommendation_days == RECOMMENDATION_DAYS,
            "locale_column": self.locale_column is None,
            "variants": not self.variants,
            # It stops a campaign and decides nothing else: raising it makes no new version.
            "breaker": True,
            # They say why, to people.
            "reasons": True,
        }
        unset = {name for name, is_default in optional.items() if is_default}
        decides = self.model_dump_json(exclude={"description", *unset})
        own = {key: each.describe() for key, each in self._channels.items() if shipped_channels().get(key) != each}
        valued = {id_: (each.value, each.cost) for id_, each in self._offers.items() if each.has_value}
        limits = [each.model_dump() for each in self._limits]
        conditions = {id_: each.conditions for id_, each in self._offers.items() if each.conditions}
        more = "".join(json.dumps(each) for each in (own, valued, limits) if each)
        # In one order of keys, as a rule may be written in another.
        more += json.dumps(conditions, sort_keys=True) if conditions else ""
        if self.offer_policy is OfferPolicy.RECOMMENDED:
            more += json.dumps({id_: (each.products, each.categories) for id_, each in self._offers.items()})
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

    def pin(self, known: Container[str]) -> DefinitionSet:
        """Return the definitions whose rules need the facts which they read now, see Rule.pin."""
        segments = tuple(each.pin(known) for each in self.segments)
        return replace(self, segments=segments, offers={id_: each.pin(known) for id_, each in self.offers.items()})


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
    """Read every campaign file of a folder, its offers and its limits.

    Args:
        folder: the folder of definition files.
        segments: keys of the segments that exist; a campaign naming another is refused.
        channels: the channels that exist; the folder's own when left out.

    Raises:
        DefinitionError: a file is missing, unreadable, invalid, or names what does not exist.
    """
    offers_file = find_file(folder, OFFERS_FILE) or folder / f"{OFFERS_FILE}.json"
    known_channels = load_channels(folder) if channels is None else channels
    offers = build_offers(read_content(offers_file), known_channels, where=offers_file)
    limits = load_limits(folder, known_channels)

    def build(content: Any, file: Path) -> Campaign:
        return build_campaign(content, channels=known_channels, offers=offers, limits=limits, where=file)

    found = read_folder(folder, build, other_files={OFFERS_FILE, CHANNELS_FILE, LIMITS_FILE})
    refuse_unknown_campaigns(limits, {each.key for each in found}, where=find_file(folder, LIMITS_FILE))
    refuse_unknown_names(found, segments, offers, offers_file=offers_file.name)
    return found, offers


def build_campaign(
    content: Any,
    *,
    channels: Mapping[str, Channel],
    offers: Mapping[int, Offer],
    limits: Sequence[ContactLimit],
    where: object,
) -> Campaign:
    """Check the content of one definition.

    Args:
        content: the content.
        channels: the channels that exist, by key.
        offers: the offers that exist, by id.
        limits: the limits on contacts.
        where: what to call it in an error: its file.

    Raises:
        DefinitionError: it cannot be used.
    """
    context = {"channels": channels, "offers": offers, "limits": limits, "file": where}
    return validate(content, Campaign, where=where, context=context)


def refuse_unknown_names(
    campaigns: Iterable[Campaign], segments: Collection[str], offers: Collection[int], *, offers_file: str
) -> None:
    """Refuse campaigns that name a segment or an offer that does not exist.

    Args:
        campaigns: the campaigns.
        segments: the keys of the segments that exist.
        offers: the ids of the offers that exist.
        offers_file: what to call the offers in an error.

    Raises:
        CampaignDefinitionError: there is one.
    """
    for campaign in campaigns:
        _refuse_unknown(campaign, segments, offers, offers_file)


def build_offers(content: Any, channels: Mapping[str, Channel], *, where: object) -> dict[int, Offer]:
    """Return the offers of a file's content, by id.

    Args:
        content: the content.
        channels: the channels that exist, by key.
        where: what to call it in an error: its file.

    Raises:
        DefinitionError: it cannot be used.
    """
    staff = {"staff_channels": [each.key for each in channels.values() if each.recipient == STAFF]}
    offers = validate(content, tuple[Offer, ...], where=where, context=staff)
    by_id = {offer.id: offer for offer in offers}
    if len(by_id) < len(offers):
        raise CampaignDefinitionError(f"{where}: two offers have the same id; number them from 1 to {len(offers)}")
    # A model gives one score per offer, the score of offer id i at position i - 1.
    missing = sorted(set(range(1, len(offers) + 1)) - set(by_id))
    if missing:
        raise CampaignDefinitionError(
            f"{where}: no offer has id {missing[0]}; number the offers from 1 to {len(offers)} without gaps"
        )
    _refuse_some_values(by_id, where)
    return by_id


def _vary(values: Mapping[str, Any], variant: Variant, context: Any) -> Campaign:
    """Return a campaign as one of its variants makes it.

    Raises:
        ValidationError: there is no such campaign.
    """
    offers = {} if variant.offers is None else {"offers": variant.offers}
    return Campaign.model_validate({**values, "variants": (), **variant.texts, **offers}, context=context)


def _refuse_unknown(
    campaign: Campaign, segments: Collection[str], offers: Mapping[int, Offer], offers_file: str
) -> None:
    if campaign.segment not in segments:
        known = ", ".join(sorted(segments)) or "none"
        place = describe_place(campaign.file, "$.segment")
        raise CampaignDefinitionError(
            f"{campaign.file}: {place} names {campaign.segment!r}, which is not defined; known segments: {known}"
        )
    named = {"$.offers": campaign.offers}
    named |= {f"$.variants[{place}].offers": each.offers or () for place, each in enumerate(campaign.variants)}
    for path, ids in named.items():
        if unknown := sorted(set(ids) - set(offers)):
            place = describe_place(campaign.file, path)
            raise CampaignDefinitionError(
                f"{campaign.file}: {place} names {unknown}, which {offers_file} does not define"
            )
    is_recommended = campaign.offer_policy is OfferPolicy.RECOMMENDED
    if is_recommended and not any(offers[each].names_products for each in campaign.all_offers):
        place = describe_place(campaign.file, "$.offer_policy")
        raise CampaignDefinitionError(
            f"{campaign.file}: {place} is {campaign.offer_policy}, and none of the campaign's offers names `products` "
            f"or `categories` in {offers_file}"
        )


def _refuse_some_values(offers: Mapping[int, Offer], where: object) -> None:
    """Refuse values that some offers have and others lack: they are compared with each other."""
    stated = {id_: "value" in each.model_fields_set for id_, each in offers.items()}
    if len({*stated.values()}) > 1:
        without = min(id_ for id_, has_value in stated.items() if not has_value)
        having = min(id_ for id_, has_value in stated.items() if has_value)
        raise CampaignDefinitionError(
            f"{where}: offer {having} has a value and offer {without} has none; give every offer a value, or none"
        )


def _known_channels(context: Mapping[str, Any] | None) -> Mapping[str, Channel]:
    known: Mapping[str, Channel] | None = (context or {}).get("channels")
    return shipped_channels() if known is None else known
