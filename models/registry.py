"""Loads the scorer of every task: a model where one can serve, otherwise a rule."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from models.changeovers import NONE, Serving, find_changeover, find_former
from models.errors import HistoryError, ModelLoadError, VersionError
from models.experiments import EXPERIMENTS_FILE
from models.feature_labels import LABELS_FILE, load_labels
from models.lead_model import load_lead_scorer
from models.leads import LEADS, THRESHOLDS, WEIGHTS_FILE, LeadScorer
from models.mock import MockScorer
from models.regular_file import read_regular_file
from models.rfm import RISK_THRESHOLDS, RfmCuts, load_cuts
from models.routing import load_model
from models.rules import RuleScorer
from models.scores import TOLERANCE
from models.sentiment import MessageReader, load_concerns, shipped_taxonomy
from models.tasks.registry import TASKS
from models.tasks.sentiment import Sentiment
from models.text_model import TextScorer
from models.tflite import UNBOUNDED
from models.versions import CURRENT_FILE, read_history, read_serving, read_version, trace_promotions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from models.feature_labels import FeatureLabel
    from models.ports import Scorer
    from models.routing import RoutedScorer
    from models.rules import Rule
    from models.tasks.protocol import ModelTask
    from models.taxonomy import Taxonomy
    from models.tflite import TFLiteScorer
    from models.trials import Trial

RFM_FILE = "rfm.json"
NO_FOLDER = "HOLDFAST_MODELS_DIR names no folder of models"
NOTHING_SERVES = "; no model serves"
MARK_BYTES = 2**20
SHIPPED_OFFERS = 8
"""The highest id of the shipped offers.json; a worker passes that of its own file."""


@dataclass(frozen=True, slots=True)
class FormerScorer:
    """What served before a changeover began, and the changeover under which it did."""

    scorer: Scorer
    changeover: str = NONE


@dataclass(frozen=True, slots=True)
class Scorers:
    """Everything that scores a customer.

    Attributes:
        by_name: the scorer of each task, a model or a rule, by the name of the task; an optional task without a model
            is left out.
        rfm: cut points of RFM, of value segments and of churn risk.
        offers: the highest offer id of the offers file: how many scores a customer has for next best offer.
        refused: why a version that is promoted cannot serve and what does, in words, by name.
        labels: what features are called in reasons, by feature or column.
        changeovers: the changeover under which each model serves, by name; models without one are missing.
        formers: what served before those of mode `new`, by name; missing where it cannot be loaded.
        trials: the experiments in force, by the name of the task.
        leads: scores leads.
        concerns: what is looked for in messages.
    """

    by_name: Mapping[str, Scorer]
    rfm: RfmCuts
    offers: int = SHIPPED_OFFERS
    refused: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, FeatureLabel] = field(default_factory=dict)
    changeovers: Mapping[str, str] = field(default_factory=dict)
    formers: Mapping[str, FormerScorer] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    leads: LeadScorer = field(default_factory=LeadScorer)
    concerns: Taxonomy = field(default_factory=shipped_taxonomy)

    def __getitem__(self, name: str) -> Scorer:
        return self.by_name[name]

    @property
    def reader(self) -> MessageReader:
        """What reads messages: by the model of sentiment where one serves."""
        model = self.by_name.get(Sentiment.name)
        return MessageReader(self.concerns, model if isinstance(model, TextScorer) else None)

    @property
    def versions(self) -> dict[str, str]:
        """The version of each scorer, by name."""
        return {name: scorer.version for name, scorer in self.by_name.items()}

    @property
    def reasons(self) -> dict[str, str]:
        """Why a rule stands in, for each scorer that is one."""
        return {name: scorer.reason for name, scorer in self.by_name.items() if isinstance(scorer, RuleScorer)}

    @property
    def challengers(self) -> dict[str, str]:
        """The version of each challenger that decides for a share of the customers, by name."""
        live = {name: trial.challenger for name, trial in self.trials.items() if not trial.experiment.is_shadow}
        return {name: scorer.version for name, scorer in live.items() if scorer is not None}

    @property
    def readers(self) -> tuple[Scorer, ...]:
        """Everything whose columns decide: the scorers, and the challengers that are no shadows."""
        live = (trial.challenger for trial in self.trials.values() if not trial.experiment.is_shadow)
        return (*self.by_name.values(), *(each for each in live if each is not None))

    def with_scorer(self, name: str, scorer: Scorer) -> Scorers:
        """Return the same with another scorer for a task."""
        return replace(self, by_name={**self.by_name, name: scorer})

    def with_changeovers_of(self, other: Scorers, name: str) -> Scorers:
        """Return the same with the changeover of a model, and what served before it, as another object has them."""
        own, others = (self.changeovers, self.formers), (other.changeovers, other.formers)
        changeovers, formers = (_with_entry(one, two, name) for one, two in zip(own, others, strict=True))
        return replace(self, changeovers=changeovers, formers=formers)

    def without_changeovers(self) -> Scorers:
        """Return the same without changeovers: one set of models for all time."""
        return replace(self, changeovers={}, formers={})


def _with_entry(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> dict[str, Any]:
    left = {key: value for key, value in one.items() if key != name}
    return {**left, name: other[name]} if name in other else left


def load_scorers(
    models_dir: Path | None,
    feature_mapping: Mapping[str, str],
    input_size: int | None = None,
    *,
    offers: int = SHIPPED_OFFERS,
    risk: tuple[float, float, float] = RISK_THRESHOLDS,
    mock: bool = False,
    lead_thresholds: tuple[float, float] = THRESHOLDS,
    concerns_file: Path | None = None,
) -> Scorers:
    """Load the models of a folder.

    Where the version that is promoted cannot serve, the one that was promoted last before it and can does; a rule
    where there is none.

    Args:
        models_dir: holds a folder for each task, laid out as models/versions.py says, rfm.json and labels.json; None
            where the settings name none.
        feature_mapping: the model's name of each feature, and the warehouse column it is read from.
        input_size: ML_MODEL_INPUT_SIZE; when given, the mapping must have as many entries.
        offers: the highest offer id of the offers file.
        risk: from which probability of churn on the risk is medium, high and critical.
        mock: score by customer id instead of by model.
        lead_thresholds: the least score of a warm and of a hot lead.
        concerns_file: what is looked for in messages; None for what is shipped.

    Raises:
        ModelLoadError: input_size contradicts the mapping.
        RfmDefinitionError: rfm.json is there and cannot be used.
        FeatureLabelError: labels.json is there and cannot be used.
        LeadWeightsError: leads.json is there and cannot be used.
        TaxonomyError: the file of concerns cannot be used.
    """
    if input_size is not None and input_size != len(feature_mapping):
        raise ModelLoadError(
            f"ML_MODEL_INPUT_SIZE is {input_size}, but ML_FEATURE_MAPPING names {len(feature_mapping)} "
            "features; make them agree, or leave the size out"
        )
    concerns = load_concerns(concerns_file)
    if models_dir is None or mock:
        scorers = {task.name: _stand_in(task, offers, mock=mock) for task in TASKS.values() if not task.is_optional}
        leads = LeadScorer(thresholds=lead_thresholds)
        cuts = RfmCuts() if models_dir is None else load_cuts(models_dir / RFM_FILE)
        return Scorers(scorers, replace(cuts, risk=risk), offers, leads=leads, concerns=concerns)
    rfm = replace(load_cuts(models_dir / RFM_FILE), risk=risk)
    labels = load_labels(models_dir / LABELS_FILE)
    leads, leads_refused = load_lead_scorer(models_dir, lead_thresholds)
    loaded = {name: _load(models_dir / name, task, feature_mapping, offers) for name, task in TASKS.items()}
    return Scorers(
        {name: each.scorer for name, each in loaded.items() if not _is_left_out(TASKS[name], each.scorer)},
        rfm,
        offers,
        {name: f"{name}: {each.refusal}" for name, each in loaded.items() if each.refusal is not None} | leads_refused,
        labels,
        {name: each.changeover for name, each in loaded.items() if each.changeover},
        {name: each.former for name, each in loaded.items() if each.former is not None},
        leads=leads,
        concerns=concerns,
    )


def _stand_in(task: ModelTask, offers: int, *, mock: bool) -> Scorer:
    if mock:
        return MockScorer(task.name, task.outputs(offers)[0], task.mock_scale)
    return RuleScorer(partial(task.apply_rule, offers=offers), NO_FOLDER)


def _is_left_out(task: ModelTask, scorer: Scorer) -> bool:
    return task.is_optional and isinstance(scorer, RuleScorer)


def version_fingerprint(models_dir: Path) -> tuple[bytes | None, ...]:
    """Return what serves as bytes: promoted versions, experiments, RFM cut points, labels; it changes when they do."""
    of_tasks = (models_dir / name / file for name in TASKS for file in (CURRENT_FILE, EXPERIMENTS_FILE))
    of_leads = (models_dir / LEADS / CURRENT_FILE, models_dir / WEIGHTS_FILE)
    return tuple(map(_mark, (*of_tasks, models_dir / RFM_FILE, models_dir / LABELS_FILE, *of_leads)))


def _mark(path: Path) -> bytes | None:
    try:
        return read_regular_file(path, MARK_BYTES, follow=True)
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
            kept = kept.with_scorer(name, scorer).with_changeovers_of(serving, name)
            refused[name] = f"{name}: {found.reasons[name]}; {scorer.version} serves"
        elif scorer.version == found.versions[name]:
            # Its interpreters are ready.
            kept = kept.with_scorer(name, scorer)
    if LEADS in refused and serving.leads.model is not None:
        kept = replace(kept, leads=replace(found.leads, model=serving.leads.model))
    return replace(kept, refused=refused)


def load_version(
    home: Path, version: str, feature_mapping: Mapping[str, str], offers: int = SHIPPED_OFFERS
) -> TFLiteScorer | RoutedScorer | TextScorer:
    """Load a version of a model and check that it can serve.

    Args:
        home: the model's folder, <models_dir>/<name>.
        version: the version's name.
        feature_mapping: the model's name of each feature, and the warehouse column it is read from.
        offers: the highest offer id of the offers file.

    Raises:
        ModelLoadError: it cannot be loaded, or gives another number of scores than its task, or none in its range.
        NoVersionError, VersionError: see models/versions.py.
    """
    folder, task = read_version(home, version).folder, TASKS.get(home.name)
    if task is not None and task.reads_messages:
        return TextScorer.load(folder)
    bounds = (task.lowest - TOLERANCE, task.highest + TOLERANCE) if task else UNBOUNDED
    scorer = load_model(folder, feature_mapping, bounds)
    found = scorer.manifest["outputs"]
    if scorer.version != version:
        raise ModelLoadError(f"{folder}: its manifest was changed while it was read; try again")
    if task is not None and found not in task.outputs(offers):
        raise ModelLoadError(f"{home}: {task.explain_outputs(found, offers)}")
    return scorer


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What serves, why the version that is promoted does not, and the changeover."""

    scorer: Scorer
    refusal: str | None = None
    changeover: str = NONE
    former: FormerScorer | None = None


def _load(home: Path, task: ModelTask, feature_mapping: Mapping[str, str], offers: int) -> _Loaded:
    """Return what serves: the version promoted, an earlier one, or a rule."""
    rule = partial(task.apply_rule, offers=offers)
    load = partial(load_version, home, feature_mapping=feature_mapping, offers=offers)
    serving = Serving(None)
    try:
        serving = read_serving(home)
        if serving.version is None:
            return _Loaded(RuleScorer(rule, f"no model promoted at {home}"))
        promoted = load(serving.version)
        former = _load_former(home, serving.changeover, load, rule)
        return _Loaded(promoted, None, serving.changeover, former)
    except (ModelLoadError, VersionError) as error:
        refusal = f"{serving.version or 'the version promoted'} is refused ({error})"
    earlier = _load_earlier(home, serving.version, load)
    if earlier is None:
        return _Loaded(
            RuleScorer(rule, refusal), f"{refusal}{NOTHING_SERVES if task.is_optional else '; rules decide'}"
        )
    scorer, changeover = earlier
    refusal = f"{refusal}; {scorer.version} serves"
    return _Loaded(scorer, refusal, changeover, _load_former(home, changeover, load, rule))


def _load_earlier(home: Path, current: str | None, load: Callable[[str], Scorer]) -> tuple[Scorer, str] | None:
    """Return the version that was promoted last before the current one and can serve, and its changeover."""
    try:
        history = read_history(home)
    except HistoryError:
        return None
    for version in dict.fromkeys(reversed(trace_promotions(history, current))):
        if version != current:
            with suppress(ModelLoadError, VersionError):
                return load(version), find_changeover(history, version)
    return None


def _load_former(home: Path, changeover: str, load: Callable[[str], Scorer], rule: Rule) -> FormerScorer | None:
    """Return what served before a changeover of mode `new`; None where nothing is compared or it cannot be loaded."""
    if not changeover.endswith("-new"):
        return None
    with suppress(ModelLoadError, VersionError):
        former = find_former(read_history(home), changeover)
        if former is not None:
            scorer = RuleScorer(rule, "no model was promoted") if former.version is None else load(former.version)
            return FormerScorer(scorer, former.changeover)
    return None
