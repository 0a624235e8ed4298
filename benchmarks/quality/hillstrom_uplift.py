"""Hillstrom's two e-mails as two campaigns: the task `uplift`, trained on a random half and judged on the other.

The control group is that of both campaigns, so its customers are rows of each. Learned is the visit; what contacting
earns is measured by the spend, of which there is far less: 1 % of the customers bought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.quality.serving import serve
from features.table import FeatureTable
from training.data.dataset import Split, prepare
from training.evaluation.baselines import BaselineRows
from training.evaluation.campaign_uplift import MODEL, select_campaigns
from training.evaluation.evaluation_data import EvaluationData
from training.evaluation.gates import evaluate_gates
from training.evaluation.metrics import evaluate
from training.evaluation.resampling import bootstrap, interval
from training.nets.learning import TrainConfig, learn
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from benchmarks.quality.hillstrom import Customers
    from training.data.dataset import Dataset
    from training.evaluation.campaign_uplift import CampaignRows

CAMPAIGNS = {"mens-email": 1, "womens-email": 2}
"""By campaign, the arm; arm 0 is the control group."""
PER = 1000


def measure_uplift(earlier: Customers, later: Customers) -> dict[str, Any]:
    """Return the figures of both campaigns on the later customers, and the gates."""
    halves = Split(_build_rows(earlier), _build_rows(later), "random halves", overlapping=False, in_time=False)
    task = TASKS["uplift"].fitted(halves.earlier.table, 0)
    learned = learn(halves, task, TrainConfig(), lambda _: None)
    served = serve(learned.trained, halves.later.inputs)
    rows = BaselineRows(
        halves.earlier.inputs, halves.earlier.targets, halves.later.inputs, tuple(halves.earlier.mapping)
    )
    data = EvaluationData(
        task=task,
        outcome=halves.later.targets,
        scores=served.scores,
        baselines=task.fit_baselines(rows),
        interval=None,
        propensities=halves.later.propensities,
        customer_ids=halves.later.table.customer_ids,
        dates=halves.later.dates,
        training_inputs=halves.earlier.inputs,
        training_scores=learned.trained.predict(halves.earlier.inputs),
        later_inputs=halves.later.inputs,
        features=tuple(halves.later.mapping),
        folds=learned.folds,
    )
    metrics = evaluate(data)
    gates = {gate.name: gate for gate in evaluate_gates(data, metrics)}
    spend = halves.later.table.columns["spend"].astype(np.float64)
    selected = {each.campaign: each for each in select_campaigns(data, tuple(CAMPAIGNS))}
    return {
        "method": learned.recipe.describe(),
        "bytes": served.size,
        "export_difference": served.difference,
        "qini_over_boosting": metrics["baselines"]["gradient_boosting"]["difference"],
        "qini_over_response": metrics["baselines"]["response"]["difference"],
        "gate": {"passed": gates["uplift_ranks"].passed, "sentence": gates["uplift_ranks"].sentence},
        "campaigns": {
            each["campaign"]: {name: each[name] for name in ("mean_effect", "qini", "qini_95", "is_served", "withheld")}
            | {"spend_per_1000": _value_policies(selected[each["campaign"]], spend, data.customer_ids)}
            for each in metrics["campaigns"]
        },
    }


def _build_rows(customers: Customers) -> Dataset:
    """Return a row for each customer of a campaign, those of the control group one for both."""
    parts = [(campaign, np.flatnonzero(np.isin(customers.arm, (0, arm)))) for campaign, arm in CAMPAIGNS.items()]
    rows = np.concatenate([chosen for _, chosen in parts])
    names = [f"feature_{place}" for place in range(customers.inputs.shape[1])]
    columns: dict[str, NDArray[Any]] = {
        "campaign": np.repeat([campaign for campaign, _ in parts], [len(chosen) for _, chosen in parts]),
        "contacted": (customers.arm[rows] > 0).astype(np.int64),
        "converted": customers.visit[rows].astype(np.int64),
        "spend": customers.spend[rows],
        **dict(zip(names, customers.inputs[rows].T, strict=True)),
    }
    table = FeatureTable(tuple(str(number) for number in rows), columns)
    return prepare(table, TASKS["uplift"], {name: name for name in names})


def _value_policies(found: CampaignRows, spend: NDArray[np.float64], ids: tuple[str, ...]) -> dict[str, Any]:
    """Return the spend that each policy adds per 1,000 customers against contacting none, with 95 % intervals.

    The two of `half` contact half of the customers: those of the highest uplift, or those likeliest to visit with the
    e-mail, whom a response model puts first.
    """
    uplift, response = found.uplift[MODEL], found.uplift["response"]
    half = len(uplift) // 2
    contacted = {
        "all": np.ones(len(uplift), dtype=np.bool_),
        "uplift above 0": uplift > 0,
        "half by uplift": np.argsort(np.argsort(-uplift, kind="stable")) < half,
        "half by response": np.argsort(np.argsort(-response, kind="stable")) < half,
    }
    amounts = spend[found.rows]

    def value(drawn: NDArray[np.float64]) -> Mapping[str, float]:
        arms = (drawn * found.experiment.treated, drawn * (1 - found.experiment.treated))
        with_contact, without = (arm * amounts / arm.sum() for arm in arms)
        earned = {name: PER * float((with_contact - without)[chosen].sum()) for name, chosen in contacted.items()}
        return earned | {
            "half by uplift - half by response": earned["half by uplift"] - earned["half by response"],
            "uplift above 0 - all": earned["uplift above 0"] - earned["all"],
        }

    once = value(np.ones(len(uplift)))
    drawn = bootstrap(value, [ids[row] for row in found.rows])
    shares = {name: round(float(chosen.mean()), 4) for name, chosen in contacted.items()}
    return {
        name: {"value": round(each, 1), "interval_95": interval(drawn[name]), "contacted": shares.get(name)}
        for name, each in once.items()
    }
