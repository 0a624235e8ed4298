"""The trained model of leads: a probability, the score that it stands for, and its reasons.

A probability is not a score: where one lead of ten converts, none would reach 80. The manifest has the score of each
probability, such that as many training leads reach each score as by points; so a tier keeps its size and meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import FeatureTable
from models.errors import ModelLoadError, VersionError
from models.leads import FEATURES, FULL, LEADS, WEIGHTS_FILE, LeadReason, LeadScore, LeadScorer, load_weights
from models.reasons import explain_model
from models.routing import load_model
from models.tasks.leads import Leads
from models.tflite import TFLiteScorer
from models.versions import read_serving, read_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.leads import Lead

_BOUNDS = (-1e-4, 1 + 1e-4)
_TASK = Leads()


class TrainedLeadModel:
    """A LeadModel of a version on disk.

    Args:
        scorer: the version's model.

    Raises:
        ModelLoadError: its manifest says no scores.
    """

    def __init__(self, scorer: TFLiteScorer) -> None:
        self.version = scorer.version
        self._scorer = scorer
        points = scorer.manifest.get("lead_scores", {})
        self._probabilities = np.asarray(points.get("probabilities", ()), np.float64)
        self._scores = np.asarray(points.get("scores", ()), np.float64)
        if not len(self._scores) or len(self._scores) != len(self._probabilities):
            raise ModelLoadError(f"model {self.version} says no scores for its probabilities; train it again")

    def score(self, leads: Sequence[Lead]) -> list[LeadScore | None]:
        """Return the score of each lead; None where the model gives no probability."""
        probabilities: NDArray[np.float64] = self._scorer.score(as_table(leads))[:, 0].astype(np.float64).clip(0, 1)
        scores = np.interp(probabilities, self._probabilities, self._scores).clip(0, FULL)
        return [
            None if np.isnan(each) else LeadScore(round(float(score), 1), self.version, "model", round(float(each), 6))
            for each, score in zip(probabilities, scores, strict=True)
        ]

    def explain(self, lead: Lead) -> tuple[LeadReason, ...]:
        """Return what each feature adds to the probability, times 100, the largest first."""
        (factors,) = explain_model(_TASK, self._scorer, as_table([lead]))
        return tuple(
            LeadReason(each.feature, each.value, round(FULL * each.contribution, 2), each.text) for each in factors
        )


def as_table(leads: Sequence[Lead]) -> FeatureTable:
    """Return leads as the table that a model reads, an unknown feature as NaN."""
    cells = np.array([[lead.get(name) for name in FEATURES] for lead in leads], np.float64).reshape(-1, len(FEATURES))
    return FeatureTable(("",) * len(leads), {name: cells[:, place] for place, name in enumerate(FEATURES)})


def name_columns(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the features of a version and their columns of `as_table`, which have the same names."""
    return {name: name for name in manifest["features"] if name in FEATURES}


def load_lead_model(home: Path, version: str) -> TrainedLeadModel:
    """Load a version.

    Raises:
        ModelLoadError, VersionError: it cannot be used.
    """
    found = read_version(home, version)
    scorer = load_model(found.folder, name_columns(found.manifest), _BOUNDS)
    if not isinstance(scorer, TFLiteScorer):
        raise ModelLoadError(f"model {version} is segmented, which models of leads are not; train it without")
    return TrainedLeadModel(scorer)


def load_lead_scorer(models_dir: Path, thresholds: tuple[float, float]) -> tuple[LeadScorer, dict[str, str]]:
    """Return what scores leads, and why the version that is promoted does not, by `leads`; empty where it does.

    Raises:
        LeadWeightsError: leads.json is there and cannot be used.
    """
    by_points = LeadScorer(load_weights(models_dir / WEIGHTS_FILE), thresholds)
    version, home = None, models_dir / LEADS
    try:
        version = read_serving(home).version
        if version is None:
            return by_points, {}
        return LeadScorer(by_points.weights, thresholds, load_lead_model(home, version)), {}
    except (ModelLoadError, VersionError) as error:
        named = version or "the version promoted"
        return by_points, {LEADS: f"{LEADS}: {named} is refused ({error}); leads are scored by points"}
