"""One training run of a text model, from labelled texts to a version on disk, promoted or refused. Read this first."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import plain
from models.current_user import current_user
from models.errors import ModelError, PromotionRefusedError, VersionError
from models.registry import load_version
from models.sentiment import MessageReader
from models.text_inputs import read_inputs
from models.text_model import CLASSES, TextScorer
from models.versions import (
    CARD_FILE,
    MODEL_FILE,
    add_version,
    current_version,
    promote,
    read_current,
    staging_folder,
)
from training.errors import ExportError, TrainingDataError
from training.evaluation.gates import promotable
from training.nets.export import write_manifest, write_version
from training.report.model_card import write_model_card
from training.run import Result
from training.text.evaluation import evaluate, evaluate_gates, majority_scores, vader_scores
from training.text.export import convert
from training.text.head import fit_head
from training.text.manifest import describe_inputs
from training.text.report import write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.versions import ModelVersion
    from training.text.labels import LabelledTexts

NAME = "sentiment"
STEPS = 5
HELD_OUT = 5
"""One text of so many is held out."""
LEAST_OF_CLASS = 10
CHUNK, TIMED = 256, 200
CLOSE = 1e-3
LIMITS = (
    "Evaluation is on other texts of the same file, not on later ones.",
    "A message in a language that the texts were not in is not read: it is neutral and marked.",
    "Signals that were folded before keep the sentiment that their messages had then.",
)


@dataclass(frozen=True, slots=True)
class TextRunConfig:
    """Configuration of a run.

    Attributes:
        out: folder of the models.
        seed: chooses the texts that are held out.
        force: promote although a gate refuses; only with `why`.
        why: the reason, kept in the history.
    """

    out: Path
    seed: int = 1
    force: bool = False
    why: str = ""


def train_sentiment(
    read: LabelledTexts, config: TextRunConfig, progress: Callable[[str], None] = lambda _: None
) -> Result:
    """Split, fit, export, evaluate the exported model, report, add the version, promote it if it passed.

    Raises:
        TrainingError: there are too few texts, or the export fails; nothing was added.
    """
    home = config.out / NAME
    try:
        champion = read_current(home)
        held = split(read.labels, config.seed)
        progress("fit")
        inputs = _read_inputs(read.texts)
        content = convert(fit_head(inputs[~held], read.labels[~held], seed=config.seed))
        with staging_folder(home) as folder:
            progress("export")
            manifest = write_version(folder, {MODEL_FILE: content}, _describe(read, held, config))
            progress("evaluate")
            manifest = _evaluate(manifest, TextScorer.load(folder), read, held, home, champion, config)
            progress("report")
            (folder / CARD_FILE).write_text(write_model_card(manifest, None), encoding="utf-8")
            write_report(folder, manifest)
            write_manifest(folder, manifest)
            added = add_version(home, folder, at=datetime.now(UTC), by=current_user())
        progress("promote")
        return _promote(home, added, manifest, config)
    except ModelError as error:
        raise ExportError(str(error)) from error
    except OSError as error:
        raise ExportError(f"{home}: cannot be written ({error}); choose another --out") from error


def split(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Return which texts are held out, shape [texts]: a fifth of each class.

    Raises:
        TrainingDataError: a class has too few texts to learn from.
    """
    counts = np.bincount(labels, minlength=len(CLASSES))
    if few := [f"{count} {name}" for name, count in zip(CLASSES, counts, strict=True) if count < LEAST_OF_CLASS]:
        raise TrainingDataError(
            f"too few texts: {', '.join(few)}; {LEAST_OF_CLASS} of each class are needed, a few hundred to be promoted"
        )
    held = np.zeros(len(labels), dtype=np.bool_)
    generator = np.random.default_rng(seed)
    for place in range(len(CLASSES)):
        rows = generator.permutation(np.flatnonzero(labels == place))
        held[rows[: -(-len(rows) // HELD_OUT)]] = True
    return held


def _read_inputs(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.concatenate([read_inputs(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)])


def _describe(read: LabelledTexts, held: NDArray[np.bool_], config: TextRunConfig) -> dict[str, Any]:
    today = datetime.now(UTC).strftime("%Y%m%d")
    return {
        "format": 1,
        "name": NAME,
        "version": f"{NAME}-{today}",
        "parent": None,
        "method": "hashed n-grams of words and characters, two linear classifiers, temperature",
        "features": ["text"],
        "columns": {},
        "dtype": "float32",
        "outputs": len(CLASSES),
        "label": "label",
        "outcome": ", ".join(CLASSES),
        "text": describe_inputs(read.find_languages()),
        "training": {
            "rows": int((~held).sum()),
            "dates": [],
            "seed": config.seed,
            "split": "one text of five held out, of each class",
            "evaluation": {"rows": int(held.sum()), "dates": []},
            "data_sha256": read.sha256,
            "file": dict(read.counts),
            "encoding": read.encoding,
            "warnings": read.warn(),
        },
        "limits": list(LIMITS),
    }


def _evaluate(
    manifest: dict[str, Any],
    scorer: TextScorer,
    read: LabelledTexts,
    held: NDArray[np.bool_],
    home: Path,
    champion: ModelVersion | None,
    config: TextRunConfig,
) -> dict[str, Any]:
    texts = [text for text, is_held in zip(read.texts, held, strict=True) if is_held]
    scores = scorer.score_texts(texts).astype(np.float64)
    if not np.isfinite(scores).all():
        raise ExportError("the exported model gives scores that are not numbers; train it again")
    others = {
        "vader": vader_scores(texts),
        "always_majority": majority_scores(read.labels[~held], len(texts)),
    }
    if champion is not None and (served := _load_champion(home, champion)) is not None:
        others["champion"] = served.score_texts(texts).astype(np.float64)
    metrics = evaluate(scores, others, read.labels[held], measure_speed(scorer, texts[:TIMED]))
    gates = evaluate_gates(metrics)
    evaluated = manifest | {"metrics": metrics, "gates": [asdict(gate) for gate in gates]}
    if config.force and not promotable(gates):
        evaluated["promotion"] = {"forced": True, "why": config.why, "by": current_user()}
    as_json: dict[str, Any] = json.loads(json.dumps(evaluated, default=plain))
    return as_json


def _load_champion(home: Path, champion: ModelVersion) -> TextScorer | None:
    try:
        scorer = load_version(home, champion.version, {})
    except ModelError:
        # A version of an earlier scheme cannot serve, so there is nothing to compare with.
        return None
    return scorer if isinstance(scorer, TextScorer) else None


def measure_speed(scorer: TextScorer, texts: Sequence[str]) -> float:
    """Return the processor time to read a message, ms: all of the reading, one message at a time."""
    reader = MessageReader(model=scorer)
    reader.read(texts[:1])
    began = time.thread_time()
    for text in texts:
        reader.read([text])
    return (time.thread_time() - began) / len(texts) * 1e3


def _promote(home: Path, added: ModelVersion, manifest: dict[str, Any], config: TextRunConfig) -> Result:
    before = current_version(home)
    refusals = tuple(gate["sentence"] for gate in manifest["gates"] if gate["passed"] is False)
    if refusals and not config.force:
        return Result(added, manifest, before == added.version, before, refusals)
    try:
        promote(home, added.version, at=datetime.now(UTC), by=current_user(), why=config.why, forced=config.force)
    except PromotionRefusedError as error:
        return Result(added, manifest, before == added.version, before, (*refusals, str(error)))
    except VersionError as error:
        raise ExportError(str(error)) from error
    return Result(added, manifest, promoted=True, before=before, refusals=refusals)
