"""The decision: whether a campaign contacts a customer now, and the reason. Pure.

    propose:  guardrails > channel > offer > message > net value
    settle:   the control group, or the contact

Between the two, campaigns/arbitration.py chooses one of the contacts proposed at an event.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from campaigns.consent import Consent, add_change, choose_channel
from campaigns.contact_limits import PastContact
from campaigns.decision_inputs import DecisionInputs, Rival
from campaigns.definition import Campaign, Launch
from campaigns.errors import MessageError
from campaigns.feedback import Standing, add_feedback
from campaigns.guardrails import GUARDRAILS, Reason, Refusal, find_limited_channels, refuse_expired
from campaigns.holdout import is_in_holdout
from campaigns.ids import derive_id
from campaigns.messages import PRODUCT_FIELD, refuse_segments, render_message, render_subject
from campaigns.offers import NO_OBSTACLES, OfferChoice, ScoredOffer, choose_offer, find_net_value, find_propensity
from campaigns.uplift import describe_loss, find_incremental_value, is_explored, is_loss
from campaigns.variants import assign_variant, find_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from campaigns.channels import Channel
    from campaigns.consent import ConsentChange
    from campaigns.definition import Offer
    from campaigns.feedback import Feedback
    from campaigns.guardrails import Guardrail
    from campaigns.uplift import ContactEffect

# Never change it: every trigger id derives from it.
TRIGGER_NAMESPACE = uuid.UUID("6f0d3c5e-5d0c-5e0c-9d0a-2f1f6f9b7a11")


class Outcome(StrEnum):
    """The outcome of a decision."""

    FIRED = "fired"
    CONTROL = "control"
    WITHHELD = "withheld"


class Candidate(msgspec.Struct, frozen=True, dict=True):
    """A customer whom a campaign may contact, and the event that made them a candidate.

    `occasion` names this opportunity among all of the customer, campaign and segment: the membership episode, its end,
    the id of an event, or that of an operator's launch. `versions` names the models, the campaign and the segment that
    take part, `facts_read` the facts that may influence the decision. `withheld` is set when the segment or the launch
    rules the contact out.
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
        """The id of the decision and of its trigger."""
        return derive_trigger_id(self.customer_id, self.campaign, self.occasion)

    @cached_property
    def expires_at(self) -> datetime:
        """When the trigger is no longer to be acted on."""
        return self.as_of + timedelta(days=self.campaign.valid_days)


def derive_trigger_id(customer_id: str, campaign: Campaign, occasion: str) -> str:
    """Return UUIDv5 of (customer, campaign, segment, occasion): the same whenever the same opportunity is decided."""
    return derive_id(TRIGGER_NAMESPACE, (customer_id, campaign.key, campaign.segment, occasion))


class ContactHistory(msgspec.Struct, frozen=True, gc=False):
    """A customer's history in the ledger, as the guardrails read it.

    Attributes:
        consent: when consent was given again and revoked, by channel.
        last_contacts: the event time of the latest exposure, fired or control, by campaign.
        contacts: the exposures that limits may count, in any order.
        feedback: what staff said of the customer, in any order.
    """

    consent: Consent = msgspec.field(default_factory=dict)
    last_contacts: Mapping[str, datetime] = msgspec.field(default_factory=dict)
    contacts: tuple[PastContact, ...] = ()
    feedback: tuple[Standing, ...] = ()

    def last_contact(self, campaign_key: str) -> datetime | None:
        """Return when the campaign last contacted the customer, or would have if they were not held out."""
        return self.last_contacts.get(campaign_key)

    def with_contact(self, contact: PastContact) -> ContactHistory:
        """Return the history with one more exposure, fired or control."""
        last = max(self.last_contacts.get(contact.campaign, contact.at), contact.at)
        contacts = (*self.contacts, contact)
        return ContactHistory(self.consent, {**self.last_contacts, contact.campaign: last}, contacts, self.feedback)

    def with_consent_change(self, change: ConsentChange) -> ContactHistory:
        """Return the history with one more change of consent."""
        return msgspec.structs.replace(self, consent=add_change(self.consent, change))

    def with_feedback(self, feedback: Feedback) -> ContactHistory:
        """Return the history with one more feedback of staff."""
        return msgspec.structs.replace(self, feedback=add_feedback(self.feedback, feedback))


class Decision(msgspec.Struct, frozen=True):
    """The decision about a candidate, and everything it is based on.

    `net_value` is what the best contact was expected to bring; None where no contact was possible. `propensity` is the
    probability with which the offer was to be made, given that a contact was. `deferred_to` is the end of the quiet
    hours in which its event arrived, `variant` the key of the campaign's variant that the contact is of, `winner` the
    contact that is made in its place, `inputs` what else it read.
    """

    candidate: Candidate
    outcome: Outcome
    reason: Reason
    detail: str
    facts: Mapping[str, Any]
    channel: str | None = None
    offer: ScoredOffer | None = None
    message: str | None = None
    net_value: float | None = None
    propensity: float | None = None
    deferred_to: datetime | None = None
    subject: str | None = None
    variant: str | None = None
    winner: Rival | None = None
    inputs: DecisionInputs | None = None

    @property
    def exposure(self) -> PastContact | None:
        """The contact, or the control exposure in its place; None if it was withheld."""
        if self.outcome is Outcome.WITHHELD or self.channel is None or self.offer is None:
            return None
        candidate = self.candidate
        return PastContact(candidate.campaign.key, self.channel, candidate.as_of, self.offer.offer.id)


class Proposal(msgspec.Struct, frozen=True):
    """A contact that is possible: nothing rules it out for this candidate alone.

    `explores`: a loss is expected, and the contact is possible to learn whether that is right. `offer_why`: why the
    policy `recommended` made the offer.
    """

    candidate: Candidate
    facts: Mapping[str, Any]
    channel: str
    offer: ScoredOffer
    propensity: float
    message: str
    net_value: float
    deferred_to: datetime | None = None
    subject: str | None = None
    variant: str | None = None
    explores: bool = False
    offer_why: str = ""


class Content(NamedTuple):
    """What a contact of a variant says and offers, and the key of the variant; the propensity is over all of them."""

    choice: OfferChoice
    propensity: float
    message: str
    subject: str | None
    variant: str


def propose(
    candidate: Candidate,
    facts: Mapping[str, Any],
    history: ContactHistory,
    offers: dict[int, Offer],
    offer_scores: NDArray[np.float32],
    guardrails: Sequence[Guardrail] = GUARDRAILS,
    obstacles: Mapping[int, str] = NO_OBSTACLES,
    effect: ContactEffect | None = None,
) -> Proposal | Decision:
    """Return the contact that a candidate would get, or the decision to withhold it.

    Eligibility comes before the holdout, so the control group differs from the treated one by the contact alone.

    Args:
        candidate: the customer, the campaign and the occasion.
        facts: the customer's facts that may influence the decision, null as None; they are recorded with it.
        history: consent and earlier contacts, as the ledger has them.
        offers: every offer by id.
        offer_scores: shape [offers].
        guardrails: evaluated in order; the first refusal withholds the contact.
        obstacles: the offers that the customer may not get, by id, each with the reason.
        effect: what the contact is expected to change; None where no model of uplift knows.
    """
    campaign = candidate.campaign
    for guardrail in guardrails:
        if refusal := guardrail(candidate, history, facts):
            return withhold(candidate, refusal.reason, refusal.detail, facts)
    channel = choose_channel(campaign, facts, history.consent, find_limited_channels(candidate, history))
    if channel is None:
        raise ValueError(f"the guardrails admit {candidate.customer_id!r} to {campaign.key!r} without consent")
    described = campaign.channels_by_key[channel]
    choice = choose_offer(campaign, offers, offer_scores, candidate.trigger_id, obstacles, facts, candidate.as_of)
    if choice is None or (campaign.variants and obstacles and _lacks_offers(campaign, obstacles)):
        return withhold(candidate, Reason.NO_ELIGIBLE_OFFER, _describe_obstacles(obstacles, offers), facts)
    # Of the campaign's own offers also where a variant makes others: the variant may not decide which campaign wins.
    net_value, refusal, explores = _value_contact(candidate, choice, described, effect)
    if refusal is not None:
        return withhold(candidate, refusal.reason, refusal.detail, facts, net_value)
    deferred_to = _find_end_of_quiet_hours(candidate, described, facts)
    if deferred_to and deferred_to >= candidate.expires_at and refuse_expired in guardrails:
        detail = f"quiet hours of {channel} until {deferred_to:%Y-%m-%d %H:%M}, when the trigger has expired"
        return withhold(candidate, Reason.EXPIRED, detail, facts, net_value)
    try:
        if campaign.variants:
            content = _compose_variant(candidate, described, facts, offers, offer_scores, obstacles)
            choice, propensity, message, subject, variant = content
        else:
            propensity, variant = choice.propensity, None
            message, subject = compose_texts(campaign, described, facts, choice)
    except MessageError as error:
        return withhold(candidate, Reason.MESSAGE_FAILED, str(error), facts, net_value)
    return Proposal(
        candidate,
        facts,
        channel,
        choice.made,
        propensity,
        message,
        net_value,
        deferred_to,
        subject,
        variant,
        explores,
        choice.why,
    )


def _value_contact(
    candidate: Candidate, choice: OfferChoice, channel: Channel, effect: ContactEffect | None
) -> tuple[float, Refusal | None, bool]:
    """Return what a contact is expected to bring, why it is not worth its cost, and whether it is made to explore."""
    if effect is None:
        net_value = find_net_value(choice, channel)
        loss = Refusal(Reason.NEGATIVE_VALUE, _describe_loss(choice, channel)) if net_value < 0 else None
        return net_value, loss, False
    net_value = find_incremental_value(effect, choice, channel)
    if not is_loss(effect, net_value):
        return net_value, None, False
    if is_explored(candidate.campaign, candidate.trigger_id):
        return net_value, None, True
    reason = Reason.NEGATIVE_UPLIFT if effect.uplift < 0 else Reason.NEGATIVE_VALUE
    return net_value, Refusal(reason, describe_loss(effect, choice, channel)), False


def settle(proposal: Proposal) -> Decision:
    """Return the decision about a contact that is made unless the customer is held out."""
    candidate = proposal.candidate
    campaign = candidate.campaign
    if is_in_holdout(campaign, candidate.customer_id):
        outcome, reason = Outcome.CONTROL, Reason.HOLDOUT
        detail = f"in the {campaign.holdout_percent:g} % control group of this campaign"
    else:
        outcome, reason = Outcome.FIRED, _WHY_FIRED[campaign.launch]
        detail = f"{reason}: {campaign.audience}"
    if proposal.explores:
        detail += "; although a loss is expected, to learn whether it is"
    if proposal.offer_why:
        detail += f"; {proposal.offer_why}"
    if proposal.deferred_to:
        detail += f"; quiet hours of {proposal.channel} until {proposal.deferred_to:%Y-%m-%d %H:%M} UTC"
    return Decision(
        candidate,
        outcome,
        reason,
        detail,
        proposal.facts,
        proposal.channel,
        proposal.offer,
        proposal.message,
        proposal.net_value,
        proposal.propensity,
        proposal.deferred_to,
        proposal.subject,
        proposal.variant,
    )


def withhold(
    candidate: Candidate, reason: Reason, detail: str, facts: Mapping[str, Any], net_value: float | None = None
) -> Decision:
    """Return the decision not to contact a customer."""
    return Decision(candidate, Outcome.WITHHELD, reason, detail, facts, net_value=net_value)


def _lacks_offers(campaign: Campaign, obstacles: Mapping[int, str]) -> bool:
    """Return whether the customer may get no offer of some variant: then none is contacted, whichever they have."""
    return any(all(id_ in obstacles for id_ in varied.offers) for varied in campaign.by_variant.values())


def _compose_variant(
    candidate: Candidate,
    channel: Channel,
    facts: Mapping[str, Any],
    offers: dict[int, Offer],
    offer_scores: NDArray[np.float32],
    obstacles: Mapping[int, str],
) -> Content:
    """Return the content of a contact of the customer's variant; each variant has an offer for the customer.

    All variants are composed, so that a message that fails for a customer withholds the contact whichever variant they
    have: the customers of the variants must not differ. The propensity of the offer is over all variants.

    Raises:
        MessageError: the message of a variant cannot be sent.
    """
    campaign = candidate.campaign
    texts, choices = {}, {}
    for key, varied in campaign.by_variant.items():
        choice = choose_offer(varied, offers, offer_scores, candidate.trigger_id, obstacles, facts, candidate.as_of)
        if choice is None:
            raise ValueError(f"variant {key!r} of {campaign.key!r} has no offer for {candidate.customer_id!r}")
        choices[key] = choice
        try:
            texts[key] = compose_texts(varied, channel, facts, choice)
        except MessageError as error:
            raise MessageError(f"variant {key}: {error}") from error
    variant = assign_variant(campaign.variants, campaign.assignment_group, candidate.customer_id).key
    made, shares = choices[variant].made, find_shares(campaign.variants)
    propensity = sum(
        shares[key] * find_propensity(varied, choices[key], made, obstacles)
        for key, varied in campaign.by_variant.items()
    )
    return Content(choices[variant], round(propensity, 9), *texts[variant], variant)


def compose_texts(
    campaign: Campaign, channel: Channel, facts: Mapping[str, Any], choice: OfferChoice
) -> tuple[str, str | None]:
    """Return the message and the subject, None where the channel has none.

    Raises:
        MessageError: one of them cannot be written for this customer.
    """
    # As a mapping: the sandbox checks each attribute, which takes as long as the rest of the message.
    offer = vars(choice.made.offer)
    values = {**facts, "offer": {**offer, PRODUCT_FIELD: choice.match.product} if choice.match else offer}
    template, subject = campaign.templates[channel.key]
    locale, source = template.only or template.choose(facts.get(campaign.locale_column or ""))
    message = render_message(source, values, channel.message_format, channel.max_characters, locale)
    if channel.max_segments is not None:
        refuse_segments(message, channel.max_segments)
    if subject is None:
        return message, None
    locale, source = subject.only or subject.choose(facts.get(campaign.locale_column or ""))
    return message, render_subject(source, values, locale)


def _find_end_of_quiet_hours(candidate: Candidate, channel: Channel, facts: Mapping[str, Any]) -> datetime | None:
    """Return when the quiet hours end in which the event arrived: the same for a redelivery as for the first."""
    quiet = channel.quiet_hours
    if quiet is None:
        return None
    arrived = datetime.fromtimestamp(candidate.received_ms / 1000, UTC)
    return quiet.find_end(arrived, quiet.choose_zone(facts.get(quiet.zone_column or "")))


def _describe_obstacles(obstacles: Mapping[int, str], offers: Mapping[int, Offer]) -> str:
    reasons = "; ".join(f"{offers[id_].key}: {why}" for id_, why in obstacles.items())
    return f"the customer may get no offer: {reasons}"


def _describe_loss(choice: OfferChoice, channel: Channel) -> str:
    contact = f"cost {channel.cost:g} of a contact by {channel.key}"
    if choice.best is None:
        return f"a loss is expected: {choice.expected_value:g} as the mean of the offers - {contact}"
    offer, score = choice.best.offer, choice.best.score
    return (
        f"a loss is expected: probability {score:g} x (value {offer.value:g} - cost {offer.cost:g} of offer "
        f"{offer.key}) - {contact}"
    )


_WHY_FIRED = {
    Launch.ON_ENTER: Reason.ENTERED_SEGMENT,
    Launch.ON_LEAVE: Reason.LEFT_SEGMENT,
    Launch.ON_EVENT: Reason.EVENT_OCCURRED,
    Launch.BY_OPERATOR: Reason.LAUNCHED,
}
