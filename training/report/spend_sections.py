"""What the report shows of predicted spend: amounts, intervals and the value they find."""

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
    """Show predicted spend against what came: by tenth, one by one, and how far off."""
    bins = curves.bin_by_score(cases.model, cases.outcome, binary=False)
    table = Table(
        "Spend by tenth in figures, lowest predictions first.",
        ("tenth", "customers", "predicted", "came", "95% interval"),
        tuple(
            (str(place), f"{count:,}", f"{predicted:,.0f}", f"{actual:,.0f}", f"{max(low, 0):,.0f} to {high:,.0f}")
            for place, (count, predicted, actual, low, high) in enumerate(bins.rows(), start=1)
        ),
    )
    figures = (_deciles(cases, bins), _scatter(cases), _residuals(cases))
    return Section("amounts", "Are its amounts right?", figures, (table,))


def _deciles(cases: Cases, bins: curves.Bins) -> Plot:
    total, expected = float(cases.outcome.sum()), float(cases.model.sum())
    off = f" ({expected / total - 1:+.0%})" if total else ""
    return Plot(
        "deciles",
        "Predicted and real spend by tenth",
        plots.draw("deciles", f"Mean spend by tenth of the predictions{off}", plots.spend(bins)),
        "Diamonds should stand at the tops of the bars, within the thin lines (95% interval of the mean).",
        f"In total it expected {expected:,.0f} and {total:,.0f} came{off}.",
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
            "Predicted spend against the spend that came, logarithmic axes",
            plots.scatter(cases.model[chosen], cases.outcome[chosen], floor),
        ),
        f"Logarithmic axes; whoever spent nothing lies on the lower edge.{drawn}",
        f"{nothing:.0%} spent nothing: a prediction is a mean over such customers and the others, so seldom nought.",
    )


def _residuals(cases: Cases) -> Plot:
    error = cases.outcome - cases.model
    order = np.argsort(cases.model, kind="stable")
    groups = [error[part] for part in np.array_split(order, curves.TENTHS) if len(part)]
    middle, below = float(np.median(error)), float((error < 0).mean())
    return Plot(
        "residuals",
        "How far off, by tenth",
        plots.draw(
            "residuals",
            f"Spend that came less what was predicted, by tenth; median {middle:,.0f}",
            plots.spread(groups, "came less predicted"),
        ),
        "Above zero more came than predicted. Thick bars hold half of the customers, thin ones nine tenths.",
        f"{below:.0%} spent less than predicted, the median by {-middle:,.0f}; a few spent far more.",
    )


def intervals(evidence: EvaluationData) -> Section:
    """Show how often the spend that came lay within the interval told."""
    title = "Do its intervals hold?"
    if evidence.interval is None:
        return Section("coverage", title, note="This model tells no interval.")
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
        "Bars should be level and as high as was promised: as honest for small customers as for large.",
        f"{covered:.1%} of all lay within, {(outcome < low).mean():.1%} below and {(outcome > high).mean():.1%} above; "
        f"the least covered tenth has {bins.actual.min():.0%}. The mean width is {(high - low).mean():,.0f}.",
    )
    return Section("coverage", title, (plot,))


def value_captured(cases: Cases) -> Section:
    """Show how much of all spend the highest predictions hold."""
    title = "Does it find the valuable customers?"
    if not cases.outcome.sum():
        return Section("captured", title, note="Nobody spent anything in the later rows.")
    shown = {name_of(name): cases.scores[name] for name in COMPARED_CURVES if name in cases.scores}
    shown["knowing the future"] = cases.outcome
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
                chance=plots.Curve("at random", DIAGONAL, DIAGONAL),
            ),
        ),
        "Take so many customers, from the highest prediction down, and they bring that share of all spend.",
        f"The highest fifth brings {fifth:.0%} of all spend; with the future known it would be {best:.0%}.",
    )
    return Section("captured", title, (plot,))
