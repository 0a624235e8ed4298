"""The task `uplift`: its targets, what it measures of each campaign, its gate, and what serves of a version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from features.table import FeatureTable
from models.fallbacks import ModelFallbacks
from models.registry import Scorers, keep_models, load_scorers
from models.rfm import RfmCuts
from models.scores import score_contacts
from models.tasks.registry import TASKS as SERVED
from tests.evidence import evidence
from tests.fakes.scorer import InMemoryScorer
from training.errors import NoExposuresError, TrainingDataError
from training.evaluation.campaign_uplift import measure_campaigns
from training.evaluation.gates import check_uplift, evaluate_gates
from training.evaluation.metrics import evaluate
from training.evaluation.uplift import Experiment, mean_effect
from training.tasks.registry import TASKS
from training.tasks.uplift import Uplift

if TYPE_CHECKING:
    from pathlib import Path

    from training.evaluation.evaluation_data import EvaluationData

ROWS = 3000
KEYS = ("make-good", "win-back")


def exposures(**changes: Any) -> FeatureTable:
    """40 rows of each campaign, arm and outcome."""
    cells = [(key, arm, outcome) for key in KEYS for arm in (True, False) for outcome in (0, 1) for _ in range(40)]
    columns = dict(zip(("campaign", "contacted", "converted"), map(np.array, zip(*cells, strict=True)), strict=True))
    return FeatureTable(tuple(str(number) for number in range(len(cells))), {**columns, **changes})


def test_each_row_is_observed_at_the_head_of_its_campaign_and_arm() -> None:
    table = exposures()
    targets = TASKS["uplift"].targets(table)
    assert targets.shape == (len(table), 4)
    assert (targets >= 0).sum(axis=1).tolist() == [1] * len(table)
    # make-good with contact and without, win-back with contact and without.
    assert (targets >= 0).sum(axis=0).tolist() == [80] * 4
    assert (targets == 1).sum(axis=0).tolist() == [40] * 4


def test_a_campaign_with_few_rows_in_an_arm_has_no_head_and_is_named() -> None:
    table = exposures()
    few = table.take(np.flatnonzero((table.columns["campaign"] == "win-back") | (np.arange(len(table)) % 4 == 0)))
    task = TASKS["uplift"].fitted(few, 2)
    assert task.outputs == 2
    assert (task.targets(few) >= 0).any(axis=1).sum() == 160
    with pytest.raises(NoExposuresError, match="no campaign has 30 customers who converted and 30 who did not"):
        TASKS["uplift"].targets(few.take(np.arange(40)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"contacted": np.full(320, None)}, "column 'contacted' is null in some rows"),
        ({"campaign": None}, "have no column 'campaign'"),
    ],
)
def test_rows_without_arm_or_campaign_are_refused_in_words(changes: dict[str, Any], says: str) -> None:
    table = exposures()
    columns = {name: cells for name, cells in {**table.columns, **changes}.items() if cells is not None}
    with pytest.raises(TrainingDataError, match=says):
        TASKS["uplift"].targets(FeatureTable(table.customer_ids, columns))


def trial(effects: tuple[float, ...], *, knows: bool = True, seed: int = 1, explored: float = 1.0) -> EvaluationData:
    """A campaign for each effect: half of its customers gain it, the other half lose it, a quarter is held out.

    `knows`: whether the model's uplift is the true one, or noise. `explored`: the share of those who lose, who were
    exposed at all.
    """
    generator = np.random.default_rng(seed)
    keys = tuple(f"campaign-{number}" for number in range(len(effects)))
    outcome = np.full((ROWS * len(keys), 2 * len(keys)), -1.0, dtype=np.float32)
    scores = np.full(outcome.shape, 0.3, dtype=np.float32)
    gains = generator.random(len(outcome)) < 0.5
    treated = generator.random(len(outcome)) < 0.75
    for place, effect in enumerate(effects):
        rows = np.arange(place * ROWS, (place + 1) * ROWS)
        moved = np.where(gains[rows], effect, -effect)
        chance = 0.3 + moved * treated[rows]
        outcome[rows, 2 * place + np.where(treated[rows], 0, 1)] = generator.random(ROWS) < chance
        scores[rows, 2 * place] += moved if knows else generator.normal(0, 0.05, ROWS)
    kept = gains | (generator.random(len(outcome)) < explored)
    propensities = np.where(treated, 0.75, 0.25) * np.where(gains, 1, explored)
    made = evidence("churn", outcome[kept], scores[kept], propensities=propensities[kept], baselines={})
    return replace(made, task=Uplift(keys))


def test_a_campaign_whose_order_is_right_is_served_and_one_without_an_effect_is_not() -> None:
    data = trial((0.15, 0.0))
    first, second = measure_campaigns(data, ("campaign-0", "campaign-1"))["campaigns"]
    assert first["is_served"]
    assert not second["is_served"]
    assert first["withheld"]["effect"] == pytest.approx(-0.15, abs=0.06)
    gate = check_uplift(evaluate(data))
    assert (gate.passed, gate.figure) == (True, first["qini_95"][0])
    assert "campaign-1: Qini" in gate.sentence
    assert "so not served" in gate.sentence


def test_the_gate_refuses_where_every_interval_contains_zero() -> None:
    gate = check_uplift(evaluate(trial((0.0,), knows=False)))
    assert (gate.passed, gate.verdict) == (False, "refused")
    assert gate.figure is not None
    assert gate.figure <= 0


def test_a_model_that_would_leave_alone_whom_contact_helps_is_not_served() -> None:
    """All of its uplifts are too low."""
    data = trial((0.15,))
    gains = data.scores[:, 0] > data.scores[:, 1]
    kept = replace(
        data,
        outcome=data.outcome[gains],
        scores=(data.scores - [0.2, 0])[gains].astype(np.float32),
        propensities=data.propensities[gains],
        customer_ids=data.customer_ids[: gains.sum()],
    )
    (found,) = measure_campaigns(kept, ("campaign-0",))["campaigns"]
    assert found["withheld"]["customers"] == gains.sum()
    assert found["withheld"]["effect_95"][0] > 0
    assert not found["is_served"]


def test_customers_contacted_to_explore_stand_for_those_who_were_not() -> None:
    """Weighted by 1 / propensity, the mean effect is that of all customers, not of those who were exposed."""
    data = trial((0.15,), explored=0.2)
    treated = data.outcome[:, 0] >= 0
    experiment = Experiment.of(treated, data.outcome.max(axis=1))
    assert mean_effect(experiment, np.ones(len(treated))) > 0.06
    (found,) = measure_campaigns(data, ("campaign-0",))["campaigns"]
    assert found["mean_effect"] == pytest.approx(0, abs=0.05)


def test_a_version_serves_the_campaigns_that_passed_and_all_of_them_by_force() -> None:
    data = trial((0.15, 0.0))
    task = data.task
    metrics = evaluate(data)
    assert task.extend_manifest(data, 30, metrics) == {
        "heads": ["campaign-0", "campaign-1"],
        "campaigns": {"campaign-0": 0},
    }
    refused = {"campaigns": [each | {"is_served": False} for each in metrics["campaigns"]]}
    assert task.extend_manifest(data, 30, refused)["campaigns"] == {"campaign-0": 0, "campaign-1": 1}


def test_a_champion_of_other_campaigns_is_not_compared() -> None:
    task = TASKS["uplift"].restored({"heads": ["a", "b"]})
    assert task.explain_incomparable({"heads": ["a", "b"]}) == ""
    assert task.explain_incomparable({"heads": ["b"]}) == "its campaigns are b"


def test_every_gate_of_a_sound_run_passes() -> None:
    data = trial((0.15,))
    gates = {gate.name: gate for gate in evaluate_gates(data, evaluate(data))}
    assert [name for name, gate in gates.items() if gate.passed is False] == []
    assert gates["uplift_ranks"].passed


CUSTOMERS = FeatureTable(("ann", "bob"), {"total_revenue": np.array([1.0, 2.0])})


class Valued(InMemoryScorer):
    """A model with heads for two campaigns, of which the second passed the gate."""

    manifest: ClassVar = {"campaigns": {"win-back": 1}}


def test_campaigns_that_passed_have_their_pair_of_scores() -> None:
    model = Valued({"ann": [0, 0, 0.5, 0.2], "bob": [np.nan] * 4}, 4)
    fallbacks = ModelFallbacks()
    found = score_contacts(CUSTOMERS, Scorers({"uplift": model}, RfmCuts()), fallbacks)
    assert list(found) == ["win-back"]
    np.testing.assert_allclose(found["win-back"], [[0.5, 0.2], [np.nan, np.nan]])
    assert fallbacks.counts == {("uplift", "not_finite"): 1}


def test_without_a_model_nothing_stands_in_for_it_and_no_decision_names_one(tmp_path: Path) -> None:
    for mock in (True, False):
        scorers = load_scorers(tmp_path, {"revenue": "total_revenue"}, mock=mock)
        assert "uplift" not in scorers.versions
        assert score_contacts(CUSTOMERS, scorers) == {}


def test_a_model_that_serves_stays_when_the_next_one_is_refused(tmp_path: Path) -> None:
    serving = Scorers({"uplift": Valued({}, 4)}, RfmCuts())
    (tmp_path / "uplift").mkdir()
    (tmp_path / "uplift" / "current").write_text("gone")
    found = load_scorers(tmp_path, {"revenue": "total_revenue"})
    assert found.refused["uplift"].endswith("; no model serves")
    kept = keep_models(serving, found)
    assert kept["uplift"] is serving["uplift"]
    assert kept.refused["uplift"].endswith("; given serves")


def test_the_number_of_heads_is_even() -> None:
    task = SERVED["uplift"]
    assert 3 not in task.outputs(8)
    assert "it needs two for each campaign" in task.explain_outputs(3, 8)
