"""Sections on predicted spend: amounts, intervals and the value captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.evaluation import curves
from training.report import plots
from training.report.sections import Plot, Section, Table, trace
from training.report.summary import name_of

if TYPE_CHECKING:
    from training.evaluation.evaluation_data import EvaluationData
    from training.report.sections import Cases

POINTS_SHOWN = 1500
COMPARED_CURVES = ("model", "champion", "gradient_boosting", "past_spend")
DIAGONAL = np.array([0.0, 1.0])
FIFTH = 0.2
SMALLEST = 1e-3


def amounts(cases: Cases) -> Section:
    """Show predicted against actual spend: by tenth, for each customer, and the errors."""
    bins = curves.bin_by_score(cases.model, cases.outcome, binary=False)
    table = Table(
        "Spend by tenth in figures, lowest predictions first.",
        ("tenth", "customers", "predicted", "actual", "95% interval"),
        tuple(
            (str(place), f"{count:,}", f"{predicted:,.0f}", f"{actual:,.0f}", f"{max(low, 0):,.0f} to {high:,.0f}")
            for place, (count, predicted, actual, low, high) in enumerate(bins.rows(), start=1)
        ),
    )
    figures = (_deciles(cases, bins), _scatter(cases), _residuals(cases))
    return Section("amounts", "Are its amounts correct?", figures, (table,))


def _deciles(cases: Cases, bins: curves.Bins) -> Plot:
    total, expected = float(cases.outcome.sum()), float(cases.model.sum())
    off = f" ({expected / total - 1:+.0%})" if total else ""
    return Plot(
        "deciles",
        "Predicted and actual spend by tenth",
        plots.draw("deciles", f"Mean spend by tenth of the predictions{off}", plots.spend(bins)),
        "Diamonds should stand at the tops of the bars, within the thin lines (95% interval of the mean).",
        f"It predicted {expected:,.0f} in total; the actual total is {total:,.0f}{off}.",
    )


def _scatter(cases: Cases) -> Plot:
    chosen = np.unique(np.linspace(0, len(cases.outcome) - 1, POINTS_SHOWN).astype(int))
    positive = np.concatenate([cases.outcome[cases.outcome > 0], cases.model[cases.model > 0], [1.0]])
    floor = max(float(np.quantile(positive, 0.02)), SMALLEST)
    nothing = float((cases.outcome <= 0).mean())
    drawn = f" {len(chosen):,} of {len(cases.outcome):,} are drawn." if len(chosen) < len(cases.outcome) else ""
    return Plot(
        "predicted-actual",
        "Each customer",
        plots.draw(
            "scatter",
            "Predicted against actual spend, logarithmic axes",
            plots.scatter(cases.model[chosen], cases.outcome[chosen], floor),
        ),
        f"Logarithmic axes; customers who spent nothing are on the lower edge.{drawn}",
        f"{nothing:.0%} spent nothing. A prediction averages over spenders and others, so it is rarely zero.",
    )


def _residuals(cases: Cases) -> Plot:
    error = cases.outcome - cases.model
    order = np.argsort(cases.model, kind="stable")
    groups = [error[part] for part in np.array_split(order, curves.TENTHS) if len(part)]
    middle, below = float(np.median(error)), float((error < 0).mean())
    return Plot(
        "residuals",
        "Error by tenth",
        plots.draw(
            "residuals",
            f"Actual minus predicted spend by tenth; median {middle:,.0f}",
            plots.spread(groups, "actual minus predicted"),
        ),
        "Above zero the actual spend was higher. Thick bars cover half of the customers, thin bars 90%.",
        f"{below:.0%} spent less than predicted, the median by {-middle:,.0f}; a few spent far more.",
    )


def intervals(evidence: EvaluationData) -> Section:
    """Show how often the actual spend was within the predicted interval."""
    title = "Do its intervals cover the actual spend?"
    if evidence.interval is None:
        return Section("coverage", title, note="This model predicts no interval.")
    outcome, (low, high) = evidence.outcome[:, 0], evidence.interval.T
    within = ((outcome >= low) & (outcome <= high)).astype(np.float64)
    covered, bins = float(within.mean()), curves.bin_by_score(evidence.scores[:, 0], within)
    plot = Plot(
        "coverage-deciles",
        "Coverage by tenth",
        plots.draw(
            "coverage",
            f"Share of customers whose spend lay within the interval, by tenth: {covered:.0%} of all",
            plots.coverage(bins, covered),
        ),
        "Bars should be level at the promised coverage, for small customers as for large ones.",
        f"{covered:.1%} are within the interval, {(outcome < low).mean():.1%} below and {(outcome > high).mean():.1%} "
        "above it; "
        f"the least covered tenth has {bins.actual.min():.0%}. The mean width is {(high - low).mean():,.0f}.",
    )
    return Section("coverage", title, (plot,))


def value_captured(cases: Cases) -> Section:
    """Show how much of all spend the highest predictions capture."""
    title = "Does it find the valuable customers?"
    if not cases.outcome.sum():
        return Section("captured", title, note="No customer spent anything in the later rows.")
    shown = {name_of(name): cases.scores[name] for name in COMPARED_CURVES if name in cases.scores}
    shown["perfect ranking"] = cases.outcome
    fifth, best = (float(np.interp(FIFTH, *curves.gain(each, cases.outcome))) for each in (cases.model, cases.outcome))
    plot = Plot(
        "lorenz",
        "Value captured",
        plots.draw(
            "lorenz",
            f"Share of all spend in the highest predictions: {fifth:.0%} in the highest fifth",
            plots.lines(
                trace(shown, curves.gain, cases.outcome),
                "customers, highest prediction first",
                "share of all spend",
                random=plots.Curve("random", DIAGONAL, DIAGONAL),
            ),
        ),
        "Taking that share of customers, highest predictions first, captures this share of all spend.",
        f"The highest fifth accounts for {fifth:.0%} of all spend; a perfect ranking would reach {best:.0%}.",
    )
    return Section("captured", title, (plot,))
