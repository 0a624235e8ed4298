"""What a decision read besides its facts and definitions: recorded with it, so that it can be made again. Pure.

Only what may have mattered is recorded: of a customer without earlier contacts and changes of consent, the arrival of
the event and the scores of the campaign's offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from campaigns.consent import EVERY_CHANNEL, Consent
from campaigns.contact_limits import PastContact
from campaigns.feedback import Standing
from campaigns.uplift import ContactEffect, find_exposure_probability
from models.reasons import Factor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from campaigns.decide import ContactHistory, Decision


class Rival(msgspec.Struct, frozen=True, array_like=True):
    """The contact that was made in place of another one: what decided between them."""

    campaign: str
    priority: int
    net_value: float
    occasion: str


class ArmRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part that an experiment on a model had in a decision.

    Attributes:
        experiment: its key.
        model: churn, nbo or ltv.
        arm: `champion` or `challenger`: which of them the customer is assigned to, and decides where both can score.
        challenger: the version that is tried.
        shadow: what the challenger of a shadow experiment says, by fact, or by id of an offer; nothing used it.
    """

    experiment: str
    model: str
    arm: str
    challenger: str
    shadow: Mapping[str, float | str | None] = msgspec.field(default_factory=dict)


class DecisionInputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a decision read besides its facts and definitions.

    Attributes:
        received_ms: the timestamp of its event's record, Unix ms.
        scores: of the offers of the campaign and its variants by id; empty where a guardrail withheld the contact.
        consent: the changes of consent for the campaign's channels.
        last_contact: when the campaign last contacted the customer, if it has a cooldown.
        contacts: what the campaign's limits may have counted.
        feedback: what staff had said of the customer.
        winner: the contact that was made in place of this one.
        obstacles: the offers that the customer could not get, by id, each with the reason.
        sends_expired: whether triggers that had expired were sent, by HOLDFAST_WITHHOLD_EXPIRED=false.
        reasons: the factors on its trigger by task, where the campaign asks for them; they decided nothing.
        experiments: those in force on models.
        effect: what the model of uplift expected of the contact; None where none knew the campaign or the customer.
        exposure_probability: of an exposure that explores, with which the contact was possible; None where it was
            certain.
    """

    received_ms: int
    scores: Mapping[int, float] = msgspec.field(default_factory=dict)
    consent: Consent = msgspec.field(default_factory=dict)
    last_contact: datetime | None = None
    contacts: tuple[PastContact, ...] = ()
    feedback: tuple[Standing, ...] = ()
    winner: Rival | None = None
    obstacles: Mapping[int, str] = msgspec.field(default_factory=dict)
    sends_expired: bool = False
    reasons: Mapping[str, tuple[Factor, ...]] = msgspec.field(default_factory=dict)
    experiments: tuple[ArmRecord, ...] = ()
    effect: ContactEffect | None = None
    exposure_probability: float | None = None


def record_inputs(
    decision: Decision,
    history: ContactHistory,
    offer_scores: NDArray[np.float32],
    obstacles: Mapping[int, str],
    effect: ContactEffect | None,
    *,
    sends_expired: bool,
) -> DecisionInputs:
    """Return what a decision read.

    Args:
        decision: the decision.
        history: what it was given of the customer's history.
        offer_scores: shape [offers], the scores that it was given.
        obstacles: the offers that the customer could not get, each with the reason.
        effect: what it was given of the contact's effect.
        sends_expired: whether its guardrails let expired triggers pass.
    """
    candidate = decision.candidate
    campaign, consent = candidate.campaign, history.consent
    # Through text: the shortest one that is this float32, half as long as that of the float64 of the same value.
    scored = () if decision.net_value is None else campaign.all_offers
    scores = {each: float(str(offer_scores[each - 1])) for each in scored}
    chance = find_exposure_probability(campaign, effect, decision.net_value) if effect and decision.exposure else None
    return DecisionInputs(
        candidate.received_ms,
        scores,
        {each: consent[each] for each in (*campaign.channels, EVERY_CHANNEL) if each in consent} if consent else {},
        history.last_contacts.get(campaign.key) if campaign.cooldown_days else None,
        history.contacts if campaign.limits else (),
        history.feedback,
        decision.winner,
        dict(obstacles) if obstacles else {},
        sends_expired,
        effect=None if decision.net_value is None else effect,
        exposure_probability=chance,
    )
