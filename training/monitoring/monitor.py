"""Monitoring of a served model: drift of today's customers, and quality on matured outcomes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from features.table import plain
from models.errors import ModelInputError
from models.inputs import model_inputs
from models.scores import score_all
from models.versions import SNAPSHOT_FILE
from training.data.dataset import read_rows, read_table
from training.errors import TrainingDataError
from training.monitoring.cohorts import measure_cohorts
from training.monitoring.drift import check_calibration, check_drift, check_ranking, conclude_checks, measure_drift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from features.table import FeatureTable
    from models.ports import Scorer
    from models.versions import ModelVersion
    from training.data.dataset import Source
    from training.monitoring.cohorts import Cohort
    from training.monitoring.drift import AlertThresholds, CheckResult, RetrainAdvice
    from training.task import Task


@dataclass(frozen=True, slots=True)
class MonitorResult:
    """The result of monitoring a model.

    Attributes:
        model: its name.
        version: its version.
        verdict: the advice of all checks together.
        findings: one for each check.
        customers: how many customers there are today.
        drift: PSI by feature and score, the largest first; empty without a training snapshot.
        since: only outcomes dated so or later were looked at: training has seen the earlier ones.
        threshold: from which a score counts as a yes in the rates of error.
        periods: matured outcomes by month.
        groups: the same by the column asked for.
    """

    model: str
    version: str
    verdict: RetrainAdvice
    findings: Sequence[CheckResult]
    customers: int
    drift: Mapping[str, float]
    since: date
    threshold: float | None
    periods: Sequence[Cohort]
    groups: Sequence[Cohort]


def monitor_model(
    version: ModelVersion,
    scorer: Scorer,
    task: Task,
    source: Source,
    *,
    served: str,
    thresholds: AlertThresholds,
    by: str | None = None,
) -> MonitorResult:
    """Score today's customers and those whose outcome is known, and run the checks.

    Args:
        version: the version looked at.
        scorer: runs it.
        task: what it predicts, and where the outcomes are.
        source: the warehouse, the mapping of features, the user's own query of outcomes; its start date is taken
            when it is later than the last day that training has seen.
        served: a query of today's customers.
        thresholds: when to train again.
        by: also measure groups by this column of the outcomes.

    Raises:
        TrainingSourceError: the warehouse or a query cannot be used.
        TrainingDataError: a column that is needed is not there.
    """
    since = max(source.start_date, last_day_seen(version.manifest) + timedelta(days=1))
    source = replace(source, start_date=since, window_days=version.manifest.get("window_days"))
    threshold = operating_threshold(version.manifest)
    try:
        today = read_table(source, served)
        _refuse_duplicates(today)
        drift = _measure_drift(version, scorer, task, today, source.feature_mapping or version.manifest["columns"])
        matured = _since(read_rows(source, task, scorer.columns), task.date_column, since)
        periods = _measure(scorer, task, matured, _months(matured, task.date_column), threshold)
        groups = _measure(scorer, task, matured, _values(matured, by), threshold) if by else []
    except ModelInputError as error:
        raise TrainingDataError(str(error)) from error
    findings = [check_drift(drift, len(today), thresholds), check_calibration(periods, thresholds)]
    if not task.predicts_amount:
        findings.insert(1, check_ranking(periods, thresholds))
    name, verdict = version.manifest["name"], conclude_checks(findings)
    return MonitorResult(name, version.version, verdict, findings, len(today), drift, since, threshold, periods, groups)


def measure_outcomes(
    versions: Sequence[tuple[ModelVersion, Scorer]], task: Task, source: Source, *, since: date
) -> Sequence[Cohort | None]:
    """Compare versions of a model on the same outcomes; None for each where there is none yet.

    Args:
        versions: each with what runs it.
        task: what they predict, and where the outcomes are.
        source: the warehouse, the mapping of features, the user's own query of outcomes.
        since: the first date of outcomes that count.

    Raises:
        TrainingSourceError: the warehouse or a query cannot be used.
        TrainingDataError: a column that is needed is not there.
    """
    source = replace(source, start_date=since)
    try:
        matured = _since(read_rows(source, task, versions[0][1].columns), task.date_column, since)
        names = [""] * len(matured)
        found = [
            _measure(scorer, task, matured, names, operating_threshold(each.manifest)) for each, scorer in versions
        ]
    except ModelInputError as error:
        raise TrainingDataError(str(error)) from error
    return [cohorts[0] if cohorts else None for cohorts in found]


def _refuse_duplicates(today: FeatureTable) -> None:
    known = "customer_id" in today.columns
    repeated = [each for each, rows in Counter(today.customer_ids).items() if rows > 1] if known else []
    if repeated:
        raise TrainingDataError(
            f"{len(repeated):,} customers have several rows in the view, the first is {repeated[0]!r}; let it return "
            "one row for each customer"
        )


def last_day_seen(manifest: Mapping[str, Any]) -> date:
    """Return the last day of the rows trained or evaluated on; the year 1 where rows carried no dates."""
    training = manifest.get("training", {})
    days = [*training.get("dates", ()), *training.get("evaluation", {}).get("dates", ())]
    return max(map(date.fromisoformat, days), default=date.min)


def operating_threshold(manifest: Mapping[str, Any]) -> float | None:
    """Return the score from which a customer is contacted, as chosen in training; None where none was chosen."""
    chosen = manifest.get("operating_threshold")
    return None if chosen is None else float(chosen)


def _measure_drift(
    version: ModelVersion, scorer: Scorer, task: Task, today: FeatureTable, mapping: Mapping[str, str]
) -> dict[str, float]:
    path, names = version.folder / SNAPSHOT_FILE, version.manifest["features"]
    if not path.exists() or not len(today):
        return {}
    inputs = model_inputs(today, [mapping[name] for name in names])
    try:
        return measure_drift(json.loads(path.read_bytes()), inputs, names, _score(scorer, task, today))
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingDataError(f"{path}: not a training snapshot ({error!r}); train the model again") from error


def _since(table: FeatureTable, column: str, since: date) -> FeatureTable:
    """Leave out what training has seen, whether or not the user's own query does so."""
    if column not in table.columns:
        raise TrainingDataError(f"the query of outcomes returned no column {column!r}; cohorts need it")
    first = since.isoformat()
    return table.take([place for place, day in enumerate(_days(table, column)) if day >= first])


def _days(table: FeatureTable, column: str) -> list[str]:
    return [str(plain(cell) or "")[:10] for cell in table.columns[column]]


def _months(table: FeatureTable, column: str) -> list[str]:
    return [day[:7] for day in _days(table, column)]


def _values(table: FeatureTable, column: str) -> list[str]:
    if column not in table.columns:
        raise TrainingDataError(
            f"the query of outcomes returned no column {column!r} for --by; there are: {', '.join(table.columns)}"
        )
    cells = [plain(cell) for cell in table.columns[column]]
    return [str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell) for cell in cells]


def _measure(
    scorer: Scorer, task: Task, matured: FeatureTable, names: Sequence[str], threshold: float | None
) -> list[Cohort]:
    if not len(matured):
        return []
    scores = _score(scorer, task, matured)
    return measure_cohorts(names, task.targets(matured), scores, threshold=threshold, money=task.predicts_amount)


def _score(scorer: Scorer, task: Task, table: FeatureTable) -> NDArray[np.float32]:
    """Return the scores alone: a model may have the bounds of an interval in later outputs."""
    return score_all(scorer, table)[:, : task.outputs]
