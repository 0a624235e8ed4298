"""An experiment on a model in words, as tables and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NamedTuple

from console.status_view import describe_seconds
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from campaigns.model_experiments import ArmResult, ExperimentResult, Measured
    from console.use_cases.model_experiments import ExperimentStatus
    from models.experiments import Experiment
    from training.monitoring.cohorts import Cohort

Row = tuple[str, ...]
HISTORY_HEADINGS = ("experiment", "challenger", "mode", "started", "by", "ended", "why")
ANSWERS_SHOWN = 10
WHY_SHOWN = 80


class Table(NamedTuple):
    """Headings and rows."""

    headings: Row
    rows: Sequence[Row]


def status_object(status: ExperimentStatus) -> dict[str, Any]:
    """Return a status as JSON has it."""
    answers = status.answers or {}
    described = {
        "answers": [
            {"champion": champion, "challenger": challenger, "customers": count}
            for (champion, challenger), count in answers.items()
        ],
        "stop": status.stop and {"at": status.stop.stopped_at.isoformat(), "reason": status.stop.reason},
        "runs": status.runs,
    }
    return asdict(status) | described


def history_rows(experiments: Sequence[Experiment]) -> list[Row]:
    """Return a row for each experiment."""
    return [
        (
            each.key,
            each.challenger,
            describe_mode(each),
            each.started_at[:16].replace("T", " "),
            each.started_by,
            (each.stopped_at or "runs")[:16].replace("T", " "),
            shorten(each.stop_reason or each.why, WHY_SHOWN),
        )
        for each in experiments
    ]


def describe_mode(experiment: Experiment) -> str:
    """Return what the challenger does."""
    return "shadow" if experiment.is_shadow else f"decides for {100 * experiment.share:g} %"


def describe_start(experiment: Experiment) -> str:
    """Return what an experiment does, as a sentence."""
    if experiment.is_shadow:
        what = f"{experiment.challenger} scores, too, and decides nothing; {experiment.champion} decides"
    else:
        share = f"{100 * experiment.share:g} % of the customers"
        what = f"{experiment.challenger} decides for {share}, {experiment.champion} for the others"
    return f"experiment {experiment.key}: {what}"


def describe(status: ExperimentStatus) -> Iterator[str | Table]:
    """Yield what an experiment is and has shown: sentences and tables."""
    experiment = status.experiment
    yield describe_start(experiment)
    yield _describe_state(status)
    if status.result is not None:
        yield from _describe_result(status.result, status)
    if status.agreement is not None:
        yield from _describe_agreement(status)


def _describe_state(status: ExperimentStatus) -> str:
    experiment = status.experiment
    began = f"started {experiment.started_at[:16].replace('T', ' ')} UTC by {experiment.started_by}"
    began += f": {experiment.why}" if experiment.why else ""
    if experiment.stopped_at is not None:
        ended = experiment.stopped_at[:16].replace("T", " ")
        return f"{began}\nended {ended} UTC by {experiment.stopped_by}: {experiment.stop_reason}"
    if status.stop is not None:
        at = f"{status.stop.stopped_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        close = f"close it: holdfast models experiment stop {experiment.model} --why …"
        return (
            f"{began}\nstopped by itself {at}, the champion decides for every customer: {status.stop.reason}; {close}"
        )
    if status.is_orphan:
        return f"{began}\nnot in force: {experiment.champion} does not serve any more; stop it, or promote that version"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(experiment.started_at)).total_seconds()
    return f"{began}\nruns for {describe_seconds(seconds)}"


def _describe_result(result: ExperimentResult, status: ExperimentStatus) -> Iterator[str | Table]:
    arms = {"champion": result.champion, "challenger": result.challenger}
    yield Table(
        ("arm", "customers", "converted", "revenue", "cost", "net"),
        [(name, *_figures(each)) for name, each in arms.items()],
    )
    if result.conversion is None or result.net is None:
        yield "- nothing can be compared before the experiment has reached customers of both arms"
        return
    yield Table(
        ("per customer", "champion", "challenger", "difference", "interval"),
        [
            ("converted, %", *_measured(result.conversion, 100)),
            ("net revenue", *_measured(result.net, 1)),
        ],
    )
    if status.stop is None:
        yield f"- {status.harm or _conclude(result)}"
    if result.ratio is not None and result.ratio.alarm:
        yield (
            f"- the split contradicts the plan: {result.ratio.control:,} of {result.ratio.customers:,} customers are "
            f"the challenger's, planned are {100 * result.ratio.planned:g} %; find out why before you believe the rest"
        )
    yield "- the intervals hold at every look, both at once; customers whom no trigger reached count with 0"


def _conclude(result: ExperimentResult) -> str:
    if result.net is None or result.net.low is None:
        return "an interval needs 100 customers in each arm, and 10 conversions expected in the smaller one"
    if result.net.is_better:
        return "the challenger is established to earn more: promote it, or go on"
    return "no difference in net revenue is established"


def _figures(arm: ArmResult) -> Row:
    net = arm.revenue - arm.cost
    return (f"{arm.customers:,}", f"{arm.converted:,}", f"{arm.revenue:,.2f}", f"{arm.cost:,.2f}", f"{net:,.2f}")


def _measured(measured: Measured, factor: float) -> Row:
    values = [factor * each for each in (measured.champion, measured.challenger)]
    if measured.low is None or measured.high is None:
        interval = "too little data"
    else:
        interval = f"{factor * measured.low:+.3f} to {factor * measured.high:+.3f}"
    return (*(f"{each:.3f}" for each in values), f"{factor * measured.difference:+.3f}", interval)


def _describe_agreement(status: ExperimentStatus) -> Iterator[str | Table]:
    agreement = status.agreement
    if agreement is None or not agreement.customers:
        yield "- no customer has been scored by both versions yet"
        return
    fact = TASKS[status.experiment.model].fact
    correlation = "unknown" if agreement.correlation is None else f"{agreement.correlation:.3f}"
    share = agreement.differing / agreement.customers
    yield (
        f"- {agreement.customers:,} customers were scored by both: correlation {correlation}, mean difference "
        f"{agreement.distance or 0.0:.4f}; {agreement.differing:,} ({share:.1%}) have another {fact}"
    )
    rows = [
        (champion or "null", challenger or "null", f"{count:,}")
        for (champion, challenger), count in [*(status.answers or {}).items()][:ANSWERS_SHOWN]
    ]
    yield Table((f"{fact} by champion", "by challenger", "customers"), rows)
    if status.outcomes:
        versions = (status.experiment.champion, status.experiment.challenger)
        yield Table(
            ("version", "outcomes", "predicted", "observed", "calibration error", "Brier"),
            [_outcome_row(version, each) for version, each in zip(versions, status.outcomes, strict=True)],
        )


def _outcome_row(version: str, cohort: Cohort | None) -> Row:
    if cohort is None:
        return (version, "none yet", "", "", "", "")
    errors = ("" if each is None else f"{each:.3f}" for each in (cohort.calibration_error, cohort.brier))
    return (version, f"{cohort.rows:,}", f"{cohort.predicted:.4g}", f"{cohort.observed:.4g}", *errors)
