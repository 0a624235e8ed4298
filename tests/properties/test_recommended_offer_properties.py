"""Whatever a customer is recommended: the offer is allowed, is explained, and is the same when it is made again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from campaigns.candidates import decide_all
from campaigns.definition import Campaign, Offer
from campaigns.offers import choose_offer
from campaigns.recomputation import recompute
from features.table import FeatureTable
from tests.builders import AS_OF, campaign, candidate, facts
from tests.decision_records import record_of
from tests.examples import examples

IDS = ["p1", "p2", "p3"]
OFFERS = {
    1: Offer(id=1, key="gift", name="Gift"),
    2: Offer(id=2, key="two", name="Two", products=("p2",)),
    3: Offer(id=3, key="both", name="Both", products=("p1",), categories=("c",)),
}
ANYTHING = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from([*IDS, "c", ""]) | st.just([]) | st.just({})
PRODUCTS = st.fixed_dictionaries({"product_id": ANYTHING, "category": ANYTHING}) | ANYTHING
RECOMMENDATIONS = st.lists(PRODUCTS, max_size=4) | ANYTHING
AGES = st.none() | st.sampled_from([-400, 0, 29, 30, 31, 400])
OBSTACLES = st.dictionaries(st.sampled_from([1, 2, 3]), st.just("no"), max_size=2)
SCORES = st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=3, max_size=3).map(
    lambda each: np.array(each, dtype=np.float32)
)


def policy(name: str = "recommended") -> Campaign:
    """A campaign of all offers."""
    return campaign(offers=(1, 2, 3), offer_policy=name, message="Hello")


def known(recommended: Any, age: int | None) -> dict[str, Any]:
    """The facts of a customer; absent where nothing is recommended and no age is known."""
    at = None if age is None else (AS_OF - timedelta(days=age)).isoformat()
    return facts(recommendations=recommended, recommended_at=at)


@examples(200)
@given(RECOMMENDATIONS, AGES, OBSTACLES, SCORES)
def test_the_offer_is_allowed_and_about_the_first_recommendation_or_the_best(
    recommended: Any, age: int | None, obstacles: dict[int, str], given_scores: Any
) -> None:
    row = known(recommended, age)
    found = choose_offer(policy(), OFFERS, given_scores, "t", obstacles, row, AS_OF)
    best = choose_offer(policy("next_best"), OFFERS, given_scores, "t", obstacles)
    assert found
    assert best
    assert found.made.offer.id not in obstacles
    assert found.why
    assert found.match
    allowed = [OFFERS[each] for each in (1, 2, 3) if each not in obstacles]
    products = [each for each in recommended if isinstance(each, dict)] if isinstance(recommended, list) else []
    about = [offer.id for each in products for offer in allowed if offer.is_about(each)]
    if about and (age is None or age <= 30):
        assert found.made.offer.id == found.match.offer_id == about[0]
    else:
        assert (found.made, found.propensity, found.expected_value) == (best.made, 1, best.expected_value)
        assert found.match.offer_id is found.match.product is None


@examples(100)
@given(RECOMMENDATIONS, AGES, SCORES, st.booleans())
def test_a_decision_made_again_is_the_same_in_both_arms(
    recommended: Any, age: int | None, given_scores: Any, has_facts: bool
) -> None:
    """Also where no batch job has written the facts."""
    row = known(recommended, age) if has_facts else facts()
    table = FeatureTable(("ann",), {name: as_column(row[name]) for name in row if name != "offer_basis"})

    def score(rows: FeatureTable) -> tuple[Any, Any]:
        return np.tile(given_scores, (len(rows), 1)), np.full(len(rows), "model", dtype=object)

    made = []
    for percent in (0, 100):
        chosen = policy().model_copy(update={"holdout_percent": percent})
        one = candidate(campaign=chosen, facts_read=tuple(known(None, None)))
        (decision,) = decide_all([one], table, {}, OFFERS, score)
        again = recompute("ann", record_of(decision), {chosen.key: chosen}, OFFERS, {})
        assert (again.problem, again.differences) == ("", ())
        made.append((decision.offer, decision.propensity, decision.net_value))
    assert made[0] == made[1]


def as_column(cell: Any) -> Any:
    """One cell, a list included."""
    column = np.empty(1, dtype=object)
    column[0] = cell
    return column
