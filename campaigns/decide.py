"""The decision: does this campaign contact this customer now, and if not, why not. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.errors import MessageError
from campaigns.guardrails import choose_channel, cooling_until, is_in_holdout
from campaigns.messages import render_message
from campaigns.offers import choose_offer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from campaigns.definition import Campaign, Offer
    from campaigns.offers import ScoredOffer

# Fixed for ever: every trigger id derives from it.
TRIGGER_NAMESPACE = uuid.UUID("6f0d3c5e-5d0c-5e0c-9d0a-2f1f6f9b7a11")


class Outcome(StrEnum):
    """The fate of a candidate."""

    FIRED = "fired"
    CONTROL = "control"
    WITHHELD = "withheld"


class Reason(StrEnum):
    """Why a candidate met that fate."""

    ENTERED_SEGMENT = "entered_segment"
    LAUNCHED = "launched"
    HOLDOUT = "holdout"
    FIRST_EVALUATION = "first_evaluation"
    NOT_A_MEMBER = "not_a_member"
    NO_CONSENTED_CHANNEL = "no_consented_channel"
    COOLDOWN = "cooldown"
    MESSAGE_FAILED = "message_failed"


@dataclass(frozen=True)
class Candidate:
    """A customer whom a campaign may contact, and the event that brought them here.

    `occasion` tells this chance from every other one: the membership episode, or the id of an operator's launch.
    `versions` names the models, the campaign and the segment
    that take part, `facts_read` the facts that may influence the decision. `withheld` is set when the reason to stay
    silent is known before the guardrails are asked.
    """

    customer_id: str
    campaign: Campaign
    occasion: str
    as_of: datetime
    event_id: str
    received_ms: int
    partition: int
    versions: Mapping[str, str]
    facts_read: Collection[str]
    withheld: Reason | None = None

    @cached_property
    def trigger_id(self) -> str:
        """UUIDv5 of (customer, campaign, segment, occasion): the same whenever the same chance is decided again."""
        parts = [self.customer_id, self.campaign.key, self.campaign.segment, self.occasion]
        return str(uuid.uuid5(TRIGGER_NAMESPACE, json.dumps(parts)))


class ContactHistory(msgspec.Struct, frozen=True):
    """What the ledger knows of a customer that a guardrail asks for."""

    revoked_channels: Collection[str] = ()
    last_contacts: Mapping[str, datetime] | None = None

    def last_contact(self, campaign_key: str) -> datetime | None:
        """Return when the campaign last contacted the customer."""
        return (self.last_contacts or {}).get(campaign_key)


@dataclass(frozen=True, slots=True)
class Decision:
    """A candidate's fate and everything it rests on."""

    candidate: Candidate
    outcome: Outcome
    reason: Reason
    detail: str
    facts: Mapping[str, Any]
    channel: str | None = None
    offer: ScoredOffer | None = None
    message: str | None = None


def decide(
    candidate: Candidate,
    facts: Mapping[str, Any],
    history: ContactHistory,
    offers: dict[int, Offer],
    offer_scores: NDArray[np.float32],
) -> Decision:
    """Decide one candidate.

    Eligibility comes before the holdout, so the control group differs from the treated one by the contact alone.

    Args:
        candidate: the customer, the campaign and the occasion.
        facts: the customer's facts that may influence the decision, null as None; they are recorded with it.
        history: consent revoked and contacts made, as the ledger has them.
        offers: every offer by id.
        offer_scores: shape [offers].
    """
    campaign = candidate.campaign
    if candidate.withheld:
        return _withhold(candidate, candidate.withheld, _KNOWN_BEFORE[candidate.withheld], facts)
    channel = choose_channel(campaign, facts, history.revoked_channels)
    if channel is None:
        asked = ", ".join(campaign.channels)
        return _withhold(candidate, Reason.NO_CONSENTED_CHANNEL, f"no consent for any of: {asked}", facts)
    until = cooling_until(campaign, history.last_contact(campaign.key))
    if until and candidate.as_of < until:
        return _withhold(
            candidate,
            Reason.COOLDOWN,
            f"contacted by this campaign before; again from {until:%Y-%m-%d}",
            facts,
        )
    offer = choose_offer(campaign, offers, offer_scores)
    try:
        # As a mapping: the sandbox examines every attribute of an object, at the price of the rest of the message.
        message = render_message(
            campaign.message,
            {**facts, "offer": vars(offer.offer)},
            campaign.channel(channel).message_format,
            campaign.channel(channel).max_characters,
        )
    except MessageError as error:
        return _withhold(candidate, Reason.MESSAGE_FAILED, str(error), facts)
    if is_in_holdout(campaign, candidate.customer_id):
        detail = f"in the {campaign.holdout_percent:g} % control group of this campaign"
        return Decision(candidate, Outcome.CONTROL, Reason.HOLDOUT, detail, facts, channel, offer, message)
    reason = _why_fired(campaign)
    return Decision(candidate, Outcome.FIRED, reason, f"{reason}: {campaign.segment}", facts, channel, offer, message)


_KNOWN_BEFORE = {
    Reason.FIRST_EVALUATION: "first evaluation since the segment was activated: the membership is kept, nothing fires",
    Reason.NOT_A_MEMBER: "no longer a member of the segment when the launch reached the customer",
}


def _why_fired(campaign: Campaign) -> Reason:
    return Reason.ENTERED_SEGMENT if campaign.launch == "on_enter" else Reason.LAUNCHED


def _withhold(candidate: Candidate, reason: Reason, detail: str, facts: Mapping[str, Any]) -> Decision:
    return Decision(candidate, Outcome.WITHHELD, reason, detail, facts)
