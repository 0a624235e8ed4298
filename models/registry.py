"""Loads the scorer of every task: a model where one can serve, otherwise a rule."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from models.errors import HistoryError, ModelLoadError, VersionError
from models.mock import MockScorer
from models.rfm import RfmCuts, load_cuts
from models.routing import load_model
from models.rules import RuleScorer
from models.tasks.registry import TASKS
from models.versions import CURRENT_FILE, current_version, read_history, read_version, trace_promotions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from models.ports import Scorer
    from models.routing import RoutedScorer
    from models.tasks.protocol import ModelTask
    from models.tflite import TFLiteScorer

RFM_FILE = "rfm.json"
NOTHING_SERVES = "; no model serves"
SHIPPED_OFFERS = 8
"""The highest id of the shipped offers.json; a worker passes that of its own file."""


@dataclass(frozen=True, slots=True)
class Scorers:
    """Everything that scores a customer.

    Attributes:
        by_name: the scorer of each task, a model or a rule, by the name of the task; an optional task without a model
            is left out.
        rfm: cut points of RFM and of value segments.
        offers: the highest offer id of the offers file: how many scores a customer has for next best offer.
        refused: why a version that is promoted cannot serve and what does, in words, by name.
    """

    by_name: Mapping[str, Scorer]
    rfm: RfmCuts
    offers: int = SHIPPED_OFFERS
    refused: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Scorer:
        return self.by_name[name]

    @property
    def versions(self) -> dict[str, str]:
        """The version of each scorer, by name."""
        return {name: scorer.version for name, scorer in self.by_name.items()}

    @property
    def reasons(self) -> dict[str, str]:
        """Why a rule stands in, for each scorer that is one."""
        return {name: scorer.reason for name, scorer in self.by_name.items() if isinstance(scorer, RuleScorer)}

    def with_scorer(self, name: str, scorer: Scorer) -> Scorers:
        """Return the same with another scorer for a task."""
        return replace(self, by_name={**self.by_name, name: scorer})


def load_scorers(
    models_dir: Path,
    feature_mapping: Mapping[str, str],
    input_size: int | None = None,
    *,
    offers: int = SHIPPED_OFFERS,
    mock: bool = False,
) -> Scorers:
    """Load the models of a folder.

    Where the version that is promoted cannot serve, the one that was promoted last before it and can does; a rule
    where there is none.

    Args:
        models_dir: holds a folder for each task, laid out as models/versions.py says, and rfm.json.
        feature_mapping: the model's name of each feature, and the warehouse column it is read from.
        input_size: ML_MODEL_INPUT_SIZE; when given, the mapping must have as many entries.
        offers: the highest offer id of the offers file.
        mock: score by customer id instead of by model.

    Raises:
        ModelLoadError: input_size contradicts the mapping.
        RfmDefinitionError: rfm.json is there and cannot be used.
    """
    if input_size is not None and input_size != len(feature_mapping):
        raise ModelLoadError(
            f"ML_MODEL_INPUT_SIZE is {input_size}, but ML_FEATURE_MAPPING names {len(feature_mapping)} "
            "features; make them agree, or leave the size out"
        )
    rfm = load_cuts(models_dir / RFM_FILE)
    if mock:
        mocked = [task for task in TASKS.values() if not task.is_optional]
        mocks = {task.name: MockScorer(task.name, task.outputs(offers)[0], task.mock_scale) for task in mocked}
        return Scorers(mocks, rfm, offers)
    loaded = {name: _load(models_dir / name, task, feature_mapping, offers) for name, task in TASKS.items()}
    refused = {name: f"{name}: {refusal}" for name, (_, refusal) in loaded.items() if refusal is not None}
    serving = {name: scorer for name, (scorer, _) in loaded.items() if not _is_left_out(TASKS[name], scorer)}
    return Scorers(serving, rfm, offers, refused)


def _is_left_out(task: ModelTask, scorer: Scorer) -> bool:
    return task.is_optional and isinstance(scorer, RuleScorer)


def version_fingerprint(models_dir: Path) -> tuple[bytes | None, ...]:
    """Return the promoted versions and the RFM cut points as bytes; it changes when they do."""
    return tuple(map(_mark, (*(models_dir / name / CURRENT_FILE for name in TASKS), models_dir / RFM_FILE)))


def _mark(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def keep_models(serving: Scorers, found: Scorers) -> Scorers:
    """Return the scorers to go on with: no rule takes the place of a model that serves.

    Args:
        serving: those that serve.
        found: those loaded now.
    """
    kept, refused = found, dict(found.refused)
    for name, scorer in serving.by_name.items():
        if isinstance(scorer, RuleScorer):
            continue
        if name not in found.by_name:
            kept = kept.with_scorer(name, scorer)
            reason = found.refused.get(name, f"{name}: no model promoted").removesuffix(NOTHING_SERVES)
            refused[name] = f"{reason}; {scorer.version} serves"
        elif name in found.reasons:
            kept = kept.with_scorer(name, scorer)
            refused[name] = f"{name}: {found.reasons[name]}; {scorer.version} serves"
        elif scorer.version == found.versions[name]:
            # Its interpreters are ready.
            kept = kept.with_scorer(name, scorer)
    return replace(kept, refused=refused)


def load_version(
    home: Path, version: str, feature_mapping: Mapping[str, str], offers: int = SHIPPED_OFFERS
) -> TFLiteScorer | RoutedScorer:
    """Load a version of a model and check that it can serve.

    Args:
        home: the model's folder, <models_dir>/<name>.
        version: the version's name.
        feature_mapping: the model's name of each feature, and the warehouse column it is read from.
        offers: the highest offer id of the offers file.

    Raises:
        ModelLoadError: it cannot be loaded, or has another number of outputs than its task.
        NoVersionError, VersionError: see models/versions.py.
    """
    scorer = load_model(read_version(home, version).folder, feature_mapping)
    task, found = TASKS.get(home.name), scorer.manifest["outputs"]
    if task is not None and found not in task.outputs(offers):
        raise ModelLoadError(f"{home}: {task.explain_outputs(found, offers)}")
    return scorer


def _load(home: Path, task: ModelTask, feature_mapping: Mapping[str, str], offers: int) -> tuple[Scorer, str | None]:
    """Return what serves, and why the version that is promoted does not; None where it does or none is."""
    rule = partial(task.apply_rule, offers=offers)
    current = None
    try:
        current = current_version(home)
        if current is None:
            return RuleScorer(rule, f"no model promoted at {home}"), None
        return load_version(home, current, feature_mapping, offers), None
    except (ModelLoadError, VersionError) as error:
        refusal = f"{current or 'the version promoted'} is refused ({error})"
    scorer = _load_earlier(home, current, feature_mapping, offers)
    if scorer is None:
        return RuleScorer(rule, refusal), f"{refusal}{NOTHING_SERVES if task.is_optional else '; rules decide'}"
    return scorer, f"{refusal}; {scorer.version} serves"


def _load_earlier(home: Path, current: str | None, feature_mapping: Mapping[str, str], offers: int) -> Scorer | None:
    """Return the version that was promoted last before the current one and can serve."""
    try:
        earlier = trace_promotions(read_history(home), current)
    except HistoryError:
        return None
    for version in dict.fromkeys(reversed(earlier)):
        if version != current:
            with suppress(ModelLoadError, VersionError):
                return load_version(home, version, feature_mapping, offers)
    return None
