"""A campaign's messages as some customers would get them, on each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.decide import compose_texts
from campaigns.definition import OfferPolicy
from campaigns.errors import MessageError
from campaigns.offers import OfferChoice, ScoredOffer
from campaigns.recommended_offers import OfferMatch
from console.use_cases.explanations import current_facts
from console.use_cases.ledger import ask_ledger
from console.use_cases.performance import find_campaign
from console.use_cases.segment_preview import preview_segment
from features.errors import UnknownWarehouseCustomerError
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from campaigns.definition import Campaign, DefinitionSet, Offer
    from campaigns.postgres_ledger import PostgresLedger
    from streams.settings import Settings

CUSTOMERS = 3
WITHIN_S = 4.0


@dataclass(frozen=True, slots=True)
class PreviewedText:
    """A message on one channel.

    Attributes:
        channel: its key.
        variant: of the campaign; None where it has none.
        subject: None where the channel has none.
        message: None where it cannot be written.
        problem: why it cannot be; None where it can.
    """

    channel: str
    variant: str | None
    subject: str | None
    message: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class PreviewedCustomer:
    """A customer and their messages."""

    customer_id: str
    texts: Sequence[PreviewedText]


@dataclass(frozen=True, slots=True)
class MessagePreview:
    """A campaign's messages for some customers.

    Attributes:
        offer: the one that is shown; workers choose it for each customer.
        are_members: whether the customers are members now, or others for whom the segment's rule holds.
    """

    campaign: Campaign
    offer: Offer
    are_members: bool
    customers: Sequence[PreviewedCustomer]


def preview_messages(settings: Settings, key: str, *, hidden: Collection[str]) -> MessagePreview:
    """Return a campaign's messages for a few members of its segment, or for others who would be.

    Args:
        settings: where the definitions, customers and members are.
        key: of the campaign.
        hidden: the facts in whose place their names stand.

    Raises:
        DefinitionMissingError: there is no such campaign.
        WarehouseError: the warehouse cannot be read.
        LedgerUnavailableError: the ledger cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    definitions = read_definitions(settings)
    return preview_campaign(settings, definitions, find_campaign(definitions.campaigns, key), hidden=hidden)


def preview_campaign(
    settings: Settings, definitions: DefinitionSet, campaign: Campaign, *, hidden: Collection[str]
) -> MessagePreview:
    """Return the messages of a campaign that may not be in force; see preview_messages.

    Args:
        settings: where the customers and members are.
        definitions: those that it is one of.
        campaign: whose messages.
        hidden: the facts in whose place their names stand.

    Raises:
        WarehouseError: the warehouse cannot be read.
        LedgerUnavailableError: the ledger cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    members = [
        each.customer_id
        for each in ask_ledger(settings, lambda ledger: ledger.list_members(campaign.segment, limit=CUSTOMERS))
    ]
    others = [] if members else preview_segment(settings, campaign.segment, limit=CUSTOMERS, within_s=WITHIN_S).examples
    shown = members or [each.customer_id for each in others]

    async def ask(ledger: PostgresLedger) -> list[tuple[str, Mapping[str, Any]]]:
        found: list[tuple[str, Mapping[str, Any]]] = []
        for customer in shown:
            # A member may have left the view.
            try:
                facts, _ = await current_facts(settings, ledger, customer, [], definitions.offers)
            except UnknownWarehouseCustomerError:
                continue
            known = {name for name in hidden if facts.get(name) is not None}
            found.append((customer, {**facts, **{name: f"[{name}]" for name in known}}))
        return found

    offer = definitions.offers[campaign.offers[0]]
    customers = [
        PreviewedCustomer(customer, _compose(campaign, facts, offer)) for customer, facts in ask_ledger(settings, ask)
    ]
    return MessagePreview(campaign, offer, bool(members), customers)


def _compose(campaign: Campaign, facts: Mapping[str, Any], offer: Offer) -> list[PreviewedText]:
    varied: Sequence[tuple[str | None, Campaign]] = [*campaign.by_variant.items()] or [(None, campaign)]
    scored = ScoredOffer(offer, 0.0)
    # The recommendation is a matter of the customer and the day.
    match = OfferMatch(None, None, "") if campaign.offer_policy is OfferPolicy.RECOMMENDED else None
    choice = OfferChoice.of_best(scored, 1.0, scored, match)
    texts = []
    for variant, each in varied:
        for key, channel in each.channels_by_key.items():
            try:
                message, subject = compose_texts(each, channel, facts, choice)
            except MessageError as error:
                texts.append(PreviewedText(key, variant, None, None, str(error)))
            else:
                texts.append(PreviewedText(key, variant, subject, message, None))
    return texts
