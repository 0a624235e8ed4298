"""Predictions: what is said of a customer by the scores that decisions are made with. Pure.

The one place where scores become predictions, for every way of asking. Scores, fallbacks to rules and facts are those
of models/scores.py, which the worker's `score` step calls: a worker and a prediction cannot disagree. Predictions are
columns, so that a million customers take seconds; `as_objects` makes the shapes of models/schemas of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from features.table import FeatureTable, plain
from models.confidence import find_confidence, interval_width
from models.rfm import RFM_SOURCES, rfm_columns
from models.routing import RoutedScorer
from models.scores import Scored, score_with_spread, task_facts
from models.tasks.ltv import BOUNDED
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import Column
    from models.fallbacks import ModelFallbacks
    from models.reasons import Factor
    from models.registry import Scorers

Kind = Literal["churn", "nbo", "ltv", "rfm"]
KINDS: tuple[Kind, ...] = ("churn", "nbo", "ltv", "rfm")
WINDOW_MONTHS = 12
"""The months that a lifetime value covers; see models/tasks/ltv.py."""
RULES_VERSION = "rules_v1"
_RFM = {"recency": "rfm_recency", "frequency": "rfm_frequency", "monetary": "rfm_monetary", "segment": "rfm_segment"}


def predict(
    kind: Kind,
    table: FeatureTable,
    scorers: Scorers,
    fallbacks: ModelFallbacks | None = None,
    *,
    margins: Sequence[float] = (),
    refused: Mapping[int, NDArray[np.bool_]] | None = None,
) -> FeatureTable:
    """Return the predictions of customers, one row each, in the columns of `column_types`.

    Args:
        kind: what to predict.
        table: the customers' columns.
        scorers: what serves.
        fallbacks: notes the customers whom a rule scored in place of a model.
        margins: what each offer brings less what it costs, for nbo; 1 for each when left out.
        refused: by offer id, which customers may not get it, shape [customers].

    Raises:
        ModelInputError: a column of RFM holds text.
    """
    rfm = rfm_columns(table, scorers.rfm)
    if kind == "rfm":
        return FeatureTable(table.customer_ids, {name: rfm[fact] for name, fact in _RFM.items()})
    scored = score_with_spread(TASKS[kind], table.with_columns(rfm), scorers, fallbacks)
    if kind == "churn":
        columns = _churn(scored, scorers)
    elif kind == "ltv":
        columns = _value(scored, scorers)
    else:
        columns = _offers(scored, scorers, margins or (1.0,) * scored.scores.shape[1], refused or {})
    return FeatureTable(table.customer_ids, columns)


def column_types(kind: Kind, offers: int = 0) -> dict[str, Literal["text", "number", "integer", "boolean"]]:
    """Return the type of each column of `predict`; integers and texts may be null, and a number NaN.

    Args:
        kind: what is predicted.
        offers: the highest offer id, for nbo.
    """
    if kind == "rfm":
        return {"recency": "integer", "frequency": "integer", "monetary": "integer", "segment": "text"}
    versioned: dict[str, Literal["text"]] = {"decision_basis": "text", "model_version": "text"}
    if kind == "churn":
        levels: dict[str, Any] = {"churn_risk": "text", "is_at_risk": "boolean", "confidence": "text"}
        return {"churn_probability": "number", **levels, **versioned}
    if kind == "ltv":
        bounds: dict[str, Any] = {"confidence_interval_low": "number", "confidence_interval_high": "number"}
        return {"predicted_ltv": "number", **bounds, "value_segment": "text", "confidence": "text", **versioned}
    scores: dict[str, Any] = {f"score_{place}": "number" for place in range(1, offers + 1)}
    return {"recommended_offer": "integer", "confidence": "text", **scores, "basis": "text", "version": "text"}


def columns_read(kind: Kind, scorers: Scorers) -> frozenset[str]:
    """Return the names of the columns that can influence a prediction."""
    rfm = frozenset[str]().union(*RFM_SOURCES.values())
    if kind == "rfm":
        return rfm
    scorer, rule = scorers[kind], TASKS[kind].rule_columns
    routing = {scorer.column} if isinstance(scorer, RoutedScorer) else set[str]()
    return rfm | rule | routing | frozenset(scorer.columns)


def as_objects(
    kind: Kind, predicted: FeatureTable, reasons: Sequence[Sequence[Factor]] = (), advice: Sequence[Sequence[str]] = ()
) -> list[dict[str, Any]]:
    """Return predictions as JSON objects of the shapes in models/schemas.

    Args:
        kind: what was predicted.
        predicted: the columns of `predict`.
        reasons: for churn, each customer's factors; none when left out.
        advice: for churn, what to do about each customer; nothing when left out.
    """
    rows = [predicted.row(place) for place in range(len(predicted))]
    objects = [
        {"customer_id": who, **_OBJECTS[kind](row)} for who, row in zip(predicted.customer_ids, rows, strict=True)
    ]
    if kind == "churn":
        for place, each in enumerate(objects):
            factors = reasons[place] if reasons else ()
            each["risk_factors"] = [factor_object(factor) for factor in factors]
            each["recommendations"] = list(advice[place]) if advice else []
    return objects


def factor_object(factor: Factor) -> dict[str, Any]:
    """Return a reason of a score as a JSON object."""
    return {
        "feature": factor.feature,
        "value": plain(factor.value),
        "contribution": round(factor.contribution, 6),
        "direction": factor.direction,
        "text": factor.text,
    }


def _churn(scored: Scored, scorers: Scorers) -> dict[str, Column]:
    facts = task_facts(TASKS["churn"], scored, scorers)
    probability, manifest = facts["churn_probability"], _manifest(scorers, "churn")
    # No data chose a threshold for a rule: who is at high risk is at risk.
    trained = manifest.get("operating_threshold")
    threshold = np.where(
        scored.basis == "model", scorers.rfm.risk[1] if trained is None else trained, scorers.rfm.risk[1]
    )
    return {
        "churn_probability": probability,
        "churn_risk": facts["churn_risk_level"],
        "is_at_risk": probability >= threshold,
        "confidence": find_confidence(_spread_of(scored, 0), scored.basis, manifest),
        "decision_basis": scored.basis,
        "model_version": _versions(scored.basis, scorers["churn"].version),
    }


def _value(scored: Scored, scorers: Scorers) -> dict[str, Column]:
    facts = task_facts(TASKS["ltv"], scored, scorers)
    bounded = scored.scores.shape[1] == BOUNDED
    width = interval_width(scored.scores[:, 1:]) if bounded else None
    return {
        "predicted_ltv": facts["predicted_ltv"],
        "confidence_interval_low": facts["predicted_ltv_low"],
        "confidence_interval_high": facts["predicted_ltv_high"],
        "value_segment": facts["value_segment"],
        "confidence": find_confidence(width, scored.basis, _manifest(scorers, "ltv")),
        "decision_basis": scored.basis,
        "model_version": _versions(scored.basis, scorers["ltv"].version),
    }


def _offers(
    scored: Scored, scorers: Scorers, margins: Sequence[float], refused: Mapping[int, NDArray[np.bool_]]
) -> dict[str, Column]:
    """Return the offer with the highest score times margin that a customer may get, as campaigns/offers.py does."""
    values = scored.scores.astype(np.float64) * np.asarray(margins)
    for offer, rows in refused.items():
        values[rows, offer - 1] = -np.inf
    best = values.argmax(axis=1) if len(values) else np.empty(0, dtype=np.intp)
    recommended: Column = (best + 1).astype(object)
    recommended[np.isneginf(values).all(axis=1)] = None
    return {
        "recommended_offer": recommended,
        "confidence": find_confidence(_spread_of(scored, best), scored.basis, _manifest(scorers, "nbo")),
        **{f"score_{place}": cells for place, cells in enumerate(scored.scores.T.astype(np.float64).round(6), start=1)},
        "basis": scored.basis,
        "version": _versions(scored.basis, scorers["nbo"].version),
    }


def _spread_of(scored: Scored, outputs: int | NDArray[np.intp]) -> NDArray[np.float64] | None:
    """Return the spread of one output of each customer, shape [customers]; None where the model gives none."""
    if not scored.spread.shape[1]:
        return None
    chosen: NDArray[np.float64] = scored.spread[np.arange(len(scored.spread)), outputs].astype(np.float64)
    return chosen


def _versions(basis: Column, version: str) -> Column:
    """Return what scored each customer: ml_ and the model's version, rules_v1, or mock."""
    versions: Column = np.full(len(basis), RULES_VERSION, dtype=object)
    versions[basis == "model"] = f"ml_{version}"
    versions[basis == "mock"] = "mock"
    return versions


def _manifest(scorers: Scorers, name: str) -> Mapping[str, Any]:
    manifest: Mapping[str, Any] = getattr(scorers[name], "manifest", {})
    return manifest


def _churn_object(row: dict[str, Any]) -> dict[str, Any]:
    said = {name: row[name] for name in ("churn_probability", "churn_risk", "is_at_risk", "confidence")}
    source = {name: row[name] for name in ("decision_basis", "model_version")}
    return {**said, "risk_factors": [], "recommendations": [], **source}


def _value_object(row: dict[str, Any]) -> dict[str, Any]:
    low, high = row["confidence_interval_low"], row["confidence_interval_high"]
    return {
        "predicted_ltv": row["predicted_ltv"],
        "confidence_interval": None if low is None or high is None else {"low": low, "high": high},
        "value_segment": row["value_segment"],
        "prediction_window_months": WINDOW_MONTHS,
        **{name: row[name] for name in ("confidence", "decision_basis", "model_version")},
    }


def _offers_object(row: dict[str, Any]) -> dict[str, Any]:
    scores = [(int(name.removeprefix("score_")), score) for name, score in row.items() if name.startswith("score_")]
    return {
        "recommended_offer": row["recommended_offer"],
        "confidence": row["confidence"],
        "all_offers": [{"offer_id": offer, "score": score} for offer, score in scores],
        # The best offer is recommended, without exploration: log it with what is shown, so that a model can be trained.
        "propensity": None if row["recommended_offer"] is None else 1.0,
        "basis": row["basis"],
        "version": row["version"],
    }


def _scores_object(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if row[name] is None else int(row[name]) for name in ("recency", "frequency", "monetary")} | {
        "segment": row["segment"]
    }


_OBJECTS: dict[Kind, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "churn": _churn_object,
    "nbo": _offers_object,
    "ltv": _value_object,
    "rfm": _scores_object,
}
