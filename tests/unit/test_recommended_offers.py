"""The offer policy `recommended`: the offer about what is recommended, why, and what is made otherwise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.candidates import Definitions
from campaigns.decide import ContactHistory, Decision, Outcome
from campaigns.definition import Campaign, Offer, load_campaigns
from segments.errors import DefinitionError
from streams.decision_config import DecisionConfig
from tests.builders import campaign, candidate, decide, facts, offers, scores, segment
from tests.simulation import SCORERS

if TYPE_CHECKING:
    from pathlib import Path

CAKES = {"product_id": "p1", "name": "Cake <tin>", "category": "cakes"}
CLOCK = {"product_id": "p2", "name": "Clock", "category": "clocks"}
SOAP = {"product_id": "p3", "name": "Soap", "category": None}
OFFERS = offers() | {
    2: Offer(id=2, key="clocks", name="A tenth off clocks", products=("p2",)),
    4: Offer(id=4, key="tins", name="A tenth off tins", categories=("cakes",)),
}
POLICY = {"offers": (1, 2, 4), "offer_policy": "recommended"}


def decided(*products: dict[str, Any], at: str | None = "2011-05-31T06:00:00+00:00", **changes: Any) -> Decision:
    """The decision about a customer to whom these are recommended; the best offer by score is 1."""
    known = facts(recommendations=list(products), recommended_at=at, **changes.pop("known", {}))
    chosen = candidate(campaign=campaign(**{**POLICY, **changes}), facts_read=tuple(known))
    return decide(chosen, known, ContactHistory(), OFFERS, scores(1))


def offer_of(decision: Decision) -> str:
    """The key of the offer made."""
    assert decision.offer
    return decision.offer.offer.key


@pytest.mark.parametrize(
    ("products", "made", "why"),
    [
        ([CLOCK, CAKES], "clocks", "recommendation 1 of 2 is p2"),
        ([SOAP, CAKES, CLOCK], "tins", "recommendation 2 of 3 is p1"),
        ([SOAP], "offer-1", "by expected value, no offer is about the 1 recommendation(s)"),
        ([], "offer-1", "by expected value, the customer has no recommendations"),
    ],
)
def test_the_offer_about_the_first_recommendation_is_made(products: list[Any], made: str, why: str) -> None:
    found = decided(*products)
    assert (offer_of(found), found.propensity) == (made, 1)
    assert found.detail == f"entered_segment: at-risk; offer {made}: {why}"


@pytest.mark.parametrize(
    ("at", "made"),
    [
        ("2011-05-02T12:30:00+00:00", "clocks"),
        ("2011-05-02T12:29:59+00:00", "offer-1"),
        ("2026-11-27T00:00:00+00:00", "clocks"),
        (None, "clocks"),
        ("soon", "clocks"),
    ],
)
def test_recommendations_of_more_than_30_days_are_too_old(at: str | None, made: str) -> None:
    """Those of a later run are what a replay has; without a time the age is not checked."""
    found = decided(CLOCK, at=at)
    assert offer_of(found) == made
    assert ("older than 30 day(s)" in found.detail) == (made == "offer-1")


def test_a_campaign_says_how_old_recommendations_may_be() -> None:
    assert offer_of(decided(CLOCK, recommendation_days=1)) == "offer-1"
    assert offer_of(decided(CLOCK, recommendation_days=2)) == "clocks"


def test_the_control_group_is_said_the_same() -> None:
    held = campaign(**POLICY).model_copy(update={"holdout_percent": 100})
    known = facts(recommendations=[CLOCK])
    found = decide(candidate(campaign=held), known, ContactHistory(), OFFERS, scores(1))
    assert found.outcome is Outcome.CONTROL
    assert found.detail.endswith("control group of this campaign; offer clocks: recommendation 1 of 1 is p2")


@pytest.mark.parametrize(
    ("products", "said"), [([SOAP, CAKES], "For you: Cake &lt;tin&gt;!"), ([SOAP], "For you: something!")]
)
def test_a_message_names_the_product_of_the_offer(products: list[Any], said: str) -> None:
    """Which need not be the first recommendation; null where the offer is about none."""
    words = "For you: {% if offer.product %}{{ offer.product.name }}{% else %}something{% endif %}!"
    assert decided(*products, message=words).message == said


def test_other_policies_have_no_product_to_name() -> None:
    with pytest.raises(ValueError, match=r"the texts read offer\.product, which only recommended sets"):
        campaign(message="{{ offer.product.name }}")


def test_a_number_of_days_is_for_this_policy_alone() -> None:
    with pytest.raises(ValueError, match="recommendation_days is for recommended; leave it out with fixed"):
        campaign(offer_policy="fixed", recommendation_days=7)


def test_recommendations_are_read_and_recorded_for_this_policy_alone() -> None:
    for policy, reads in (("recommended", True), ("next_best", False)):
        chosen = campaign(offers=(1, 2), offer_policy=policy)
        definitions = Definitions([chosen], OFFERS, {}, {"at-risk": "1"})
        config = DecisionConfig(SCORERS, [segment()], {}, definitions)
        assert ("recommendations" in definitions.facts_read_for(chosen)) is reads
        assert config.ledger_facts.insights == (("recommendations",) if reads else ())


def write(folder: Path, products: dict[str, Any], policy: str) -> Campaign:
    """Load a campaign of one offer."""
    (folder / "offers.json").write_text(json.dumps([{"id": 1, "key": "gift", "name": "A gift", **products}]))
    (folder / "a.yaml").write_text(
        f"{{key: a, name: A, segment: s, offers: [1], channels: [email], message: Hi, offer_policy: {policy}}}"
    )
    ((found,), _) = load_campaigns(folder, segments=["s"])
    return found


def test_a_campaign_whose_offers_name_no_product_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as refused:
        write(tmp_path, {}, "recommended")
    assert str(refused.value) == (
        f"{tmp_path / 'a.yaml'}: $.offer_policy is recommended, and none of the campaign's offers names "
        "`products` or `categories` in offers.json"
    )


def test_products_make_another_version_where_they_decide(tmp_path: Path) -> None:
    some = [{"products": ["p1"]}, {"products": ["p2"]}, {"categories": ["p1"]}]
    assert len({write(tmp_path, each, "recommended").version for each in some}) == 3
    assert len({write(tmp_path, each, "fixed").version for each in [{}, *some]}) == 1
