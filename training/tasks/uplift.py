"""Uplift: what the contact of a campaign adds to the probability that a customer converts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.targets import read_truths
from training.errors import NoExposuresError, TrainingDataError
from training.evaluation.gates import check_calibration, check_uplift
from training.task import Purpose, Task, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from training.data.dataset import Split
    from training.evaluation.baselines import BaselineRows
    from training.evaluation.evaluation_data import EvaluationData
    from training.evaluation.gates import Gate
    from training.evaluation.thresholds import Costs, GateThresholds
    from training.report.sections import Cases, Section

EVENTS_AT_LEAST = 30
"""Rows of either outcome that a campaign needs in each of its arms."""


class Uplift(Task):
    """The task `uplift`: for each campaign two probabilities to convert, with its contact and without.

    One net with two heads for each campaign, of which every row trains the one of its arm (a T-learner, Kuenzel et al.
    2019, "Metalearners for estimating heterogeneous treatment effects"; what the heads of an ensemble share is learned
    from both arms, as in Shalit, Johansson and Sontag 2017, "Estimating individual treatment effect").

    Args:
        campaigns: their keys, in the order of the heads; None where the rows decide.
    """

    name = "uplift"
    title = "Uplift"
    summary = "Train what the contact of each campaign adds to the probability of a conversion, from the ledger."
    predicts = (
        "For each customer and each campaign, the probability to convert{window} with its contact, and without it."
    )
    query = ""
    variable = "DWH_UPLIFT_TRAINING_QUERY"
    label = "converted"
    window_days = 0
    reads_exposures = True
    words = Words("converted", "did not convert", "exposures", "conversion rate")
    purpose = Purpose(
        (
            "Choosing whom a campaign contacts: those whom its contact moves.",
            "Leaving those alone whom a contact would drive away.",
        ),
        (
            "Campaigns that are not among its heads, or contacts with other content.",
            "Customers unlike those whom the campaign was allowed to contact.",
        ),
    )

    def __init__(self, campaigns: tuple[str, ...] | None = None) -> None:
        self.campaigns = campaigns
        self.outputs = 2 * len(campaigns or ())

    def fitted(self, table: FeatureTable, outputs: int) -> Task:
        """Return the task for the campaigns of the rows."""
        _ = outputs
        return Uplift(self.campaigns or find_campaigns(table))

    def restored(self, manifest: Mapping[str, Any]) -> Task:
        """Return the task for the campaigns of a version."""
        return Uplift(tuple(manifest["heads"]))

    def targets(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return whether each row converted, shape [rows, 2 x campaigns], at the head of its campaign and arm."""
        campaigns = self.campaigns or find_campaigns(table)
        of, contacted, converted = _read_rows(table)
        targets = np.full((len(table), 2 * len(campaigns)), -1, dtype=np.float32)
        for place, campaign in enumerate(campaigns):
            rows = np.flatnonzero(of == campaign)
            targets[rows, 2 * place + np.where(contacted[rows], 0, 1)] = converted[rows]
        return targets

    def fit_baselines(self, rows: BaselineRows) -> dict[str, NDArray[np.float32]]:
        """Return T-learners: constants, logistic regressions and boosting, one for each head."""
        from training.evaluation.baselines import probability_baselines

        return probability_baselines(rows)

    def measure(self, data: EvaluationData, costs: Costs, thresholds: GateThresholds) -> dict[str, Any]:
        """Return metrics of the probabilities, and the uplift of each campaign."""
        from training.evaluation.campaign_uplift import measure_campaigns
        from training.evaluation.metrics import measure_probabilities

        _ = costs, thresholds
        metrics = measure_probabilities(data)
        if "model" not in metrics:
            return metrics
        found = measure_campaigns(data, self.campaigns or ())
        baselines = {name: metrics["baselines"].get(name, {}) | each for name, each in found["baselines"].items()}
        return metrics | {
            "model": metrics["model"] | {"qini": found["qini"], "qini_95": found["qini_95"]},
            "baselines": baselines,
            "campaigns": found["campaigns"],
        }

    def evaluate_gates(self, metrics: Mapping[str, Any], thresholds: GateThresholds) -> list[Gate]:
        """Require that some campaign's order by uplift is better than random, and calibration."""
        return [check_uplift(metrics), check_calibration(metrics, thresholds)]

    def build_sections(self, manifest: Mapping[str, Any], data: EvaluationData, cases: Cases) -> tuple[Section, ...]:
        """Show whom contact helps in each campaign, ranking and calibration."""
        from training.report import classification_sections as sections

        _ = data
        measured = (manifest.get("metrics") or {}).get("campaigns", ())
        return (*sections.campaign_uplift(measured), sections.ranking(cases), sections.probabilities(cases))

    def describe_limits(self, rows: Split) -> list[str]:
        """Say which campaigns of the rows have no head, and what an uplift is conditional on."""
        known = set(self.campaigns or ())
        others = sorted(set(_read_rows(rows.earlier.table)[0].tolist()) - known)
        limits = ["An uplift is that of the contacts made then: it says nothing of other messages, offers or channels."]
        if others:
            limits.append(f"Too few rows in an arm, so valued without uplift: {', '.join(others)}.")
        return limits

    def explain_incomparable(self, manifest: Mapping[str, Any]) -> str:
        """Return that a version has heads for other campaigns; empty where they are the same."""
        heads = manifest.get("heads", [])
        return "" if tuple(heads) == self.campaigns else f"its campaigns are {', '.join(heads)}"

    def extend_manifest(self, data: EvaluationData, window_days: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return the campaigns of the heads, and the places of those that serve."""
        _ = data, window_days
        heads = list(self.campaigns or ())
        # Where none passes, the gate refuses the version: it can only serve by force, and then serves all.
        served = [each["campaign"] for each in metrics.get("campaigns", ()) if each["is_served"]] or heads
        return {"heads": heads, "campaigns": {key: heads.index(key) for key in served}}


def find_campaigns(table: FeatureTable) -> tuple[str, ...]:
    """Return the campaigns with enough rows of either outcome in each arm, in the order of their keys.

    Raises:
        NoExposuresError: there is none.
    """
    of, contacted, converted = _read_rows(table)
    keys = [
        str(key)
        for key in np.unique(of)
        if all(
            np.sum((of == key) & (contacted == arm) & (converted == outcome)) >= EVENTS_AT_LEAST
            for arm in (True, False)
            for outcome in (0, 1)
        )
    ]
    if not keys:
        raise NoExposuresError(
            f"no campaign has {EVENTS_AT_LEAST} customers who converted and {EVENTS_AT_LEAST} who did not in each arm; "
            "wait for more exposures, hold out more customers, and report the conversions of both arms"
        )
    return tuple(keys)


def _read_rows(table: FeatureTable) -> tuple[NDArray[np.str_], NDArray[np.bool_], NDArray[Any]]:
    """Return campaign, whether contacted, and whether converted, of each row."""
    if "campaign" not in table.columns:
        raise TrainingDataError("the rows of uplift have no column 'campaign'; let the query return the campaign's key")
    contacted = read_truths(table, "contacted")
    if (contacted < 0).any():
        raise TrainingDataError("column 'contacted' is null in some rows; leave out rows of which the arm is not known")
    return table.columns["campaign"].astype(np.str_), contacted == 1, read_truths(table, "converted")
