"""Key figures at the top of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation import curves
from training.report.sections import observe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.evaluation.curves import Estimate
    from training.evaluation.evaluation_data import EvaluationData


@dataclass(frozen=True, slots=True)
class Tile:
    """A key figure: its name, the figure, and what it means."""

    name: str
    figure: str
    meaning: str


def build_tiles(evidence: EvaluationData, estimates: Mapping[str, Estimate]) -> list[Tile]:
    """Return the key figures of a run; none where the later rows allow no comparison."""
    model = estimates.get("model")
    if model is None:
        return []
    cases = observe(evidence)
    fifth = float(np.interp(0.2, *curves.gain(cases.model, cases.outcome)))
    expected, actual = float(cases.model.mean()), float(cases.outcome.mean())
    interval = f"95% interval {model.low:.3f} to {model.high:.3f}"
    if evidence.task.predicts_amount:
        return [
            Tile("R squared", f"{model.value:.3f}", f"{interval}, spend capped at the 99th percentile"),
            Tile("Total", f"{expected / actual - 1:+.0%}" if actual else "none", "predicted against actual spend"),
            Tile("Top fifth", f"{fifth:.0%}", "of all spend is in the highest-scored fifth"),
            *_coverage_tile(evidence),
        ]
    had = cases.words.had
    best = curves.bin_by_score(-cases.model, cases.outcome).actual[0] / actual
    return [
        Tile("AUC", f"{model.value:.3f}", f"{interval}; .5 is random, 1 is perfect"),
        *evidence.task.build_tiles(evidence),
        Tile("Top fifth", f"{fifth:.0%}", f"of all that {had} are in the highest-scored fifth"),
        Tile("Top tenth", f"{best:.1f} times", f"the average rate of {actual:.0%}"),
        Tile("Predicted", f"{expected:.1%}", f"on average; {actual:.1%} {had}"),
    ]


def _coverage_tile(evidence: EvaluationData) -> list[Tile]:
    if evidence.interval is None:
        return []
    low, high = evidence.interval.T
    covered = float(((evidence.outcome[:, 0] >= low) & (evidence.outcome[:, 0] <= high)).mean())
    return [Tile("Intervals", f"{covered:.0%}", "of customers spent within the predicted interval")]
