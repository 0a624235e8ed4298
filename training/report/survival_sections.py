"""The section on survival curves: how long groups of customers waited, against what was predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.evaluation.survival import expected_wait, kaplan_meier
from training.report import plots
from training.report.sections import Plot, Section, Table

if TYPE_CHECKING:
    from training.evaluation.evaluation_data import EvaluationData

GROUPS = 4


def curves_by_group(evidence: EvaluationData) -> Section:
    """Show the predicted and the observed share without a purchase of quarters of the customers, the soonest first."""
    title = "Do customers wait as long as it says?"
    window = evidence.task.window_days
    order = np.argsort(expected_wait(evidence.scores.astype(np.float64)), kind="stable")
    groups = [rows for rows in np.array_split(order, GROUPS) if len(rows)]
    if not groups:
        return Section("curves", title, note="There are no later rows.")
    predicted = [evidence.scores[rows].mean(axis=0, dtype=np.float64) for rows in groups]
    observed = [kaplan_meier(evidence.outcome[rows]) for rows in groups]
    ends = np.arange(1, evidence.outcome.shape[1] + 1) * window / evidence.outcome.shape[1]
    gap = max(float(np.abs(one - other).max()) for one, other in zip(predicted, observed, strict=True))
    plot = Plot(
        "survival",
        "Customers without a purchase over time",
        plots.draw(
            "survival",
            f"Share without a purchase over {window} days, by quarter of the expected wait",
            plots.survival(ends, predicted, observed),
        ),
        "Lines are predicted, points observed (Kaplan and Meier); the lowest are those expected to buy soonest. Points "
        "should lie on their line.",
        f"The largest distance between a point and its line is {gap:.1%}.",
    )
    table = Table(
        f"The same at the end of {window} days, those expected soonest first.",
        ("quarter", "customers", "expected days", "predicted without purchase", "observed"),
        tuple(
            (
                str(place),
                f"{len(rows):,}",
                f"{window * float(expected_wait(evidence.scores[rows].astype(np.float64)).mean()):.0f}",
                f"{one[-1]:.1%}",
                f"{other[-1]:.1%}",
            )
            for place, (rows, one, other) in enumerate(zip(groups, predicted, observed, strict=True), start=1)
        ),
    )
    return Section("curves", title, (plot,), (table,))
