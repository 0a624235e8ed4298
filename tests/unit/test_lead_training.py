"""The task of leads in training: its baselines and gates, its report, and what it adds to a manifest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.intelligence.leads import draw_leads
from models.leads import FEATURES
from tests.evidence import churn
from training.evaluation.baselines import BaselineRows
from training.evaluation.gates import evaluate_gates
from training.evaluation.metrics import evaluate
from training.report.sections import Cases
from training.tasks.leads import POINTS, Leads

if TYPE_CHECKING:
    from training.evaluation.evaluation_data import EvaluationData

TASK = Leads()


@pytest.fixture(scope="module")
def run() -> EvaluationData:
    """A run on drawn leads, of which the model knows the true chance but for some noise."""
    features, converted = draw_leads(4000, 3)
    inputs = np.stack([features[name] for name in FEATURES], axis=1).astype(np.float32)
    outcome = converted[:, None].astype(np.float32)
    rows = BaselineRows(inputs[:2000], outcome[:2000], inputs[2000:], FEATURES)
    baselines = TASK.fit_baselines(rows)
    return replace(
        churn(),
        task=TASK,
        outcome=outcome[2000:],
        scores=baselines["gradient_boosting"],
        baselines={POINTS: baselines[POINTS], "logistic_regression": baselines["logistic_regression"]},
        customer_ids=tuple(map(str, range(2000))),
        dates=np.full(2000, "2011-06-01", dtype="datetime64[D]"),
        propensities=np.full(2000, np.nan),
        training_inputs=inputs[:2000],
        training_scores=baselines["gradient_boosting"],
        later_inputs=inputs[2000:],
        features=FEATURES,
        folds={"2011-05-01": 0.75, "2011-05-11": 0.76},
    )


def test_a_model_must_beat_the_points_beyond_the_noise(run: EvaluationData) -> None:
    """With the probabilities of a logistic regression on the points; the points themselves do not beat them."""
    assert run.baselines[POINTS].mean() == pytest.approx(run.outcome.mean(), abs=0.03)
    for scored, passes in ((run, True), (replace(run, scores=run.baselines[POINTS]), False)):
        gates = {each.name: each for each in evaluate_gates(scored, evaluate(scored))}
        assert gates[f"beats_{POINTS}"].passed is passes, gates[f"beats_{POINTS}"].sentence
    assert {"calibrated", "not_worse_than_logistic_regression", "enough_data"} <= gates.keys()


def test_its_report_ranks_and_its_manifest_has_the_scores(run: EvaluationData) -> None:
    cases = Cases(run.outcome[:, 0], {"model": run.scores[:, 0]}, run.customer_ids, TASK.words)
    sections = TASK.build_sections({"metrics": evaluate(run)}, run, cases)
    assert len(sections) == 2
    found = TASK.extend_manifest(run, 0, {})["lead_scores"]
    assert len(found["scores"]) == len(found["probabilities"]) > 100
    assert found["probabilities"] == sorted(found["probabilities"])
