"""One training run, from the warehouse to a model version on disk, promoted or refused. Read this first."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import plain
from models.current_user import current_user
from models.errors import PromotionRefusedError, VersionError
from models.tasks.registry import moves_customers
from models.versions import (
    CARD_FILE,
    MODEL_FILE,
    SNAPSHOT_FILE,
    add_version,
    current_version,
    promote,
    read_current,
    staging_folder,
)
from training.collection import collect
from training.data.dataset import read_dataset, split
from training.errors import ExportError
from training.evaluation.confidence import describe_confidence
from training.evaluation.gates import evaluate_gates, promotable
from training.evaluation.metrics import evaluate
from training.evaluation.thresholds import Costs
from training.monitoring.drift import describe_snapshot
from training.nets.backend import keras
from training.nets.export import write_manifest, write_version
from training.nets.learning import TrainConfig, learn
from training.nets.segmented_models import measure_groups
from training.reasons import write_reasons
from training.report.html import write_report
from training.report.model_card import write_model_card
from training.serving import ServedView, check_served, prepare_view, write_serving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from models.changeovers import PromotionMode
    from models.versions import ModelVersion
    from training.collection import CollectedRun
    from training.data.dataset import Dataset, Source, Split
    from training.nets.learning import Learned
    from training.nets.model_selection import Progress
    from training.task import Task

STEPS = 8
"""Progress reports of a run, besides those that the task and its configuration add."""


TRAINED_MODE: PromotionMode = "new"
"""No one reviews whom a training moves, so what moves by the model alone fires nothing."""
TRAINED_NOTE = (
    "promoted with mode new: at a customer's first evaluation under it, only what served before would have fired, too"
)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Configuration of a training run.

    Attributes:
        out: folder of the models; each has a folder of its own in it.
        learning: configuration of the learning.
        force: promote although a gate refuses; only with `why`.
        why: the reason, kept in the history.
        costs: by which the operating threshold is chosen.
        view: the view that workers read: a version that it cannot serve is not promoted; None checks nothing.
    """

    out: Path
    learning: TrainConfig = field(default_factory=TrainConfig)
    force: bool = False
    why: str = ""
    costs: Costs = field(default_factory=Costs)
    view: ServedView | None = None

    def count_steps(self, task: Task) -> int:
        """Return the number of progress reports of a run, without those of segmented models."""
        return STEPS + len(task.likelihoods) + self.learning.trials


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run.

    Attributes:
        version: as it was added, or as it was there already.
        manifest: as evaluated now, against today's champion, although the version may be an older one.
        promoted: whether it serves now.
        before: the version that served until then; None where none did.
        refusals: why it was not promoted, or what was overridden, a sentence each.
        unservable: why the present view cannot serve it; empty where it can or was not checked.
        notes: what to know or do next, a sentence each.
    """

    version: ModelVersion
    manifest: Mapping[str, Any]
    promoted: bool
    before: str | None
    refusals: tuple[str, ...]
    unservable: str = ""
    notes: tuple[str, ...] = ()


def train(task: Task, source: Source, config: RunConfig, progress: Progress = lambda _: None) -> Result:
    """Read, split, learn, export, score as served, evaluate, report, add the version, promote it if it passed.

    Raises:
        TrainingError: rows cannot be read or learned from, or the export fails; nothing was added.
    """
    home = config.out / task.name
    # Keras numbers its layers, and the exported file contains the numbers: without a reset its hash depends on what
    # ran before.
    keras.utils.clear_session()
    try:
        champion = read_current(home)
        progress(f"read the rows of {task.name}")
        dataset = read_dataset(source, task)
        task = task.fitted(dataset.table, dataset.targets.shape[1]).over(dataset.window_days)
        rows = split(dataset)
        statement = prepare_view(source, config.view)
        learned = learn(rows, task, config.learning, progress)
        with staging_folder(home) as folder:
            progress("export")
            manifest = write_version(folder, _convert(learned), _describe(rows, learned, task, source, config))
            found = collect(folder, rows, learned, champion, task, config.learning.seed, progress)
            progress("evaluate and report")
            manifest = _evaluate(manifest, found, rows.later, learned, config)
            _document(folder, manifest, found)
            manifest["reasons"] = _write_reasons(folder, rows.earlier, found, learned)
            write_serving(folder, manifest, statement)
            write_manifest(folder, manifest)
            added = add_version(home, folder, at=datetime.now(UTC), by=current_user())
        return _promote(home, added, manifest, source, config)
    except VersionError as error:
        raise ExportError(str(error)) from error
    except OSError as error:
        raise ExportError(f"{home}: cannot be written ({error}); choose another --out") from error


def _convert(learned: Learned) -> dict[str, bytes]:
    models = {MODEL_FILE: learned.trained.convert()}
    if learned.segmented:
        models |= {file: learned.segmented.models[value].convert() for value, file in learned.segmented.files.items()}
    return models


def _describe(rows: Split, learned: Learned, task: Task, source: Source, config: RunConfig) -> dict[str, Any]:
    """Return the manifest as far as it is known before the model is scored."""
    mapping = rows.earlier.mapping
    described: dict[str, Any] = {
        "format": 1,
        "name": task.name,
        "version": "-".join([task.name, *_last_day(rows.earlier)]),
        "parent": None,
        "method": learned.recipe.describe(),
        "features": list(mapping),
        "columns": dict(mapping),
        "categories": {name: list(known) for name, known in rows.earlier.categories.items()},
        "dtype": "float32",
        "outputs": learned.trained.outputs,
        "label": task.label,
        "outcome": (task.outcome_of_orders if source.orders else "") or f"{task.label} is true",
        "window_days": rows.earlier.window_days,
        "window_stated": rows.earlier.window_stated,
        "preprocessing": learned.trained.preprocessing.describe(list(mapping)),
        "choice": learned.choice,
        "training": {
            **_window(rows.earlier),
            "seed": config.learning.seed,
            "split": rows.how,
            "evaluation": _window(rows.later),
            "data_sha256": rows.fingerprint(),
            "warnings": [*rows.earlier.warnings, *_warn_of_split(rows)],
        },
        "limits": list(_limits(rows, task)),
    }
    if learned.trained.spreads:
        described["spreads"] = learned.trained.spreads
    if learned.confidence:
        described["confidence"] = learned.confidence
    if learned.segmented:
        described["routes"] = {"column": learned.segmented.column, "files": learned.segmented.files}
    return described


def _warn_of_split(rows: Split) -> list[str]:
    if not rows.in_time:
        return ["all rows have one date, or none: nothing shows how the model does on later dates"]
    if not rows.overlapping:
        return []
    days = rows.earlier.window_days
    return [
        f"labels cover {days} days, too long for this history to leave a gap: evaluated on customers not trained on"
    ]


def _limits(rows: Split, task: Task) -> list[str]:
    limits = [
        "Evaluation is on later dates; unless the split says otherwise, it includes customers of the training rows."
        if rows.in_time
        else "Evaluation is on other customers and not on later dates.",
        "Inputs are clamped to the range seen in training: a value outside it is scored like the nearest one inside.",
        "Scores have the level of the training window; they drift when the outcome rate changes.",
    ]
    return [*limits, *task.describe_limits(rows)]


def _evaluate(
    manifest: dict[str, Any], found: CollectedRun, later: Dataset, learned: Learned, config: RunConfig
) -> dict[str, Any]:
    task = found.evidence.task
    metrics = evaluate(found.evidence, config.costs)
    if "confidence" in manifest and found.errors is not None:
        metrics["confidence"] = describe_confidence(found.errors, tuple(manifest["confidence"]["cuts"]))
    gates = evaluate_gates(found.evidence, metrics)
    evaluated = manifest | {
        "metrics": metrics,
        "gates": [asdict(gate) for gate in gates],
        "verification": found.verification,
        "training": manifest["training"] | {"warnings": [*manifest["training"]["warnings"], *found.warnings]},
    }
    if "threshold" in metrics:
        evaluated["operating_threshold"] = metrics["threshold"]["threshold"]
    if learned.segmented:
        groups = measure_groups(later, found.evidence.scores, found.pooled, task, learned.segmented)
        evaluated["routes"] = manifest["routes"] | {"groups": groups}
    evaluated |= task.extend_manifest(found.evidence, later.window_days, metrics)
    if config.force and not promotable(gates):
        evaluated["promotion"] = {"forced": True, "why": config.why, "by": current_user()}
    # NumPy numbers and booleans are not JSON, and its False is not False.
    as_json: dict[str, Any] = json.loads(json.dumps(evaluated, default=plain))
    return as_json


def _document(folder: Path, manifest: dict[str, Any], found: CollectedRun) -> None:
    (folder / CARD_FILE).write_text(write_model_card(manifest, found.evidence.task), encoding="utf-8")
    snapshot = json.dumps(describe_snapshot(found.evidence))
    (folder / SNAPSHOT_FILE).write_text(snapshot + "\n", encoding="utf-8")
    write_report(folder, manifest, found.evidence)


def _write_reasons(folder: Path, earlier: Dataset, found: CollectedRun, learned: Learned) -> dict[str, Any]:
    evidence = found.evidence
    return write_reasons(
        folder,
        evidence.features,
        evidence.training_inputs,
        earlier.targets,
        evidence.training_scores,
        evidence.importance,
        learned.trained.predict,
        learned.trained.method,
    )


def _promote(home: Path, added: ModelVersion, manifest: dict[str, Any], source: Source, config: RunConfig) -> Result:
    before = current_version(home)
    refusals = tuple(gate["sentence"] for gate in manifest["gates"] if gate["passed"] is False)
    unservable, notes = check_served(manifest, source, config.view)
    kept = Result(added, manifest, before == added.version, before, refusals, unservable, notes)
    if unservable or (refusals and not config.force):
        return kept
    mode = TRAINED_MODE if moves_customers(home.name) else "emit"
    try:
        line = promote(
            home,
            added.version,
            at=datetime.now(UTC),
            by=current_user(),
            why=config.why,
            forced=config.force,
            mode=mode,
        )
    except PromotionRefusedError as error:
        return replace(kept, refusals=(*refusals, str(error)))
    return replace(kept, promoted=True, notes=(*notes, TRAINED_NOTE) if line and line.changeover else notes)


def _window(dataset: Dataset) -> dict[str, Any]:
    days = np.unique(dataset.dates[~np.isnat(dataset.dates)])
    observed = dataset.targets[dataset.targets >= 0]
    return {
        "rows": len(dataset),
        "customers": len(set(dataset.table.customer_ids)),
        "dates": [str(day) for day in days],
        "rate": round(float(observed.mean(dtype=np.float64)), 6) if len(observed) else None,
    }


def _last_day(dataset: Dataset) -> list[str]:
    days = dataset.dates[~np.isnat(dataset.dates)]
    return [str(days.max()).replace("-", "")] if len(days) else []
