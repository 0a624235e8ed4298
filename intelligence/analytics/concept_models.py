"""Models that predict from concepts: kept as JSON, applied with NumPy alone.

A model gives each class the logit: intercept plus the coefficients of the concepts that a client mentions. A model that
is no better than the base rate gives everybody the base rate.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.analytics.errors import ModelFileError
from intelligence.analytics.labels import CHURNED, LIFETIME_VALUE, PURCHASED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intelligence.analytics.mentions import Mentions

FORMAT = 1
MANIFEST = "manifest.json"
NAMES = {PURCHASED: "purchase", CHURNED: "churn", LIFETIME_VALUE: "value"}
"""The name of the model of each label, and of its file."""
TIERS = ("Bronze", "Silver", "Gold", "Platinum")
RISKS = ("Low", "Medium", "High")


@dataclass(frozen=True, slots=True)
class ConceptModel:
    """A model of one label.

    Attributes:
        label: what it predicts.
        classes: "no" and "yes", or the value tiers that clients have.
        concepts: those that it reads.
        intercept: shape [classes].
        coefficients: shape [concepts, classes].
        base: the share of each class among the labelled clients.
        amounts: the mean lifetime value of each tier; empty for other labels.
        is_useful: whether it is better than the base rate.
    """

    label: str
    classes: Sequence[str]
    concepts: Sequence[str]
    intercept: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    base: NDArray[np.float64]
    amounts: Sequence[float] = ()
    is_useful: bool = False

    def predict(self, mentions: Mentions) -> NDArray[np.float64]:
        """Return the probability of each class, shape [clients, classes]; other concepts are ignored."""
        return self.score(find_presence(mentions, self.concepts))

    def score(self, presence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class of clients with these concepts, shape [clients, concepts], 0 or 1."""
        if not self.is_useful:
            return np.tile(self.base, (len(presence), 1))
        return softmax(self.intercept + presence @ self.coefficients)

    def as_json(self) -> dict[str, Any]:
        """Return the model as a JSON object."""
        arrays = {name: getattr(self, name).tolist() for name in ("intercept", "coefficients", "base")}
        return {"format": FORMAT, **asdict(self), **arrays}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> ConceptModel:
        """Return the model that a JSON object describes."""
        concepts, classes = tuple(content["concepts"]), tuple(content["classes"])
        return cls(
            label=content["label"],
            classes=classes,
            concepts=concepts,
            intercept=np.array(content["intercept"], dtype=float),
            coefficients=np.array(content["coefficients"], dtype=float).reshape(len(concepts), len(classes)),
            base=np.array(content["base"], dtype=float),
            amounts=tuple(content["amounts"]),
            is_useful=content["is_useful"],
        )


def find_presence(mentions: Mentions, concepts: Sequence[str]) -> NDArray[np.float64]:
    """Return which clients mention which concepts, 0 or 1, shape [clients, concepts]."""
    places = {concept: place for place, concept in enumerate(concepts)}
    columns = np.array([places.get(concept, -1) for concept in mentions.concepts])[mentions.concept]
    presence = np.zeros((len(mentions.clients), len(concepts)))
    presence[mentions.client[columns >= 0], columns[columns >= 0]] = 1.0
    return presence


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities of logits along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def describe_prediction(
    model: ConceptModel, probability: NDArray[np.float64], risks: tuple[float, float]
) -> dict[str, Any]:
    """Return the fields of one client's prediction; levels and tiers are null for a model that is not useful.

    Args:
        model: which made it.
        probability: of each class.
        risks: from which probability of churn on the risk is medium and high.
    """
    basis = {f"{NAMES[model.label]}_model_is_useful": model.is_useful}
    if model.label == LIFETIME_VALUE:
        tier = model.classes[int(np.argmax(probability))] if model.is_useful else None
        value = round(float(probability @ np.array(model.amounts)), 2)
        return {"predicted_lifetime_value": value, "value_segment": tier, **basis}
    chance = round(float(probability[1]), 4)
    if model.label == PURCHASED:
        return {"purchase_probability": chance, **basis}
    level = RISKS[int(np.searchsorted(risks, chance, side="right"))] if model.is_useful else None
    return {"churn_probability": chance, "risk_level": level, **basis}


def load_models(folder: Path) -> dict[str, ConceptModel]:
    """Return the models of a folder by their name: purchase, churn, value.

    Raises:
        ModelFileError: a file is missing, changed or of another format.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        raw = {name: (folder / f"{name}.json").read_bytes() for name in manifest["models"]}
        for name, content in raw.items():
            if hashlib.sha256(content).hexdigest() != manifest["models"][name]["sha256"]:
                raise ModelFileError(f"{folder / name}.json was changed after it was written; compute the models again")
        contents = {name: json.loads(each) for name, each in raw.items()}
        if {manifest["format"], *(each["format"] for each in contents.values())} != {FORMAT}:
            raise ModelFileError(f"{folder} is of another format; compute the models again")
        return {name: ConceptModel.of(each) for name, each in contents.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{folder} has no models that can be read: {error}; compute them again") from error
