"""Lead scores from 0 to 100, their tiers and reasons: by points until a model is trained, then by the model. Pure.

The points are data: models/lead_weights.json, or leads.json in the folder of the models. A feature earns its points in
proportion to its place between `worst` and `best`; an unknown one earns none. See docs/leads.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, get_args

import msgspec
from msgspec import Meta

from models.errors import LeadWeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Lead = Mapping[str, float | None]
    """The features of a lead by name; one that is missing or None is unknown."""

FEATURES = (
    "urgency_score",
    "days_since_contact",
    "response_rate",
    "budget_specified",
    "contact_completeness",
    "profile_delta",
    "concern_count",
    "previous_purchase_count",
)
ALIASES = {"skin_age": "profile_delta", "previous_treatment_count": "previous_purchase_count"}
"""Other names of features, and the feature each is."""
LEADS = "leads"
"""The name of the model's folder."""
WEIGHTS_FILE = "leads.json"
FULL = 100.0
THRESHOLDS = (50.0, 80.0)
"""The least score of a warm and of a hot lead."""
_EXACT = 1e-6

Tier = Literal["cold", "warm", "hot"]
TIERS: tuple[Tier, ...] = get_args(Tier)


Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Days = Annotated[float, Meta(ge=0, le=100_000)]
Delta = Annotated[float, Meta(ge=-1_000_000, le=1_000_000)]


class LeadFeatures(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The features of a lead with their ranges, under all of their names; None is unknown."""

    urgency_score: Share | None = None
    days_since_contact: Days | None = None
    response_rate: Share | None = None
    budget_specified: bool | None = None
    contact_completeness: Share | None = None
    profile_delta: Delta | None = None
    skin_age: Delta | None = None
    concern_count: Count | None = None
    previous_purchase_count: Count | None = None
    previous_treatment_count: Count | None = None

    @property
    def features(self) -> dict[str, float | None]:
        """The features by their first names."""
        read = {name: getattr(self, name) for name in FEATURES}
        read.update((name, getattr(self, alias)) for alias, name in ALIASES.items() if read[name] is None)
        return {name: None if value is None else float(value) for name, value in read.items()}

    def find_problem(self) -> str | None:
        """Return why the features cannot be used, None when they can."""
        for alias, name in ALIASES.items():
            first, second = getattr(self, name), getattr(self, alias)
            if None not in (first, second) and first != second:
                return f"{name} is {first:g} and {alias}, another name of it, is {second:g}; give one of them"
        if all(value is None for value in self.features.values()):
            return f"there is no feature; give at least one of {', '.join(FEATURES)}"
        return None


class FeatureWeight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The points of a feature.

    Attributes:
        points: what the best value earns.
        worst: the value that earns nothing, as does any beyond it.
        best: the value that earns all, as does any beyond it; it may be below `worst`.
    """

    points: Annotated[float, Meta(ge=0, le=FULL)]
    worst: float
    best: float

    def earn(self, value: float | None) -> float:
        """Return the points of a value."""
        if value is None:
            return 0.0
        share = (value - self.worst) / (self.best - self.worst)
        return self.points * min(max(share, 0.0), 1.0)


class LeadWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The points of every feature; together 100.

    Attributes:
        version: recorded with each score.
        features: by name.
    """

    version: Annotated[str, Meta(min_length=1, max_length=80)]
    features: dict[str, FeatureWeight]


@dataclass(frozen=True, slots=True)
class LeadScore:
    """A score.

    Attributes:
        score: from 0 to 100, with one decimal.
        version: of the points or of the model.
        basis: `points` or `model`.
        probability: that the lead converts, by a model; None by points.
    """

    score: float
    version: str
    basis: str
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class LeadReason:
    """What a feature contributes to a score.

    Attributes:
        feature: its name.
        value: of the lead; None if unknown.
        contribution: points of the score by points; of a model, what it adds to the probability, times 100.
        text: for a person.
    """

    feature: str
    value: float | None
    contribution: float
    text: str


class LeadModel(Protocol):
    """A trained model of leads."""

    version: str

    def score(self, leads: Sequence[Lead]) -> list[LeadScore | None]:
        """Return the score of each lead; None where the model gives none that can be used."""

    def explain(self, lead: Lead) -> tuple[LeadReason, ...]:
        """Return the reasons, the largest first; none of a version that was trained without a background."""


def load_weights(path: Path | None = None) -> LeadWeights:
    """Read points from a JSON file; the shipped ones where there is no file.

    Raises:
        LeadWeightsError: the file is there and cannot be used.
    """
    if path is None or not path.exists():
        shipped = files("models").joinpath("lead_weights.json").read_bytes()
        return msgspec.json.decode(shipped, type=LeadWeights)
    try:
        weights = msgspec.json.decode(path.read_bytes(), type=LeadWeights)
    except (OSError, ValueError, RecursionError) as error:
        raise LeadWeightsError(f"{path}: points of leads cannot be read ({error}); see docs/leads.md") from error
    if problem := _find_problem(weights):
        raise LeadWeightsError(f"{path}: {problem}; see docs/leads.md")
    return weights


def _find_problem(weights: LeadWeights) -> str | None:
    if unknown := sorted(weights.features.keys() - set(FEATURES)):
        return f"{unknown[0]!r} is no feature of a lead; features are {', '.join(FEATURES)}"
    if equal := [name for name, each in weights.features.items() if each.worst == each.best]:
        return f"worst and best of {equal[0]} are equal; a value between them earns points in proportion"
    total = sum(each.points for each in weights.features.values())
    return None if abs(total - FULL) < _EXACT else f"the points sum to {total:g}; they must sum to {FULL:g}"


@dataclass(frozen=True, slots=True)
class LeadScorer:
    """Scores leads: by the model, and by points those that it gives no score.

    Attributes:
        weights: the points.
        thresholds: the least score of a warm and of a hot lead.
        model: None until one is promoted.
    """

    weights: LeadWeights = field(default_factory=load_weights)
    thresholds: tuple[float, float] = THRESHOLDS
    model: LeadModel | None = None

    @property
    def version(self) -> str:
        """The version of what scores: of the model, or of the points."""
        return self.model.version if self.model else self.weights.version

    def score(self, leads: Sequence[Lead]) -> list[LeadScore]:
        """Return the score of each lead."""
        found: Sequence[LeadScore | None] = self.model.score(leads) if self.model and leads else [None] * len(leads)
        return [given or self.score_by_points(lead) for given, lead in zip(found, leads, strict=True)]

    def score_by_points(self, lead: Lead) -> LeadScore:
        """Return the sum of the points."""
        earned = sum(each.earn(lead.get(name)) for name, each in self.weights.features.items())
        return LeadScore(round(earned, 1), self.weights.version, "points")

    def explain(self, lead: Lead, basis: str) -> tuple[LeadReason, ...]:
        """Return what each feature contributes to a score with this basis, the largest first."""
        if basis == "model":
            return self.model.explain(lead) if self.model else ()
        reasons = [self._explain_points(name, each, lead.get(name)) for name, each in self.weights.features.items()]
        return tuple(sorted(reasons, key=lambda each: -each.contribution))

    def tier(self, score: float) -> Tier:
        """Return the tier of a score."""
        warm, hot = self.thresholds
        return "hot" if score >= hot else "warm" if score >= warm else "cold"

    def _explain_points(self, name: str, weight: FeatureWeight, value: float | None) -> LeadReason:
        points = round(weight.earn(value), 1)
        known = "unknown" if value is None else f"{value:g}"
        return LeadReason(name, value, points, f"{name} {known}: {points:g} of {weight.points:g} points")
