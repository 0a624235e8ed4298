"""Which offers a customer may get, which of them is made, and what a contact with it is worth. Pure.

Neither depends on the arm: the rule of an offer reads facts, its limit on repetition counts the exposures of both arms,
and draws are hashes of the trigger's id, so a decision that is made again makes the same offer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.channels import CUSTOMER
from campaigns.definition import Offer, OfferPolicy
from campaigns.recommended_offers import OfferMatch, match_recommendations
from segments.vectorized import Facts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from campaigns.channels import Channel
    from campaigns.decide import Candidate, ContactHistory
    from campaigns.definition import Campaign
    from features.table import FeatureTable
    from segments.vectorized import Mask

NO_OBSTACLES: Mapping[int, str] = MappingProxyType({})
NO_FACTS: Mapping[str, Any] = MappingProxyType({})


class ScoredOffer(msgspec.Struct, frozen=True):
    """An offer and the model's score for one customer, from 0 to 1."""

    offer: Offer
    score: float

    @property
    def expected_value(self) -> float:
        """What the offer is expected to bring, without the cost of the contact."""
        return self.score * self.offer.margin


class OfferChoice(msgspec.Struct, frozen=True):
    """The offer to make.

    Attributes:
        made: the offer.
        propensity: the probability with which it was to be made.
        expected_value: what the policy is expected to bring, without the cost of the contact; it does not depend on
            the draw, or a random offer would decide which campaign wins.
        best: the one offer behind `expected_value`; None where it is the mean of several.
        value: what a conversion brings, of the same offer or as the mean.
        cost: what it costs, likewise.
        match: what the policy `recommended` found; None with others.
    """

    made: ScoredOffer
    propensity: float
    expected_value: float
    best: ScoredOffer | None
    value: float
    cost: float
    match: OfferMatch | None = None

    @classmethod
    def of_best(
        cls, made: ScoredOffer, propensity: float, best: ScoredOffer, match: OfferMatch | None = None
    ) -> OfferChoice:
        """Build the choice of a policy whose value is that of one offer."""
        return cls(made, propensity, best.expected_value, best, best.offer.value, best.offer.cost, match)

    @property
    def why(self) -> str:
        """Why the offer is made, for people; empty where the policy alone says it."""
        if self.match is None:
            return ""
        how = "" if self.match.offer_id else "by expected value, "
        return f"offer {self.made.offer.key}: {how}{self.match.why}"


@dataclass(frozen=True, slots=True)
class OfferConditions:
    """The conditions of a batch's offers: where each rule does not hold, and the offers with a limit on repetition."""

    refused: Mapping[int, Mask]
    repeated: Mapping[int, Offer]

    def find_obstacles(self, candidate: Candidate, row: int, history: ContactHistory) -> Mapping[int, str]:
        """Return the offers of a campaign that a customer may not get, each with the reason.

        A notification of staff repeats nothing to the customer.

        Args:
            candidate: the customer and the campaign.
            row: the candidate's row in the table of the conditions.
            history: the customer's contacts of both arms.
        """
        obstacles = {}
        for id_ in candidate.campaign.all_offers:
            if id_ in self.refused and self.refused[id_][row]:
                obstacles[id_] = "its rule does not hold"
            elif (offer := self.repeated.get(id_)) and candidate.campaign.recipient == CUSTOMER:
                made = [each for each in history.contacts if each.offer == id_]
                if made and offer.repeat_limit and (until := offer.repeat_limit.find_end(made, candidate.as_of)):
                    obstacles[id_] = f"not twice in {offer.repeat_days} day(s), again from {until:%Y-%m-%d %H:%M}"
        return obstacles


def find_conditions(
    offers: Mapping[int, Offer], table: FeatureTable, unavailable: Collection[str] = ()
) -> OfferConditions | None:
    """Return the conditions of offers for the rows of a table; None where no offer has any.

    A rule that reads an unavailable fact holds for no customer: null would be less than any positive number.

    Args:
        offers: by id.
        table: all facts, one row per candidate.
        unavailable: facts of the table that lack their source.
    """
    rules = {id_: each.eligibility for id_, each in offers.items() if each.eligibility}
    repeated = {id_: each for id_, each in offers.items() if each.repeat_days}
    if not rules and not repeated:
        return None
    facts, available = Facts(table), table.columns.keys() - frozenset(unavailable)
    refused = {id_: ~rule.mask(facts) | bool(rule.missing(available)) for id_, rule in rules.items()}
    return OfferConditions(refused, repeated)


def choose_offer(
    campaign: Campaign,
    offers: Mapping[int, Offer],
    scores: NDArray[np.float32],
    trigger_id: str,
    obstacles: Mapping[int, str] = NO_OBSTACLES,
    facts: Mapping[str, Any] = NO_FACTS,
    as_of: datetime | None = None,
) -> OfferChoice | None:
    """Return the offer that a campaign makes to a customer by its policy; None where the customer may get none.

    `next_best` makes the one with the highest expected value (without values, the highest score; the lowest id wins a
    tie), and explores; `fixed` the first listed; `experiment` each as likely as another; `recommended` the one about
    what is recommended to the customer, or as `next_best` where there is none.

    Args:
        campaign: names the offers that may be made, and the policy.
        offers: every offer by id.
        scores: shape [offers], the score of offer id i at position i - 1.
        trigger_id: the draws are hashes of it.
        obstacles: the offers that the customer may not get.
        facts: of the customer, which `recommended` reads.
        as_of: the event's time, which `recommended` needs.
    """
    allowed = [each for each in campaign.offers if each not in obstacles] if obstacles else campaign.offers
    if not allowed:
        return None
    scores_by_id = scores.tolist()
    match = None
    if campaign.offer_policy is OfferPolicy.RECOMMENDED:
        if as_of is None:
            raise ValueError(f"the offer policy of {campaign.key!r} needs the event's time")
        match = match_recommendations(campaign, allowed, offers, facts, as_of)
        allowed = allowed if match.offer_id is None else [match.offer_id]
    if campaign.offer_policy in (OfferPolicy.NEXT_BEST, OfferPolicy.RECOMMENDED):
        id_ = min(allowed, key=lambda each: (-scores_by_id[each - 1] * offers[each].margin, each))
        best = _score(id_, offers, scores_by_id)
        if not campaign.exploration_percent:
            return OfferChoice.of_best(best, 1.0, best, match)
        return _explore(campaign, allowed, best, offers, scores_by_id, trigger_id)
    scored = [_score(each, offers, scores_by_id) for each in allowed]
    if campaign.offer_policy is OfferPolicy.FIXED:
        return OfferChoice.of_best(scored[0], 1.0, scored[0])
    digest = hashlib.sha256(f"experiment\x1f{trigger_id}".encode()).digest()
    made = scored[int.from_bytes(digest[:8]) * len(scored) >> 64]
    mean, value, cost = (
        sum(amounts) / len(scored)
        for amounts in zip(*((each.expected_value, each.offer.value, each.offer.cost) for each in scored), strict=True)
    )
    return OfferChoice(made, round(1 / len(scored), 9), mean, None, value, cost)


def _explore(
    campaign: Campaign,
    allowed: Sequence[int],
    best: ScoredOffer,
    offers: Mapping[int, Offer],
    scores_by_id: Sequence[float],
    trigger_id: str,
) -> OfferChoice:
    """Return the best offer, or in `exploration_percent` of the decisions any of the allowed ones (epsilon-greedy)."""
    made = best
    digest = hashlib.sha256(f"exploration\x1f{trigger_id}".encode()).digest()
    if int.from_bytes(digest[:8]) < campaign.exploration_percent / 100 * 2**64:
        made = _score(allowed[int.from_bytes(digest[8:16]) * len(allowed) >> 64], offers, scores_by_id)
    propensity = _find_share(campaign, allowed, best.offer.id, made.offer.id)
    return OfferChoice.of_best(made, round(propensity, 9), best)


def find_propensity(
    campaign: Campaign, choice: OfferChoice, made: ScoredOffer, obstacles: Mapping[int, str] = NO_OBSTACLES
) -> float:
    """Return the probability with which a campaign was to make an offer, given what its policy chooses from."""
    allowed = [each for each in campaign.offers if each not in obstacles]
    if choice.best is None:
        return (made.offer.id in allowed) / len(allowed)
    return _find_share(campaign, allowed, choice.best.offer.id, made.offer.id)


def _find_share(campaign: Campaign, allowed: Sequence[int], best: int, made: int) -> float:
    """Return the probability of an offer among the allowed ones, given which of them is the best."""
    share = campaign.exploration_percent / 100
    return (made in allowed) * share / len(allowed) + (1 - share if made == best else 0)


def _score(offer_id: int, offers: Mapping[int, Offer], scores_by_id: Sequence[float]) -> ScoredOffer:
    return ScoredOffer(offers[offer_id], round(scores_by_id[offer_id - 1], 6))


def find_net_value(choice: OfferChoice, channel: Channel) -> float:
    """Return what a contact is expected to bring: that of its offer - the cost of a contact by the channel."""
    return round(choice.expected_value - channel.cost, 6)
