"""Candidates, and the decisions about a whole batch."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs

from campaigns.candidates import (
    Definitions,
    LaunchRequest,
    TriggerContext,
    decide_all,
    launch_candidates,
    transition_candidates,
)
from campaigns.consent import ConsentTimes
from campaigns.contact_limits import ContactLimit
from campaigns.decide import ContactHistory, Outcome
from campaigns.definition import load_definitions
from campaigns.guardrails import Reason
from features.table import FeatureTable
from models.facts import SCORE_FACTS
from tests.builders import AS_OF, campaign, candidate, facts, offers, scores, transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.definition import Campaign

VIP = campaign(key="vip", launch="by_operator")
DEFINITIONS = Definitions([campaign(), VIP], offers(), {"churn": "rules"}, {"at-risk": "f00d"})
OCCURRENCES = {name: TriggerContext(f"event of {name}", AS_OF, 7, 2) for name in ("ann", "bob")}


class Scorer:
    """Scores every row alike and remembers whom it was asked about."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    def __call__(self, table: FeatureTable) -> tuple[Any, Any]:
        """Return scores that favour offer 3."""
        self.asked.append(table.customer_ids)
        return np.tile(scores(3), (len(table), 1)), np.full(len(table), "mock", dtype=object)


def table(*customers: str) -> FeatureTable:
    rows = [list(facts().values()) for _ in customers]
    return FeatureTable.from_rows(customers, list(facts()), rows)


def test_whoever_enters_is_a_candidate_of_each_campaign_that_waits() -> None:
    """A campaign that the operator launches does not wait."""
    (found,) = transition_candidates([transition(episode=4)], OCCURRENCES, DEFINITIONS)
    assert (found.customer_id, found.campaign.key, found.occasion) == ("ann", "win-back", "4")
    assert (found.event_id, found.as_of, found.received_ms, found.partition) == ("event of ann", AS_OF, 7, 2)
    assert found.withheld is None


def test_whoever_leaves_is_no_candidate() -> None:
    assert transition_candidates([transition(entered=False)], OCCURRENCES, DEFINITIONS) == []


def test_whoever_enters_a_segment_without_campaigns_is_no_candidate() -> None:
    elsewhere = structs.replace(transition(), segment="elsewhere")
    assert transition_candidates([elsewhere], OCCURRENCES, DEFINITIONS) == []


def test_two_campaigns_may_wait_for_one_segment() -> None:
    both = replace(DEFINITIONS, campaigns=[campaign(), campaign(key="second")])
    found = transition_candidates([transition(), transition("bob")], OCCURRENCES, both)
    assert [(each.customer_id, each.campaign.key) for each in found] == [
        ("ann", "win-back"),
        ("ann", "second"),
        ("bob", "win-back"),
        ("bob", "second"),
    ]


def test_a_silent_entry_is_a_candidate_that_is_withheld() -> None:
    """So the decision says why nothing fired."""
    (found,) = transition_candidates([transition(suppressed=True)], OCCURRENCES, DEFINITIONS)
    assert found.withheld is Reason.FIRST_EVALUATION


def test_a_candidate_names_the_versions_of_models_campaign_and_segment() -> None:
    (found,) = transition_candidates([transition()], OCCURRENCES, DEFINITIONS)
    assert found.versions == {"churn": "rules", "campaign": campaign().version, "segment": "f00d"}


def test_a_candidate_names_the_facts_that_rules_guardrails_message_and_models_read() -> None:
    greeting = campaign(message="Dear {{ first_name }}, {{ offer.name }}", channels=("email",))
    definitions = replace(
        DEFINITIONS,
        campaigns=[greeting],
        segment_facts={"at-risk": {"days_since_last_transaction"}, "other": {"birth_date"}},
        model_facts={"total_revenue"},
    )
    (found,) = transition_candidates([transition()], OCCURRENCES, definitions)
    own = {"days_since_last_transaction", "first_name", "total_revenue"}
    assert set(found.facts_read) - SCORE_FACTS == own | {
        "email_consent",
        "email_consent_at",
        "preferred_channel",
        "stale",
    }


@pytest.mark.parametrize("contacting", load_definitions(None).campaigns, ids=lambda each: each.key)
def test_a_decision_records_every_fact_that_the_rules_of_its_segment_read(contacting: Campaign) -> None:
    """So that they can be explained by what is recorded."""
    shipped = load_definitions(None)
    segment_facts = {each.key: each.facts for each in shipped.segments}
    versions = {each.key: each.version for each in shipped.segments}
    definitions = Definitions(shipped.campaigns, shipped.offers, {}, versions, segment_facts)
    assert set(definitions.facts_read_for(contacting)) >= segment_facts[contacting.segment] | contacting.message_facts


def test_a_decision_records_no_fact_that_it_does_not_read() -> None:
    """Not for another campaign's sake, either: the warehouse's other columns stay where they are."""
    columns = {**facts(), "email": "ann@private.example", "birth_date": "1971-02-03", "first_name": "Ann"}
    view = FeatureTable.from_rows(["ann"], list(columns), [list(columns.values())])
    named = candidate(campaign=campaign(key="named"), facts_read=("first_name", "email_consent"))
    decisions = decide_all([candidate(), named], view, {}, offers(), Scorer())
    assert decisions[0].facts == facts(offer_basis="mock")
    assert decisions[1].facts == {"email_consent": True, "first_name": "Ann", "offer_basis": "mock"}


def test_a_launch_is_another_occasion_than_any_episode() -> None:
    request = LaunchRequest("ann", VIP, "launch 7", OCCURRENCES["ann"], is_due=True)
    (found,) = launch_candidates([request], DEFINITIONS)
    assert (found.occasion, found.withheld) == ("launch 7", None)


def test_a_launch_that_reaches_a_former_member_is_withheld() -> None:
    request = LaunchRequest("ann", VIP, "launch 7", OCCURRENCES["ann"], is_due=False)
    (found,) = launch_candidates([request], DEFINITIONS)
    assert found.withheld is Reason.NOT_A_MEMBER


def test_a_request_for_the_very_opportunity_lifts_the_silence_of_a_first_evaluation() -> None:
    """Whichever of the two comes first; of a customer who is no member nothing is lifted."""
    silent = candidate(withheld=Reason.FIRST_EVALUATION)
    for both in ([silent, candidate()], [candidate(), silent]):
        (decided,) = decide_all(both, table("ann"), {}, offers(), Scorer())
        assert decided.outcome is Outcome.FIRED
    (decided,) = decide_all([silent, candidate(withheld=Reason.NOT_A_MEMBER)], table("ann"), {}, offers(), Scorer())
    assert decided.reason is Reason.FIRST_EVALUATION


def test_without_candidates_no_offer_is_scored() -> None:
    scorer = Scorer()
    assert decide_all([], table("ann"), {}, offers(), scorer) == []
    assert scorer.asked == []


def test_offers_are_scored_once_and_for_candidates_alone() -> None:
    scorer = Scorer()
    chosen = [candidate(customer_id="cy"), candidate(customer_id="ann")]
    decisions = decide_all(chosen, table("ann", "bob", "cy"), {}, offers(), scorer)
    assert scorer.asked == [("cy", "ann")]
    assert [each.candidate.customer_id for each in decisions] == ["cy", "ann"]
    assert decisions[0].facts["offer_basis"] == "mock"


def test_a_contact_earlier_in_the_batch_counts_against_the_cooldown() -> None:
    cooling = campaign(cooldown_days=1)
    later = candidate(campaign=cooling, occasion="2", event_id="event-2", as_of=AS_OF + timedelta(hours=1))
    chosen = [candidate(campaign=cooling), later]
    decisions = decide_all(chosen, table("ann"), {}, offers(), Scorer())
    assert [each.reason for each in decisions] == [Reason.ENTERED_SEGMENT, Reason.COOLDOWN]


def test_events_of_a_customer_are_decided_in_the_order_of_their_times() -> None:
    """An entry and a launch at one event, and a launch at an earlier one, which the batch lists last."""
    limits = [ContactLimit(key="daily", contacts=1, days=1)]
    entry = candidate(campaign=campaign(limits=limits), event_id="late", as_of=AS_OF + timedelta(hours=1))
    launch = candidate(campaign=campaign(key="vip", limits=limits), event_id="early")
    decisions = decide_all([entry, launch], table("ann"), {}, offers(), Scorer())
    assert [each.reason for each in decisions] == [Reason.CONTACT_LIMIT, Reason.ENTERED_SEGMENT]


def test_an_opportunity_that_comes_twice_in_a_batch_is_decided_once() -> None:
    """By its first event: the ledger keeps that one, and what is published must be the same."""
    again = candidate(event_id="event-2", as_of=AS_OF + timedelta(hours=1))
    older = candidate(event_id="event-3", as_of=AS_OF - timedelta(hours=1))
    decisions = decide_all([candidate(), again, older], table("ann"), {}, offers(), Scorer())
    assert [(each.candidate.event_id, each.outcome) for each in decisions] == [("event-1", Outcome.FIRED)]


def test_a_control_exposure_starts_the_cooldown_that_a_contact_would() -> None:
    """Or held-out customers would be exposed more often, and the arms could not be compared."""
    cooling = campaign(cooldown_days=1, holdout_percent=50)
    chosen = [candidate(campaign=cooling), candidate(campaign=cooling, occasion="2", event_id="event-2")]
    decisions = decide_all(chosen, table("ann"), {}, offers(), Scorer())
    assert [each.reason for each in decisions] == [Reason.HOLDOUT, Reason.COOLDOWN]


def test_a_withheld_decision_starts_no_cooldown() -> None:
    cooling = campaign(cooldown_days=1)
    chosen = [candidate(campaign=cooling, withheld=Reason.NOT_A_MEMBER), candidate(campaign=cooling, occasion="2")]
    decisions = decide_all(chosen, table("ann"), {}, offers(), Scorer())
    assert [each.outcome for each in decisions] == [Outcome.WITHHELD, Outcome.FIRED]


def test_a_contact_in_the_batch_leaves_the_histories_of_the_ledger_unchanged() -> None:
    revoked = {"email": ConsentTimes(None, AS_OF)}
    contact_histories = {"ann": ContactHistory(revoked, {"other": AS_OF})}
    decisions = decide_all([candidate()], table("ann"), contact_histories, offers(), Scorer())
    assert decisions[0].channel == "sms"
    assert contact_histories == {"ann": ContactHistory(revoked, {"other": AS_OF})}
