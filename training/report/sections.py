"""Parts of the report's sections, and the sections that every task has.

Each plot has one sentence on how to read it and one on what it shows here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation import curves
from training.evaluation.classification import Classifier
from training.evaluation.probability_metrics import brier_score, expected_calibration_error
from training.evaluation.regression import Predictor
from training.report import plots
from training.report.summary import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from training.evaluation.curves import Estimate
    from training.evaluation.evaluation_data import EvaluationData
    from training.task import Task, Words

    Numbers = NDArray[Any]

FEATURES_SHOWN = 12
LINE = 2
"""Points that a curve needs to be one."""
MIDDLE = (0.01, 0.99)
"""Quantiles of a feature between which its curve is drawn: beyond them are few customers."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure, how to read it, and what it says."""

    key: str
    title: str
    svg: str
    how: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the first cell of each row names it, the others are figures or words."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A question and what answers it.

    Attributes:
        key: its anchor.
        title: the question.
        plots: figures.
        tables: tables.
        note: why there is nothing to show, or what holds for all of it.
        small: small figures on one scale, drawn beneath.
        small_note: how to read them.
    """

    key: str
    title: str
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""
    small: tuple[Plot, ...] = ()
    small_note: str = ""


@dataclass(frozen=True, slots=True)
class Cases:
    """What was observed, flat: one outcome and one score for each.

    Attributes:
        outcome: shape [cases].
        scores: shape [cases] by scorer, the model first, then the champion; none is NaN.
        customers: the customer of each.
        words: how the report names outcomes.
    """

    outcome: Numbers
    scores: Mapping[str, Numbers]
    customers: tuple[str, ...]
    words: Words

    @property
    def model(self) -> Numbers:
        """The model's scores."""
        return self.scores["model"]

    @property
    def comparable(self) -> bool:
        """Whether outcomes differ, without which no scorer is better than another."""
        return len(np.unique(self.outcome)) > 1


def observe(evidence: EvaluationData) -> Cases:
    """Return the cases whose outcome was observed; baselines that are not finite everywhere are left out."""
    observed = np.isfinite(evidence.outcome) & ((evidence.outcome >= 0) | (evidence.task.predicts_amount))
    order = sorted(evidence.baselines, key=lambda name: (name != "champion", name))
    scorers = {"model": evidence.scores, **{name: evidence.baselines[name] for name in order}}
    scores = {name: np.asarray(each)[observed].astype(np.float64) for name, each in scorers.items()}
    return Cases(
        evidence.outcome[observed].astype(np.float64),
        {name: each for name, each in scores.items() if name == "model" or np.isfinite(each).all()},
        tuple(evidence.customer_ids[row] for row in np.nonzero(observed)[0]),
        evidence.task.words,
    )


def estimate(evidence: EvaluationData) -> dict[str, Estimate]:
    """Return the main figure of every scorer with its interval: AUC, for ltv R squared winsorised at 99 %.

    The model is first, then the champion, then the baselines from the best on. Empty where all outcomes are the same.
    """
    cases = observe(evidence)
    if not cases.comparable:
        return {}
    make = _r2_winsorised if evidence.task.predicts_amount else _auc
    measures = {name: make(each, cases.outcome) for name, each in cases.scores.items()}
    found = curves.compare(measures, cases.customers)
    first = ("model", "champion")
    return dict(sorted(found.items(), key=lambda each: (each[0] not in first, -each[1].value * (each[0] not in first))))


def _auc(scores: Numbers, outcome: Numbers) -> curves.Measure:
    return Classifier.of(scores, outcome).auc


def _r2_winsorised(scores: Numbers, outcome: Numbers) -> curves.Measure:
    return Predictor.of(scores, outcome).r2_winsorised


def undefined(cases: Cases) -> str:
    """Say why a figure that compares outcomes is not defined for these cases."""
    if not len(cases.outcome):
        return "No outcome was observed in the later rows, so nothing can be evaluated."
    return (
        f"All {len(cases.outcome):,} later rows have the same outcome ({cases.outcome[0]:g}), so this is undefined. "
        "Take a later slice that has both, or more rows."
    )


def trace(
    shown: Mapping[str, Numbers], compute: Callable[[Numbers, Numbers], tuple[Numbers, Numbers]], outcome: Numbers
) -> list[plots.Curve]:
    """Return a curve of each scorer, thinned."""
    return [plots.Curve(name, *curves.thin(compute(scores, outcome))) for name, scores in shown.items()]


def compare_scorers(task: Task, cases: Cases, estimates: Mapping[str, Estimate]) -> Section:
    """Compare the model with the champion and the baselines, on the same rows."""
    title = "Is it better than the baselines?"
    if not estimates:
        return Section("comparison", title, note=undefined(cases))
    figure = "R squared" if task.predicts_amount else "AUC"
    capped = "Spend is capped at its 99th percentile, because a few customers dominate it otherwise."
    telling = {name: each for name, each in estimates.items() if name == "model" or each.low < each.high}
    named = {name_of(name): each for name, each in telling.items()}
    plot = Plot(
        "comparison-forest",
        f"{figure} of each scorer",
        plots.draw(
            "forest",
            f"{figure} with 95% intervals of {', '.join(named)}",
            plots.forest(named, f"{figure}, 95% interval"),
            height=70 + plots.ROW * len(named),
        ),
        f"Further right is better; the bar is the 95% interval, the dotted line this model's figure."
        f"{f' {capped}' if task.predicts_amount else ''}",
        _describe_best(telling),
    )
    return Section("comparison", title, (plot,), (_comparison_table(task, cases, estimates, figure),))


def _describe_best(estimates: Mapping[str, Estimate]) -> str:
    best = max(estimates, key=lambda name: estimates[name].value)
    model, most = f"{estimates['model'].value:.3f}", f"{estimates[best].value:.3f}"
    if best == "model":
        return f"This model is the best, with {model}."
    if model == most:
        return f"This model and {name_of(best)} are the best, with {model}."
    return f"This model reaches {model}; the best is {name_of(best)} with {most}."


def _comparison_table(task: Task, cases: Cases, estimates: Mapping[str, Estimate], figure: str) -> Table:
    head = f"{figure} (capped)" if task.predicts_amount else figure
    more = ("not capped", "MAE", "RMSE") if task.predicts_amount else ("Brier", "ECE")
    return Table(
        "The same in figures, 95% intervals in brackets. Where the interval of the lead contains zero, it is not "
        "significant. "
        f"{', '.join(more[-2:])}: lower is better.",
        ("scorer", head, "this model's lead", *more),
        tuple(
            (
                name_of(name),
                f"{each.value:z.3f}\n{_interval(each.low, each.high)}",
                "" if name == "model" else f"{each.behind:+z.3f}\n{_interval(each.behind_low, each.behind_high, '+')}",
                *_more_figures(task, cases.scores[name], cases.outcome),
            )
            for name, each in estimates.items()
        ),
    )


def _interval(low: float, high: float, sign: str = "") -> str:
    return f"({low:{sign}z.3f} to {high:{sign}z.3f})" if np.isfinite([low, high]).all() else ""


def _more_figures(task: Task, scores: Numbers, outcome: Numbers) -> tuple[str, ...]:
    if task.predicts_amount:
        measured = Predictor.of(scores, outcome).measure(np.ones(len(outcome)))
        return f"{measured['r2']:z.3f}", f"{measured['mae']:,.0f}", f"{measured['rmse']:,.0f}"
    if scores.min() < 0 or scores.max() > 1:
        return "not a probability", "not a probability"
    return f"{brier_score(scores, outcome):.4f}", f"{expected_calibration_error(scores, outcome):.3f}"


def drivers(evidence: EvaluationData) -> Section:
    """Show which features matter, and what each adds to the score of an additive model."""
    known = {name: float(value) for name, value in evidence.importance.items() if np.isfinite(value)}
    order = sorted(known, key=lambda name: (-known[name], name))
    unknown = len(evidence.importance) - len(known)
    notes = [
        "" if order else "Importance was not measured.",
        f"The importance of {unknown} features is unknown." if order and unknown else "",
        "" if evidence.shapes else "This model is not additive: it has no shape curves.",
    ]
    return Section(
        "drivers",
        "Which features matter?",
        (_importance(evidence.task, known, order),) if order else (),
        note=" ".join(note for note in notes if note),
        small=shapes(evidence, order),
        small_note="Above zero a feature raises the score, below zero it lowers it. One scale for all, over the "
        "middle 98% "
        "of the customers. Ticks mark the deciles: where they are far apart, few "
        "customers support the curve.",
    )


def _importance(task: Task, known: Mapping[str, float], order: list[str]) -> Plot:
    useless = [name for name in order if known[name] <= 0]
    shown = {name: known[name] for name in order[:FEATURES_SHOWN]}
    left_out = f" {len(order) - len(shown)} more are not drawn." if len(order) > len(shown) else ""
    unit = "rank correlation" if task.predicts_amount else "AUC"
    return Plot(
        "importance-bars",
        "Importance",
        plots.draw(
            "importance",
            f"Importance of features, the most important first: {', '.join(shown)}",
            plots.bars(shown, f"loss of {unit} when shuffled"),
            height=70 + plots.ROW * len(shown),
        ),
        f"How much worse the model gets when one feature's values are shuffled among the customers.{left_out}",
        f"{order[0]} matters most." + (f" No effect: {', '.join(useless)}." if useless else ""),
    )


def shapes(evidence: EvaluationData, order: list[str]) -> tuple[Plot, ...]:
    """Draw the shape curve of each feature, the most important first, all on one vertical scale."""
    names = [*[name for name in order if name in evidence.shapes], *sorted(set(evidence.shapes) - set(order))]
    found = {name: _central(evidence, name) for name in names[:FEATURES_SHOWN]}
    pieces = {name: piece for name, piece in found.items() if piece is not None}
    if not pieces:
        return ()
    low = min(float(added.min()) for _, added, _ in pieces.values())
    high = max(float(added.max()) for _, added, _ in pieces.values())
    margin = 0.05 * (high - low) or 1.0
    return tuple(
        Plot(
            f"shape-{place}",
            name,
            plots.draw(
                f"shape{place}",
                f"What {name} adds to the score: from {added.min():+.2f} to {added.max():+.2f}",
                plots.shape(values, added, deciles, (low - margin, high + margin)),
                width=240,
                height=165,
            ),
            "",
        )
        for place, (name, (values, added, deciles)) in enumerate(pieces.items())
    )


def _central(evidence: EvaluationData, name: str) -> tuple[Numbers, Numbers, Numbers] | None:
    """Return the curve over the middle 98 % of the customers, shape [points, outputs], and the feature's deciles."""
    values, added = (np.asarray(each, dtype=np.float64) for each in evidence.shapes[name])
    if name not in evidence.features or len(values) < LINE or not np.isfinite(added).all():
        return None
    order = np.argsort(values)
    values, columns = values[order], added.reshape(len(values), -1)[order]
    cells = evidence.training_inputs[:, evidence.features.index(name)].astype(np.float64)
    known = cells[np.isfinite(cells)]
    low, high = np.clip(np.quantile(known, MIDDLE), values[0], values[-1]) if len(known) else (0.0, 0.0)
    if low == high:
        low, high = values[0], values[-1]
    shown = np.concatenate([[low], values[(values > low) & (values < high)], [high]])
    deciles = np.quantile(known, np.linspace(0.1, 0.9, 9)) if len(known) else known
    drawn = np.stack([np.interp(shown, values, column) for column in columns.T], axis=1)
    return shown, drawn, deciles[(deciles >= low) & (deciles <= high)]


def stability(evidence: EvaluationData) -> Section:
    """Show whether the figure holds from one cut-off to the next, and how the later rows differ by date."""
    title = "Is it stable over time?"
    known = {name: float(value) for name, value in evidence.folds.items() if np.isfinite(value)}
    tables = (_dates_table(evidence),)
    if len(known) < LINE:
        return Section("stability", title, tables=tables, note="It was not retrained on several cut-offs.")
    low, high = min(known.values()), max(known.values())
    figure = "rank correlation" if evidence.task.predicts_amount else "AUC"
    plot = Plot(
        "folds",
        f"{figure[:1].upper()}{figure[1:]} by cut-off",
        plots.draw(
            "folds",
            f"{figure} at {len(known)} cut-offs, from {low:.3f} to {high:.3f}",
            plots.folds(known, figure),
        ),
        "Each point is a model trained before its cut-off and evaluated after it; a flat line is stable.",
        f"It ranges from {low:.3f} to {high:.3f}, a spread of {high - low:.3f}.",
    )
    return Section("stability", title, (plot,), tables)


def _dates_table(evidence: EvaluationData) -> Table:
    observed = evidence.outcome >= 0
    spend = evidence.task.predicts_amount
    rows = []
    for day in np.unique(evidence.dates):
        of_day = np.isnat(evidence.dates) if np.isnat(day) else evidence.dates == day
        chosen = observed & of_day[:, None]
        if chosen.any():
            means = (float(each[chosen].mean(dtype=np.float64)) for each in (evidence.scores, evidence.outcome))
            formatted = (f"{mean:,.0f}" if spend else f"{mean:.1%}" for mean in means)
            rows.append(("without date" if np.isnat(day) else str(day), f"{of_day.sum():,}", *formatted))
    actual = "mean spend" if spend else evidence.task.words.had
    return Table("The later rows by date.", ("date", "rows", "predicted", actual), tuple(rows))
