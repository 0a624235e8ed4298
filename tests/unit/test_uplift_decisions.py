"""Contacts valued by uplift: whom a campaign leaves alone, how it explores, and that the arms stay comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.candidates import decide_all
from campaigns.decide import Outcome
from campaigns.decision_inputs import DecisionInputs
from campaigns.definition import Offer
from campaigns.guardrails import Reason
from campaigns.recomputation import recompute
from console.explanation_views import describe_decision
from console.use_cases.explanations import DecisionExplanation
from features.table import FeatureTable
from tests.builders import campaign, candidate, facts, offers, scores
from tests.decision_records import record_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.decide import Candidate, Decision
    from campaigns.definition import Campaign

HELPED, UNMOVED, HARMED = (0.5, 0.2), (0.3, 0.3), (0.1, 0.4)
"""Probabilities to convert with the contact and without."""
CUSTOMERS = [f"customer-{number}" for number in range(400)]
CAUTIOUS = campaign(uplift_exploration_percent=1)


def decide_each(
    made: Sequence[Candidate],
    effects: Mapping[str, Mapping[str, tuple[float, float]]],
    priced: Mapping[int, Offer] | None = None,
) -> list[Decision]:
    """Decide candidates together, with the effects of campaigns on customers, by campaign and customer."""
    customers = tuple(dict.fromkeys(each.customer_id for each in made))
    rows = [facts()] * len(customers)
    table = FeatureTable.from_rows(customers, list(rows[0]), [list(row.values()) for row in rows])

    def score(chosen: FeatureTable) -> tuple[Any, Any]:
        return np.tile(scores(3), (len(chosen), 1)), np.full(len(chosen), "model", dtype=object)

    def score_contacts(chosen: FeatureTable) -> dict[str, Any]:
        unknown = (np.nan, np.nan)
        return {key: np.array([of.get(each, unknown) for each in chosen.customer_ids]) for key, of in effects.items()}

    return decide_all(made, table, {}, dict(priced or offers()), score, score_contacts=score_contacts)


def decide_one(effect: tuple[float, float], made: Campaign = CAUTIOUS, priced: Any = None) -> Decision:
    """Decide about ann, on whom the contact has an effect."""
    return decide_each([candidate(campaign=made)], {made.key: {"ann": effect}}, priced)[0]


def test_whom_a_contact_drives_away_is_left_alone_with_the_reason() -> None:
    decision = decide_one(HARMED)
    assert (decision.outcome, decision.reason) == (Outcome.WITHHELD, Reason.NEGATIVE_UPLIFT)
    assert decision.detail == (
        "the contact lowers the chance of a conversion: the customer converts with probability 0.1 with the contact "
        "and 0.4 without"
    )
    assert decision.exposure is None


def test_a_contact_is_worth_what_it_adds_less_the_offers_of_all_who_convert() -> None:
    priced = {n: Offer(id=n, key=f"offer-{n}", name="An offer", value=100, cost=10) for n in range(1, 9)}
    assert decide_one(HELPED, priced=priced).net_value == pytest.approx(0.3 * 100 - 0.5 * 10)
    unmoved = decide_one(UNMOVED, priced=priced)
    assert unmoved.reason is Reason.NEGATIVE_VALUE
    assert unmoved.net_value == pytest.approx(-0.3 * 10)
    assert "uplift 0 x value 100 - 0.3 x cost 10 of the offer - cost 0 of a contact by email" in unmoved.detail


def test_an_experiment_of_offers_is_worth_their_mean() -> None:
    priced = {
        n: Offer(id=n, key=f"offer-{n}", name="An offer", value=value, cost=cost)
        for n, value, cost in ((1, 100, 0), (3, 50, 20))
    }
    mixed = campaign(offer_policy="experiment")
    assert decide_one(HELPED, mixed, priced).net_value == pytest.approx(0.3 * 75 - 0.5 * 10)


def test_campaigns_compete_by_what_their_contacts_add() -> None:
    both = [campaign(key=key) for key in ("a", "b")]
    effects = {"a": {"ann": (0.9, 0.85)}, "b": {"ann": HELPED}}
    first, second = decide_each([candidate(campaign=each) for each in both], effects)
    assert (first.reason, second.outcome) == (Reason.OUTRANKED, Outcome.FIRED)
    assert first.detail == "b has an expected net value of 0.3, this one 0.05"


@pytest.mark.parametrize("effects", [{}, {"other": {"ann": HARMED}}, {"win-back": {"bob": HARMED}}])
def test_a_campaign_or_customer_that_the_model_does_not_know_is_decided_as_without_it(effects: Any) -> None:
    (decision,) = decide_each([candidate()], effects)
    (without,) = decide_each([candidate()], {})
    assert decision == without
    assert decision.net_value == 0.75


def harmed(made: Campaign, customers: Sequence[str] = CUSTOMERS) -> list[Decision]:
    """Decide about customers whom the contact drives away."""
    candidates = [candidate(customer_id=each, campaign=made) for each in customers]
    return decide_each(candidates, {made.key: dict.fromkeys(customers, HARMED)})


def test_a_share_of_those_left_alone_is_contacted_or_held_out_as_the_others() -> None:
    """Positivity: the next training sees both arms of every kind of customer."""
    decisions = harmed(campaign(uplift_exploration_percent=25, holdout_percent=50))
    explored = [each for each in decisions if each.outcome is not Outcome.WITHHELD]
    assert len(explored) == pytest.approx(100, abs=25)
    assert sum(each.outcome is Outcome.CONTROL for each in explored) == pytest.approx(len(explored) / 2, abs=15)
    assert {each.inputs.exposure_probability for each in explored if each.inputs} == {0.25}
    assert all("although a loss is expected" in each.detail for each in explored)
    withheld = [each for each in decisions if each.outcome is Outcome.WITHHELD]
    assert {each.inputs.exposure_probability for each in withheld if each.inputs} == {None}


@given(st.sampled_from([HELPED, UNMOVED, HARMED]), st.sampled_from(CUSTOMERS))
def test_who_is_exposed_does_not_depend_on_the_control_group(effect: tuple[float, float], customer: str) -> None:
    exposed = set()
    for percent in (0, 50):
        made = campaign(uplift_exploration_percent=30, holdout_percent=percent)
        (decision,) = decide_each([candidate(customer_id=customer, campaign=made)], {made.key: {customer: effect}})
        exposed.add(decision.exposure is not None)
    assert len(exposed) == 1


@given(st.permutations(range(6)), st.integers(1, 6))
def test_batches_and_their_order_make_no_difference(order: list[int], size: int) -> None:
    customers = [CUSTOMERS[place] for place in order]
    made = campaign(uplift_exploration_percent=50)
    together = {each.candidate.customer_id: each for each in harmed(made, CUSTOMERS[:6])}
    for begin in range(0, 6, size):
        for each in harmed(made, customers[begin : begin + size]):
            assert each == together[each.candidate.customer_id]


@pytest.mark.parametrize("effect", [HELPED, HARMED])
@pytest.mark.parametrize("share", [1, 100])
def test_a_decision_is_made_again_from_its_record(effect: tuple[float, float], share: float) -> None:
    made = campaign(uplift_exploration_percent=share)
    decided = candidate(campaign=made, versions={"campaign": made.version, "segment": "f00d"})
    (decision,) = decide_each([decided], {made.key: {"ann": effect}})
    record = record_of(decision)
    assert record.inputs is not None
    stored = msgspec.json.decode(msgspec.json.encode(record.inputs), type=DecisionInputs)
    assert stored == record.inputs
    assert recompute("ann", record, {made.key: made}, offers(), {"at-risk": "f00d"}).differences == ()


def test_explain_says_what_was_expected_of_a_contact_that_was_made() -> None:
    line = describe_decision(DecisionExplanation(record_of(decide_one(HELPED)), None))
    assert "the customer converts with probability 0.5 with the contact and 0.2 without." in line
    assert describe_decision(DecisionExplanation(record_of(decide_one(HARMED)), None)).count("probability") == 1


def test_the_default_share_makes_no_new_version_and_another_does() -> None:
    assert campaign(uplift_exploration_percent=10).version == campaign().version
    assert campaign(uplift_exploration_percent=20).version != campaign().version


@pytest.mark.parametrize("share", [0, 0.5, 101])
def test_a_campaign_cannot_stop_exploring(share: float) -> None:
    with pytest.raises(ValueError, match="uplift_exploration_percent"):
        campaign(uplift_exploration_percent=share)
