"""Which scorer serves which question: a model where there is one, a rule where there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from models.errors import ModelLoadError, VersionError
from models.mock import MockScorer
from models.rfm import RfmCuts, load_cuts
from models.routing import load_model
from models.rules import YEAR_DAYS, RuleScorer, churn_rule, lifetime_value_rule, offers_rule
from models.versions import CURRENT_FILE, read_current

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from models.ports import Scorer
    from models.rules import Rule

OFFERS = 8
MOCK_LIFETIME_VALUE = 5000.0
RFM_FILE = "rfm.json"
NAMES = ("churn", "nbo", "ltv")


LTV_OUTPUTS = (1, 3)
"""Expected spend, and perhaps the lower and the upper bound of its interval."""


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
    """

    churn: Scorer
    offers: Scorer
    ltv: Scorer
    rfm: RfmCuts

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
    """Load the models of a folder, a rule for each that is missing or refused.

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
    return Scorers(
        churn=_load(models_dir / "churn", feature_mapping, (1,), churn_rule),
        offers=_load(models_dir / "nbo", feature_mapping, (OFFERS,), offers_rule),
        ltv=_load(models_dir / "ltv", feature_mapping, LTV_OUTPUTS, lifetime_value_rule),
        rfm=rfm,
    )


def read_marks(models_dir: Path) -> tuple[bytes | None, ...]:
    """Return what tells that other versions, or other cut points, are to serve: it differs when they do."""
    return tuple(map(_mark, (*(models_dir / name / CURRENT_FILE for name in NAMES), models_dir / RFM_FILE)))


def _mark(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def keep_models(serving: Scorers, found: Scorers) -> tuple[Scorers, tuple[str, ...]]:
    """Return the scorers to go on with, and what was refused: no rule takes the place of a model that serves.

    Args:
        serving: those that serve.
        found: those loaded now.
    """
    refused = {name: why for name, why in found.reasons.items() if name not in serving.reasons}
    kept = found
    for name in refused:
        kept = kept.with_scorer(name, serving.by_name[name])
    versions = serving.versions
    return kept, tuple(f"{name}: {versions[name]} goes on, another is refused: {why}" for name, why in refused.items())


def _load(home: Path, feature_mapping: Mapping[str, str], outputs: tuple[int, ...], rule: Rule) -> Scorer:
    try:
        current = read_current(home)
        if current is None:
            return RuleScorer(rule, f"no model promoted at {home}")
        scorer = load_model(current.folder, feature_mapping)
    except (ModelLoadError, VersionError) as error:
        return RuleScorer(rule, str(error))
    if scorer.manifest["outputs"] not in outputs:
        needed = " or ".join(map(str, outputs))
        return RuleScorer(rule, f"{home}: the model has {scorer.manifest['outputs']} outputs, {needed} are needed")
    return scorer
