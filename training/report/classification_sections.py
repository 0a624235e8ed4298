"""Sections on probabilities: ranking, calibration, the operating threshold and uplift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation import curves
from training.evaluation.classification import Classifier
from training.evaluation.probability_metrics import expected_calibration_error
from training.evaluation.uplift import Experiment, describe_uplift
from training.report import plots
from training.report.sections import Plot, Section, Table, trace, undefined
from training.report.summary import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.evaluation.evaluation_data import EvaluationData
    from training.report.sections import Cases

    Numbers = NDArray[Any]

COMPARED_CURVES = ("champion", "gradient_boosting", "logistic_regression", "recency_rule")
DIAGONAL = np.array([0.0, 1.0])
FIFTH = 0.2
FALSE_ALARMS = 0.1


def ranking(cases: Cases) -> Section:
    """Show how well scores order the cases: gain, lift, ROC and precision-recall."""
    title = "Does it rank the right cases first?"
    if not cases.comparable:
        return Section("ranking", title, note=undefined(cases))
    shown = {name_of(name): cases.scores[name] for name in ("model", *COMPARED_CURVES) if name in cases.scores}
    return Section("ranking", title, (_gain(cases, shown), _lift(cases), _roc(cases, shown), _precision(cases, shown)))


def _gain(cases: Cases, shown: Mapping[str, Numbers]) -> Plot:
    had = cases.words.had
    fifth = float(np.interp(FIFTH, *curves.gain(cases.model, cases.outcome)))
    return Plot(
        "gain",
        "Cumulative gain",
        plots.draw(
            "gain",
            f"Cumulative gain: the highest fifth holds {fifth:.0%} of all that {had}",
            plots.lines(
                trace(shown, curves.gain, cases.outcome),
                "share taken, highest score first",
                f"share reached of all that {had}",
                random=plots.Curve("random", DIAGONAL, DIAGONAL),
            ),
        ),
        f"Taking that share, highest scores first, reaches this share of all that {had}.",
        f"The highest-scored fifth contains {fifth:.0%} of them; a random fifth contains 20%.",
    )


def _lift(cases: Cases) -> Plot:
    rate = float(cases.outcome.mean())
    lift = curves.bin_by_score(-cases.model, cases.outcome).actual / rate
    rising = int((np.diff(lift) > 0).sum())
    order = "each tenth is at or below the one before" if not rising else f"{rising} of the {len(lift) - 1} steps rise"
    return Plot(
        "lift",
        "Lift by tenth",
        plots.draw(
            "lift",
            f"Lift by tenth of the scores: {lift[0]:.1f} in the highest, {lift[-1]:.1f} in the lowest",
            plots.tenths(lift, "times the average rate", reference=1, reference_name=f"average: {rate:.1%}"),
        ),
        "Each tenth's rate relative to the average; bars should decrease from left to right.",
        f"The highest tenth has {lift[0]:.1f} times the average, the lowest {lift[-1]:.1f}; {order}.",
    )


def _roc(cases: Cases, shown: Mapping[str, Numbers]) -> Plot:
    words = cases.words
    found = float(np.interp(FALSE_ALARMS, *curves.roc(cases.model, cases.outcome)))
    return Plot(
        "roc",
        "ROC",
        plots.draw(
            "roc",
            f"ROC curve: at {FALSE_ALARMS:.0%} false positives it finds {found:.0%}",
            plots.lines(
                trace(shown, curves.roc, cases.outcome),
                "false positive rate",
                "true positive rate",
                random=plots.Curve("random", DIAGONAL, DIAGONAL),
            ),
        ),
        "Up and to the left is better; the diagonal is random.",
        f"With {FALSE_ALARMS:.0%} false positives it finds {found:.0%} of all that {words.had}.",
    )


def _precision(cases: Cases, shown: Mapping[str, Numbers]) -> Plot:
    rate = float(cases.outcome.mean())
    measured = Classifier.of(cases.model, cases.outcome).measure(np.ones(len(cases.outcome)))
    at_70, average = measured["precision_at_recall_70"], measured["average_precision"]
    return Plot(
        "precision-recall",
        "Precision and recall",
        plots.draw(
            "pr",
            f"Precision-recall curve: at 70% recall precision is {at_70:.0%}",
            plots.lines(
                trace(shown, curves.precision_recall, cases.outcome),
                "recall",
                "precision",
                random=plots.Curve("random", DIAGONAL, np.array([rate, rate])),
            ),
        ),
        "Further right: more cases found. Further up: fewer false positives. The dotted line is the base rate.",
        f"At 70% recall its precision is {at_70:.0%}. The average precision is {average:.3f}; random gives {rate:.3f}.",
    )


def probabilities(cases: Cases, threshold: float | None = None) -> Section:
    """Show whether predicted probabilitys are what happens, and how they lie."""
    title = "Are its probabilities calibrated?"
    if not len(cases.outcome):
        return Section("calibration", title, note=undefined(cases))
    bins = curves.bin_by_score(cases.model, cases.outcome)
    table = Table(
        "The calibration in figures, lowest tenth of the scores first.",
        ("tenth", "cases", "predicted", "observed", "95% interval"),
        tuple(
            (str(place), f"{count:,}", f"{predicted:.1%}", f"{actual:.1%}", f"{low:.1%} to {high:.1%}")
            for place, (count, predicted, actual, low, high) in enumerate(bins.rows(), start=1)
        ),
    )
    figures = (_calibration(cases, bins), *([_histogram(cases, threshold)] if cases.comparable else []))
    return Section("calibration", title, figures, (table,))


def _calibration(cases: Cases, bins: curves.Bins) -> Plot:
    expected, actual = float(cases.model.mean()), float(cases.outcome.mean())
    side, gap = "too low" if expected < actual else "too high", abs(expected - actual) * 100
    return Plot(
        "reliability",
        "Calibration",
        plots.draw(
            "reliability",
            f"Calibration: predicted {expected:.1%} on average, {actual:.1%} happened",
            plots.reliability(bins, cases.model),
        ),
        "On the dotted line, 30% of the cases scored 30% have the outcome. Above it the model predicts too low, below "
        "it too high. Each point is a tenth of the cases; grey bars show the distribution of scores.",
        f"It predicted {expected:.1%} on average and {actual:.1%} {cases.words.had}: {side} by {gap:.1f} points. The "
        f"expected calibration error is {expected_calibration_error(cases.model, cases.outcome):.3f}.",
    )


def _histogram(cases: Cases, threshold: float | None) -> Plot:
    words = cases.words
    groups = {words.had: cases.model[cases.outcome == 1], words.had_not: cases.model[cases.outcome == 0]}
    had, had_not = (float(np.median(values)) for values in groups.values())
    return Plot(
        "histogram",
        "Scores by outcome",
        plots.draw(
            "histogram",
            f"Histogram of scores: median {had:.0%} of those that {words.had}, {had_not:.0%} of the others",
            plots.histograms(groups, "predicted probability", threshold),
        ),
        "The less the two distributions overlap, the better the model separates them.",
        f"The median score of those that {words.had} is {had:.0%}, of the others {had_not:.0%}.",
    )


def find_threshold(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the operating threshold with its costs, from the manifest; None where the run chose none."""
    point = (manifest.get("metrics") or {}).get("threshold")
    needed = {"threshold", "contact_cost", "save_value"}
    return point if isinstance(point, dict) and needed <= set(point) else None


def operating_point(manifest: Mapping[str, Any], cases: Cases) -> Section:
    """Show the cost of each threshold, and the confusion counts of the chosen one."""
    title = "At which probability should one act?"
    point = find_threshold(manifest)
    if not cases.comparable:
        return Section("threshold", title, note=undefined(cases))
    if point is None:
        return Section("threshold", title, note="The run chose no threshold.")
    threshold, contact, save = (float(point[key]) for key in ("threshold", "contact_cost", "save_value"))
    plot = _cost_plot(cases, threshold, contact, save)
    return Section("threshold", title, (plot,), (_confusion_table(cases, threshold),))


def _cost_plot(cases: Cases, threshold: float, contact: float, save: float) -> Plot:
    thresholds = np.linspace(0, 1, 101)
    totals = np.array([_cost(cases, each, contact, save) for each in thresholds])
    chosen, cost_of_none, cost_of_all = (_cost(cases, each, contact, save) for each in (threshold, np.inf, -np.inf))
    return Plot(
        "threshold-cost",
        "Cost by threshold",
        plots.draw(
            "cost",
            f"Cost per 1,000 customers by threshold: {chosen:,.0f} at {threshold:.2f}",
            plots.costs(thresholds, totals, (threshold, chosen), "cost per 1,000 customers"),
        ),
        f"Lower is better. A contact costs {contact:g}, a lost customer without contact {save:g}: only the ratio "
        "matters.",
        f"A threshold of {threshold:.0%} costs {chosen:,.0f} per 1,000 customers; contacting all costs "
        f"{cost_of_all:,.0f}, contacting none {cost_of_none:,.0f}.",
    )


def _cost(cases: Cases, threshold: float, contact: float, save: float) -> float:
    named, _, missed = _count(cases, threshold)
    return 1000 * (named * contact + missed * save) / len(cases.outcome)


def _count(cases: Cases, threshold: float) -> tuple[int, int, int]:
    """Return how many are at or above a threshold, how many of them rightly, and how many are missed."""
    # The manifest has six decimals of a threshold that is itself a score.
    named, positive = cases.model >= threshold - 1e-6, cases.outcome == 1
    return int(named.sum()), int((named & positive).sum()), int((~named & positive).sum())


def _confusion_table(cases: Cases, threshold: float) -> Table:
    named, right, missed = _count(cases, threshold)
    positive, rows, words = right + missed, len(cases.outcome), cases.words
    cells = (
        ("flagged", right, named - right, named),
        ("not flagged", missed, rows - named - missed, rows - named),
        ("total", positive, rows - positive, rows),
    )
    return Table(
        f"At a threshold of {threshold:.0%}: of {named:,} flagged {right / max(named, 1):.0%} {words.had} "
        "(precision); of "
        f"{positive:,} that {words.had}, {right / max(positive, 1):.0%} were flagged (recall).",
        ("", words.had, words.had_not, "total"),
        tuple((name, *(f"{count:,}" for count in counts)) for name, *counts in cells),
    )


def uplift(evidence: EvaluationData) -> tuple[Section, ...]:
    """Show whom contact helps, where a control group was logged."""
    known = evidence.outcome[:, 0] >= 0
    if evidence.treated is None or evidence.uplift is None or np.ptp(evidence.treated[known].astype(int)) == 0:
        return ()
    experiment = Experiment.of(evidence.treated[known], 1 - evidence.outcome[known, 0])
    ids = np.asarray(evidence.customer_ids)[known].tolist()
    found = {
        "highest expected effect first": describe_uplift(evidence.uplift[known], experiment, ids),
        "highest risk first": describe_uplift(evidence.scores[known, 0], experiment, ids),
    }
    own, risk = found.values()
    plot = Plot(
        "qini",
        "Qini curve",
        plots.draw("qini", f"Qini curve: coefficient {_qini(own)}", plots.qini(_qini_curves(found))),
        "Additional customers that stay, by share contacted; above the dotted line the ranking is better than random.",
        f"Contact changes the share that stays by {_points(own['mean_effect'])} ({own['treated']:,} contacted, "
        f"{own['control']:,} not). Qini by expected effect {_qini(own)}, by risk {_qini(risk)}.",
    )
    return (Section("uplift", "Whom does contact help?", (plot,)),)


def campaign_uplift(campaigns: Sequence[Mapping[str, Any]]) -> tuple[Section, ...]:
    """Show whom the contact of each campaign helps, from the figures of the manifest."""
    if not campaigns:
        return ()
    figures = [
        f"{each['campaign']}: contact changes the conversion rate by {_points(each['mean_effect'])} "
        f"({each['treated']:,} contacted, {each['control']:,} held out), Qini {_qini(each)}; of "
        f"{each['withheld']['customers']:,} whom the model would leave alone by {_points(each['withheld']['effect'])}."
        for each in campaigns
    ]
    plot = Plot(
        "qini",
        "Qini curve",
        plots.draw(
            "qini",
            f"Qini curves of {len(campaigns)} campaigns",
            plots.qini(_qini_curves({each["campaign"]: each for each in campaigns})),
        ),
        "Additional customers that convert, by share contacted; above the dotted line the ranking is better than "
        "random.",
        " ".join(figures),
    )
    return (Section("uplift", "Whom does contact help?", (plot,)),)


def _qini_curves(found: Mapping[str, Mapping[str, Any]]) -> list[plots.Curve]:
    return [
        plots.Curve(name, *(np.array([point[key] for point in each["curve"]]) for key in ("share", "gained")))
        for name, each in found.items()
    ]


def _points(share: float | None) -> str:
    return "an unknown amount" if share is None else f"{share * 100:+.1f} points"


def _qini(found: Mapping[str, Any]) -> str:
    if found["qini"] is None or len(found["qini_95"]) < len(DIAGONAL) or None in found["qini_95"]:
        return "unknown"
    low, high = found["qini_95"]
    return f"{found['qini']:.3f} (95% interval {low:.3f} to {high:.3f})"
