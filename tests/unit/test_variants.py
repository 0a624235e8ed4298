"""Variants of a campaign: who gets which, and that they change what is sent and never whether."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.decide import ContactHistory, Decision, Outcome
from campaigns.holdout import is_in_holdout
from campaigns.variants import Variant, assign_variant, find_shares
from tests.builders import campaign, candidate, decide, decision, facts, offers, scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.definition import Campaign

CUSTOMERS = [f"customer-{number}" for number in range(20_000)]
CHEAP, DEAR = {"key": "cheap", "offers": [1]}, {"key": "dear", "offers": [3], "message": "Dear {{ first_name }}"}


def assign(shares: Mapping[str, float], group: str = "win-back") -> dict[str, str]:
    """Return the variant of each customer."""
    variants = [Variant(key=key, share=share) for key, share in shares.items()]
    return {each: assign_variant(variants, group, each).key for each in CUSTOMERS}


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """Count the customers who moved, by where from and where to."""
    return Counter((before[each], after[each]) for each in CUSTOMERS if before[each] != after[each])


HALVES = assign({"a": 1, "b": 1})


@pytest.mark.parametrize("shares", [{"a": 1, "b": 1}, {"a": 80, "b": 15, "c": 5}, {"a": 0.1, "b": 0.3}])
def test_customers_are_split_as_the_shares_say(shares: dict[str, float]) -> None:
    counted = Counter(assign(shares).values())
    for key, share in find_shares([Variant(key=key, share=share) for key, share in shares.items()]).items():
        assert counted[key] / len(CUSTOMERS) == pytest.approx(share, abs=0.012)


def test_the_order_of_the_variants_and_the_scale_of_the_shares_move_nobody() -> None:
    assert assign({"b": 1, "a": 1}) == assign({"a": 50, "b": 50}) == HALVES


def test_an_added_variant_takes_customers_and_moves_no_others() -> None:
    found = moved(HALVES, assign({"a": 1, "b": 1, "c": 1}))
    assert {to for _, to in found} == {"c"}
    assert found.total() / len(CUSTOMERS) == pytest.approx(1 / 3, abs=0.012)


def test_a_share_that_grows_moves_only_customers_to_it() -> None:
    """Of two variants, exactly the difference."""
    found = moved(HALVES, assign({"a": 60, "b": 40}))
    assert {to for _, to in found} == {"a"}
    assert found.total() / len(CUSTOMERS) == pytest.approx(0.1, abs=0.012)


def test_shares_that_change_among_several_move_no_more_than_stated() -> None:
    before, after = {"a": 50, "b": 30, "c": 20}, {"a": 30, "b": 30, "c": 40}
    changed = 0.2
    share = moved(assign(before), assign(after)).total() / len(CUSTOMERS)
    assert share <= 2 * changed / (1 + changed) + 0.012


def test_the_variant_is_independent_of_the_holdout_and_of_other_campaigns() -> None:
    """A quarter of the customers is in each pair of halves."""
    held = campaign(holdout_percent=50)
    pairs = Counter((HALVES[each], is_in_holdout(held, each)) for each in CUSTOMERS)
    other = assign({"a": 1, "b": 1}, "other")
    more = Counter((HALVES[each], other[each]) for each in CUSTOMERS)
    assert min(*pairs.values(), *more.values()) / len(CUSTOMERS) > 0.24


def test_campaigns_of_a_holdout_group_give_a_customer_the_same_variant() -> None:
    keys = [{"key": "short"}, {"key": "long"}]
    made = [campaign(key=key, holdout_group="spring", variants=keys) for key in ("first", "second")]
    for name in CUSTOMERS[:50]:
        assert len({decision(campaign=each, customer_id=name).variant for each in made}) == 1


def test_an_assignment_is_fixed_for_ever() -> None:
    """Another release must assign alike, or customers change their variant."""
    assert "".join(HALVES[each] for each in CUSTOMERS[:12]) == "aaababaaaaaa"


def varied(**changes: Any) -> Campaign:
    return campaign(**{"variants": [CHEAP, DEAR], **changes})


def of_variant(key: str, made: Campaign, known: dict[str, Any] | None = None) -> Decision:
    """The decision about a customer who has this variant."""
    name = next(each for each in CUSTOMERS if assign_variant(made.variants, made.key, each).key == key)
    who = candidate(customer_id=name, campaign=made)
    return decide(who, known or facts(first_name="Ann"), ContactHistory(), offers(), scores(3))


def test_a_variant_makes_its_offers_with_its_message() -> None:
    cheap, dear = (of_variant(key, varied()) for key in ("cheap", "dear"))
    assert (cheap.offer and cheap.offer.offer.id, cheap.message) == (1, "For you: Offer 1")
    assert (dear.offer and dear.offer.offer.id, dear.message) == (3, "Dear Ann")


def test_the_net_value_is_that_of_the_campaign_in_every_variant() -> None:
    """Or the variant would decide which campaign wins."""
    assert {of_variant(key, varied()).net_value for key in ("cheap", "dear")} == {0.75}


def test_a_message_that_fails_in_one_variant_withholds_the_contact_in_each() -> None:
    """Or the customers of the variants would differ."""
    for key in ("cheap", "dear"):
        made = of_variant(key, varied(variants=[CHEAP, {**DEAR, "message": "{{ first_name }}"}]), facts())
        assert (made.outcome, made.reason, made.variant) == (Outcome.WITHHELD, "message_failed", None)
        assert made.detail.startswith("variant dear: ")


def test_the_control_group_is_split_too() -> None:
    held = varied(holdout_percent=50, variants=[CHEAP, {**DEAR, "message": "Dear customer"}])
    made = [decision(campaign=held, customer_id=name) for name in CUSTOMERS[:2000]]
    found = Counter((each.outcome, each.variant) for each in made)
    assert len(found) == 4
    assert min(found.values()) > 400


def test_the_propensity_of_an_offer_is_over_all_variants() -> None:
    """One makes the cheap offer alone, the other makes the best one, and explores with a tenth."""
    exploring = campaign(exploration_percent=10, variants=[CHEAP, {"key": "both"}])
    cheap, both = of_variant("cheap", exploring), of_variant("both", exploring)
    assert cheap.propensity == pytest.approx(0.5 * 1 + 0.5 * 0.05)
    assert both.offer is not None
    assert both.propensity == pytest.approx({3: 0.5 * 0.95, 1: 0.525}[both.offer.offer.id])


def test_a_campaign_without_variants_has_none() -> None:
    assert decision().variant is None


def test_a_variant_may_change_the_subject_alone() -> None:
    changes = [{"key": "plain"}, {"key": "short", "subject": "!"}]
    made = campaign(channels=("email",), subject="For you", variants=changes)
    assert (of_variant("plain", made).subject, of_variant("short", made).subject) == ("For you", "!")
    assert of_variant("plain", made).message == of_variant("short", made).message
