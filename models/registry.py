"""Which scorer serves which question: a model where there is one, a rule where there is none."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from models.errors import HistoryError, ModelLoadError, VersionError
from models.mock import MockScorer
from models.rfm import RfmCuts, load_cuts
from models.routing import load_model
from models.rules import YEAR_DAYS, RuleScorer, churn_rule, lifetime_value_rule, offers_rule
from models.versions import CURRENT_FILE, current_version, read_history, read_version, trace_promotions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from models.ports import Scorer
    from models.routing import RoutedScorer
    from models.rules import Rule
    from models.tflite import TFLiteScorer

OFFERS = 8
MOCK_LIFETIME_VALUE = 5000.0
RFM_FILE = "rfm.json"
OUTPUTS: Mapping[str, tuple[int, ...]] = {"churn": (1,), "nbo": (OFFERS,), "ltv": (1, 3)}
"""How many scores a model may give; of lifetime value also the lower and the upper bound of its interval."""
RULES: Mapping[str, Rule] = {"churn": churn_rule, "nbo": offers_rule, "ltv": lifetime_value_rule}
NAMES = tuple(OUTPUTS)


@dataclass(frozen=True, slots=True)
class ValueScale:
    """How the scores of a model of lifetime value become money in 12 months and a value segment.

    Attributes:
        factor: 365 over the days of spend that the model was trained on: it goes on at the same rate.
        cuts: where a 12-month value is medium and high; None for those of rfm.json.
    """

    factor: float = 1.0
    cuts: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Scorers:
    """Everything that scores a customer.

    Attributes:
        churn: probability of no purchase in the coming 90 days, 1 output.
        offers: probability of converting on each offer, 8 outputs, offer id i at position i - 1.
        ltv: spend expected in the window that the model was trained on, and perhaps its bounds: 1 or 3 outputs;
            the rule's is of 12 months.
        rfm: cut points of RFM and of value segments.
        refused: why a version that is promoted cannot serve and what does, in words, by name.
    """

    churn: Scorer
    offers: Scorer
    ltv: Scorer
    rfm: RfmCuts
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def value(self) -> ValueScale:
        """What a score of the ltv model stands for; a rule's stands for itself."""
        manifest: Mapping[str, Any] = getattr(self.ltv, "manifest", {})
        cuts: list[float] | None = manifest.get("value_cuts")
        factor = YEAR_DAYS / (manifest.get("window_days") or YEAR_DAYS)
        return ValueScale(factor, (cuts[0], cuts[1]) if cuts else None)

    @property
    def by_name(self) -> dict[str, Scorer]:
        """Each scorer under the name of its model's folder."""
        return {"churn": self.churn, "nbo": self.offers, "ltv": self.ltv}

    @property
    def versions(self) -> dict[str, str]:
        """The version of each scorer, by name."""
        return {name: scorer.version for name, scorer in self.by_name.items()}

    @property
    def reasons(self) -> dict[str, str]:
        """Why a rule stands in, for each scorer that is one."""
        return {name: scorer.reason for name, scorer in self.by_name.items() if isinstance(scorer, RuleScorer)}

    def with_scorer(self, name: str, scorer: Scorer) -> Scorers:
        """Return the same with another scorer under a name: churn, nbo or ltv."""
        if name == "churn":
            return replace(self, churn=scorer)
        return replace(self, ltv=scorer) if name == "ltv" else replace(self, offers=scorer)


def load_scorers(
    models_dir: Path, feature_mapping: Mapping[str, str], input_size: int | None = None, *, mock: bool = False
) -> Scorers:
    """Load the models of a folder.

    Where the version that is promoted cannot serve, the one that was promoted last before it and can does; a rule
    where there is none.

    Args:
        models_dir: holds churn/, nbo/ and ltv/, laid out as models/versions.py says, and rfm.json.
        feature_mapping: the model's name of each feature, and the warehouse column it is read from.
        input_size: ML_MODEL_INPUT_SIZE; when given, the mapping must have as many entries.
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
        value = MockScorer("ltv", 1, MOCK_LIFETIME_VALUE)
        return Scorers(MockScorer("churn", 1), MockScorer("nbo", OFFERS), value, rfm)
    loaded = {name: _load(models_dir / name, feature_mapping) for name in NAMES}
    refused = {name: f"{name}: {refusal}" for name, (_, refusal) in loaded.items() if refusal is not None}
    scorers = {name: scorer for name, (scorer, _) in loaded.items()}
    return Scorers(scorers["churn"], scorers["nbo"], scorers["ltv"], rfm, refused)


def read_marks(models_dir: Path) -> tuple[bytes | None, ...]:
    """Return what tells that other versions, or other cut points, are to serve: it differs when they do."""
    return tuple(map(_mark, (*(models_dir / name / CURRENT_FILE for name in NAMES), models_dir / RFM_FILE)))


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
        if name in found.reasons:
            kept = kept.with_scorer(name, scorer)
            refused[name] = f"{name}: {found.reasons[name]}; {scorer.version} serves"
        elif scorer.version == found.versions[name]:
            # Its interpreters are ready.
            kept = kept.with_scorer(name, scorer)
    return replace(kept, refused=refused)


def load_version(home: Path, version: str, feature_mapping: Mapping[str, str]) -> TFLiteScorer | RoutedScorer:
    """Load a version of a model and check that it can serve.

    Args:
        home: the model's folder, <models_dir>/<name>.
        version: the version's name.
        feature_mapping: the model's name of each feature, and the warehouse column it is read from.

    Raises:
        ModelLoadError: it cannot be loaded, or has other outputs than its name stands for.
        NoVersionError, VersionError: see models/versions.py.
    """
    scorer = load_model(read_version(home, version).folder, feature_mapping)
    outputs = OUTPUTS.get(home.name)
    if outputs and scorer.manifest["outputs"] not in outputs:
        needed = " or ".join(map(str, outputs))
        raise ModelLoadError(f"{home}: the model has {scorer.manifest['outputs']} outputs, {needed} are needed")
    return scorer


def _load(home: Path, feature_mapping: Mapping[str, str]) -> tuple[Scorer, str | None]:
    """Return what serves, and why the version that is promoted does not; None where it does or none is."""
    current = None
    try:
        current = current_version(home)
        if current is None:
            return RuleScorer(RULES[home.name], f"no model promoted at {home}"), None
        return load_version(home, current, feature_mapping), None
    except (ModelLoadError, VersionError) as error:
        refusal = f"{current or 'the version promoted'} is refused ({error})"
    scorer = _load_earlier(home, current, feature_mapping)
    if scorer is None:
        return RuleScorer(RULES[home.name], refusal), f"{refusal}; rules decide"
    return scorer, f"{refusal}; {scorer.version} serves"


def _load_earlier(home: Path, current: str | None, feature_mapping: Mapping[str, str]) -> Scorer | None:
    """Return the version that was promoted last before the current one and can serve."""
    try:
        earlier = trace_promotions(read_history(home), current)
    except HistoryError:
        return None
    for version in dict.fromkeys(reversed(earlier)):
        if version != current:
            with suppress(ModelLoadError, VersionError):
                return load_version(home, version, feature_mapping)
    return None
