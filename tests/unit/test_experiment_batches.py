"""Batches that are decided while experiments on models run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.candidates import Definitions
from campaigns.triggers import decision_message, outgoing
from features.store import FeatureStore
from models.experiments import Arm, Experiment
from models.trials import Trial, leave_out
from segments.engine import Activation
from streams.decision_config import DecisionConfig
from streams.pipeline import Pipeline
from tests.builders import AS_OF, campaign, offers, segment
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.scorer import InMemoryScorer, build_scorers
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import arrive, body, decode_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.decide import Decision
    from models.registry import Scorers

FACTS = ("days_since_last_transaction", "transaction_count", "total_revenue")
CUSTOMERS = [f"c{number}" for number in range(40)]
LIVE = Experiment("try", "churn", "given", "churn-2", 0.5, AS_OF.isoformat(), "ann")
ARMS = dict(zip(CUSTOMERS, LIVE.assign(CUSTOMERS).tolist(), strict=True))


def scorer(version: str, score: float, outputs: int = 1) -> InMemoryScorer:
    """Return a scorer that scores every customer alike."""
    made = InMemoryScorer({each: [score] * outputs for each in CUSTOMERS}, outputs)
    made.version = version
    return made


def trying(experiment: Experiment, challenger: InMemoryScorer | None) -> Scorers:
    """Return scorers with an experiment in force."""
    usual = build_scorers(scorer("given", 0.75), scorer("given", 0.3, 8), scorer("given", 100.0))
    return replace(usual, trials={experiment.model: Trial(experiment, challenger)})


CHALLENGED = trying(LIVE, scorer("churn-2", 0.5))


async def open_pipeline(scorers: Scorers, ledger: InMemoryLedger) -> tuple[Pipeline, dict[int, int]]:
    everybody = segment()
    activations = {everybody.key: Activation(everybody.version, AS_OF, "emit")}
    made = [campaign(offers=(2, 3))]
    definitions = Definitions(made, offers(), scorers.versions, {everybody.key: everybody.version})
    kinds: Any = {"email_consent": "boolean", **dict.fromkeys(FACTS, "number")}
    row = {"email_consent": True, **dict.fromkeys(FACTS, 5.0)}
    warehouse = InMemoryWarehouse(kinds, dict.fromkeys(CUSTOMERS, row))
    await ledger.activate([everybody], [], at=AS_OF)
    features = FeatureStore(warehouse, InMemoryFeatureCache(), generation=1)
    config = DecisionConfig(scorers, [everybody], activations, definitions)
    return Pipeline(features, ledger, config, decode=decode_batch), {1: await ledger.claim(1)}


async def decide(
    scorers: Scorers, customers: Sequence[str] = CUSTOMERS, ledger: InMemoryLedger | None = None
) -> dict[str, Decision]:
    """Decide one batch, and return the decision about each customer."""
    pipeline, owners = await open_pipeline(scorers, ledger or InMemoryLedger())
    records = [arrive(body(id=f"event-{each}", customer_id=each)) for each in customers]
    decided = await pipeline.decide(await pipeline.prepare(records), owners)
    return {each.candidate.customer_id: each for each in decided.changes.decisions}


async def test_each_arm_is_scored_by_its_version_and_every_record_names_it() -> None:
    decisions = await decide(CHALLENGED)
    assert decisions.keys() == set(CUSTOMERS)
    for customer, each in decisions.items():
        challenged = ARMS[customer]
        assert each.facts["churn_probability"] == (0.5 if challenged else 0.75)
        assert each.candidate.versions["churn"] == ("churn-2" if challenged else "given")
        assert each.candidate.versions["ltv"] == "given"
        assert each.inputs is not None
        (recorded,) = each.inputs.experiments
        assert (recorded.experiment, recorded.model, recorded.arm) == (
            "try",
            "churn",
            Arm.CHALLENGER if challenged else Arm.CHAMPION,
        )
        trigger, record = outgoing([each])
        assert (b'"churn":"churn-2"' in (trigger.value or b"")) is challenged
        assert b'"experiments":[{"experiment":"try"' in (record.value or b"")


async def test_it_does_not_matter_which_customers_share_a_batch() -> None:
    together = await decide(CHALLENGED)
    alone = {each: (await decide(CHALLENGED, [each]))[each] for each in CUSTOMERS[:8]}
    assert {each: alone[each] for each in alone} == {each: together[each] for each in alone}


async def test_a_redelivery_keeps_arm_version_and_first_reach_whatever_runs_by_then() -> None:
    """The decision of the first time stands, also where the experiment has ended or another one has begun."""
    ledger = InMemoryLedger()
    first = await decide(CHALLENGED, ledger=ledger)
    again = await decide(trying(replace(LIVE, key="next"), scorer("churn-2", 0.5)), ledger=ledger)
    assert again == {}
    stored = {each: found for each, customer in ledger.customers.items() for found in customer.decisions.values()}
    assert stored == first
    assert {key for key, _ in ledger.reached} == {"try", "next"}


async def test_everybody_evaluated_is_reached_once() -> None:
    """Whether a customer is contacted depends on the arm; whether they are evaluated does not."""
    ledger = InMemoryLedger()
    await decide(CHALLENGED, CUSTOMERS[:3], ledger)
    await decide(CHALLENGED, CUSTOMERS, ledger)
    assert {customer: each.arm == "challenger" for (_, customer), each in ledger.reached.items()} == ARMS


async def test_a_challenger_that_cannot_be_used_leaves_the_arm_and_takes_the_champion() -> None:
    decisions = await decide(trying(LIVE, None))
    assert {each.candidate.versions["churn"] for each in decisions.values()} == {"given"}
    assert {each.facts["churn_probability"] for each in decisions.values()} == {0.75}
    arms = {customer: each.inputs.experiments[0].arm for customer, each in decisions.items() if each.inputs}
    assert {customer: arm == "challenger" for customer, arm in arms.items()} == ARMS


async def test_a_stopped_experiment_leaves_no_trace_in_later_decisions() -> None:
    stopped = await decide(leave_out(CHALLENGED, {"try"}))
    assert stopped == await decide(replace(CHALLENGED, trials={}))
    assert b"experiments" not in (decision_message(stopped["c0"]).value or b"")


@pytest.mark.parametrize("model", ["churn", "ltv", "nbo"])
async def test_a_shadow_is_recorded_and_changes_nothing(model: str) -> None:
    ledger, alone = InMemoryLedger(), InMemoryLedger()
    shadow = replace(LIVE, model=model, share=0.0)
    challenger = scorer("v-2", 0.9, 8 if model == "nbo" else 1)
    decisions = await decide(trying(shadow, challenger), ledger=ledger)
    without = await decide(replace(CHALLENGED, trials={}), ledger=alone)
    said = {}
    for customer, each in decisions.items():
        assert each.inputs is not None
        (recorded,) = each.inputs.experiments
        assert (recorded.arm, recorded.challenger) == ("champion", "churn-2")
        said = dict(recorded.shadow)
        plain = without[customer]
        assert (each.facts, each.candidate, each.offer) == (plain.facts, plain.candidate, plain.offer)
    expected = {
        "churn": {
            "churn_probability": 0.9,
            "churn_risk": "high",
            "churn_risk_level": "critical",
            "decision_basis": "model",
        },
        "ltv": {
            "predicted_ltv": 0.9,
            "predicted_ltv_low": None,
            "predicted_ltv_high": None,
            "value_segment": "low",
        },
        "nbo": {"2": 0.9, "3": 0.9},
    }
    assert expected[model].items() <= said.items()
    reached = ledger.reached["try", "c0"]
    scores = {"churn": (0.75, 0.9), "ltv": (100.0, 0.9), "nbo": (0.3, 0.9)}
    assert reached.scores == pytest.approx(scores[model], abs=1e-6)
    assert reached.answers[1] == {"churn": "high", "ltv": "low", "nbo": "2"}[model]


async def test_offers_are_chosen_by_the_version_of_the_arm() -> None:
    """The propensity stays that of the policy: the arm is given, the draw is not."""
    by_offer = InMemoryScorer({each: [0.0, 0.1, 0.9, 0, 0, 0, 0, 0] for each in CUSTOMERS}, 8)
    by_offer.version = "nbo-2"
    decisions = await decide(trying(replace(LIVE, model="nbo"), by_offer))
    for customer, each in decisions.items():
        assert each.offer is not None
        assert each.offer.offer.id == (3 if ARMS[customer] else 2)
        assert each.candidate.versions["nbo"] == ("nbo-2" if ARMS[customer] else "given")
        assert each.propensity == 1.0
