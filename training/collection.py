"""Collects the evaluation data of a finished run, with scores computed as in serving."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import ModelInputError
from models.inputs import model_inputs
from models.routing import group_of
from training.evaluation.baselines import BaselineRows
from training.evaluation.confidence import find_errors
from training.evaluation.evaluation_data import EvaluationData
from training.evaluation.selection_metrics import selection_metric
from training.evaluation.served_scores import Rows, edge_case_rows, score_as_served, verify
from training.evaluation.uplift import learn_uplift

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from models.versions import ModelVersion
    from training.data.dataset import Dataset, Split
    from training.evaluation.confidence import Errors
    from training.nets.learning import Learned
    from training.nets.model_selection import Progress
    from training.task import Task

    Curves = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]

SAMPLED = 2000
SHOWN_TO_RULES = ((r"transactions_\d+d", "transaction_count"), (r"revenue_\d+d", "total_revenue"))
"""Features of snapshots by the names under which the rules know them; the longest window is the first."""


@dataclass(frozen=True, slots=True)
class CollectedRun:
    """The evaluation data of a run and its verification.

    Attributes:
        evidence: for gates and report.
        errors: of the later rows, by their uncertainty.
        pooled: scores of the later rows by the pooled model, the same as the evidence's without routes.
        verification: how far the exported model is from the trained one.
        warnings: on the comparison with the champion.
    """

    evidence: EvaluationData
    errors: Errors
    pooled: NDArray[np.float32]
    verification: dict[str, Any]
    warnings: tuple[str, ...]


def collect(
    folder: Path,
    rows: Split,
    learned: Learned,
    champion: ModelVersion | None,
    task: Task,
    seed: int,
    progress: Progress,
) -> CollectedRun:
    """Score the later rows as served, fit the baselines, score the champion, and shuffle the features.

    Raises:
        ExportError: the exported model does not do what the trained one does.
    """
    progress("fit the baselines")
    earlier, later, trained = rows.earlier, rows.later, learned.trained
    columns, ids = _known_to_rules(earlier), earlier.table.customer_ids
    baselines = task.fit_baselines(BaselineRows(earlier.inputs, earlier.targets, later.inputs, columns, ids, seed))
    progress("score as served")
    sample = _sample(later, seed)
    served = score_as_served(folder, _parts(rows, sample, learned, seed))
    scores = served["later"]
    compared, warnings = _score_champion(champion, later, task)
    treated, uplift = (learn_uplift(earlier, later) if task.measures_uplift else None) or (None, None)
    evidence = EvaluationData(
        task=task,
        outcome=later.targets,
        scores=scores[:, : task.outputs],
        baselines=baselines | compared,
        interval=scores[:, 1:3] if task.predicts_amount and scores.shape[1] > 1 else None,
        propensities=later.propensities,
        customer_ids=later.table.customer_ids,
        dates=later.dates,
        training_inputs=earlier.inputs,
        training_scores=served["earlier"][:, : task.outputs],
        later_inputs=later.inputs,
        features=tuple(later.mapping),
        importance=_importance(later.take(sample), served, task),
        shapes=_shapes(learned, later, task),
        folds=learned.folds,
        treated=treated,
        uplift=uplift,
    )
    expected = trained.predict_with_spread(later.inputs)
    verification = verify(np.hstack([served["pooled"], served["pooled.spread"]]), expected)
    errors = find_errors(scores, served["later.spread"], later.targets)
    return CollectedRun(evidence, errors, served["pooled"][:, : task.outputs], verification, warnings)


def _shapes(learned: Learned, later: Dataset, task: Task) -> Curves:
    """Return the curves of the additive net: of the logit, for spend of its logarithm; none for several offers."""
    if task.outputs > 1:
        return {}
    parameters = learned.trained.likelihood.parameters
    place = parameters.index("log_spend") if "log_spend" in parameters else 0
    return learned.trained.shapes(list(later.mapping), place)


def _known_to_rules(rows: Dataset) -> tuple[str, ...]:
    columns = list(rows.mapping.values())
    for pattern, known in SHOWN_TO_RULES:
        found = [place for place, name in enumerate(columns) if re.fullmatch(pattern, name)]
        if found and known not in columns:
            columns[found[0]] = known
    return tuple(columns)


def _parts(rows: Split, sample: NDArray[np.bool_], learned: Learned, seed: int) -> dict[str, Rows]:
    earlier, later = (_rows(each, learned) for each in (rows.earlier, rows.later))
    no_group = np.full(len(rows.later), "", dtype=np.str_)
    parts = {
        "earlier": earlier,
        "later": later,
        "pooled": Rows(later.inputs, no_group),
        "odd": edge_case_rows(later.inputs[0]),
    }
    inputs, groups = later.inputs[sample], later.groups[sample]
    parts["sample"] = Rows(inputs, groups)
    generator = np.random.default_rng(seed)
    for place in range(inputs.shape[1]):
        shuffled = inputs.copy()
        shuffled[:, place] = generator.permutation(inputs[:, place])
        parts[f"shuffled {place}"] = Rows(shuffled, groups)
    return parts


def _rows(rows: Dataset, learned: Learned) -> Rows:
    if learned.segmented is None:
        return Rows(rows.inputs, np.full(len(rows), "", dtype=np.str_))
    return Rows(rows.inputs, group_of(rows.table, learned.segmented.column))


def _sample(later: Dataset, seed: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(later), dtype=np.bool_)
    chosen[np.random.default_rng(seed).permutation(len(later))[:SAMPLED]] = True
    return chosen


def _importance(sample: Dataset, served: dict[str, NDArray[np.float32]], task: Task) -> dict[str, float]:
    """Return by how much the figure falls when a feature is shuffled (Breiman 2001), on a sample of later rows."""

    def figure(part: str) -> float:
        return selection_metric(sample.targets, served[part][:, : task.outputs], amounts=task.predicts_amount)

    whole = figure("sample")
    return {name: round(whole - figure(f"shuffled {place}"), 4) for place, name in enumerate(sample.mapping)}


def _score_champion(
    champion: ModelVersion | None, later: Dataset, task: Task
) -> tuple[dict[str, NDArray[np.float32]], tuple[str, ...]]:
    """Return the scores of the model that serves now, by name, or why there are none."""
    if champion is None:
        return {}, ()
    manifest = champion.manifest
    days: int = manifest.get("window_days", later.window_days)
    if days != later.window_days:
        return {}, (f"{champion.version} serves and was not compared: its labels cover {days} days",)
    if other := task.explain_incomparable(manifest):
        return {}, (f"{champion.version} serves and was not compared: {other}",)
    columns: dict[str, str] = manifest["columns"]
    try:
        inputs = model_inputs(later.table, [columns[name] for name in manifest["features"]])
    except ModelInputError as error:
        return {}, (f"{champion.version} serves and was not compared: {error}",)
    groups = group_of(later.table, (manifest.get("routes") or {}).get("column", ""))
    scores = score_as_served(champion.folder, {"later": Rows(inputs, groups)})["later"]
    return {"champion": scores[:, : task.outputs]}, _advantage(champion, later)


def _advantage(champion: ModelVersion, later: Dataset) -> tuple[str, ...]:
    known = champion.manifest.get("training", {}).get("dates", [])
    if known and not np.isnat(later.dates).all() and np.datetime64(known[-1]) >= later.dates.min():
        return (f"{champion.version} serves and was trained on some of the days that it is compared on here",)
    return ()
