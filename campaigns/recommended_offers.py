"""The offer that is about what is recommended to a customer. Pure.

Recommendations are facts that a batch job stored, see features/insights.py. An offer is about one of them if it names
the product or its category. The fallback, where none is or the recommendations are too old, is the expected value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from features.insights import RECOMMENDATIONS_FACT, RECOMMENDED_AT
from features.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from campaigns.definition import Campaign, Offer


class OfferMatch(msgspec.Struct, frozen=True):
    """Which offer is about a customer's recommendations.

    Attributes:
        offer_id: of the offer; None where there is none.
        product: the recommendation that it is about, as the fact has it; None likewise.
        why: which recommendation it is, or why there is no offer, for people.
    """

    offer_id: int | None
    product: Mapping[str, Any] | None
    why: str


def match_recommendations(
    campaign: Campaign,
    allowed: Sequence[int],
    offers: Mapping[int, Offer],
    facts: Mapping[str, Any],
    as_of: datetime,
) -> OfferMatch:
    """Return the offer about the customer's first recommendation that an offer is about.

    Of several offers about one recommendation the campaign's first one is made. The age of recommendations is not
    checked where `recommended_at` is null, as where a column of the warehouse has them.

    Args:
        campaign: says how old recommendations may be.
        allowed: ids of the offers that the customer may get, in the campaign's order.
        offers: every offer by id.
        facts: of the customer. What is no list of objects are no recommendations.
        as_of: the event's time.
    """
    stated = facts.get(RECOMMENDATIONS_FACT)
    found = [each for each in stated if isinstance(each, Mapping)] if isinstance(stated, list) else []
    if not found:
        return OfferMatch(None, None, "the customer has no recommendations")
    since = parse_time(facts.get(RECOMMENDED_AT))
    if since and as_of - since > timedelta(days=campaign.recommendation_days):
        days = campaign.recommendation_days
        return OfferMatch(None, None, f"the recommendations of {since:%Y-%m-%d} are older than {days} day(s)")
    for place, product in enumerate(found, start=1):
        for id_ in allowed:
            if offers[id_].is_about(product):
                why = f"recommendation {place} of {len(found)} is {product.get('product_id')}"
                return OfferMatch(id_, product, why)
    return OfferMatch(None, None, f"no offer is about the {len(found)} recommendation(s)")
