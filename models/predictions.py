"""Predictions: what is said of a customer by the scores that decisions are made with. Pure.

The one place where scores become predictions, for every way of asking. Scores, fallbacks to rules and facts are those
of models/scores.py, which the worker's `score` step calls: a worker and a prediction cannot disagree. What a task says
is in its module of models/tasks. Predictions are columns, so that a million customers take seconds; `as_objects` makes
the shapes of models/schemas of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.table import FeatureTable, plain
from models.rfm import RFM_SOURCES, rfm_columns
from models.routing import RoutedScorer
from models.scores import score_with_spread
from models.tasks.protocol import Serving
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from models.fallbacks import ModelFallbacks
    from models.reasons import Factor
    from models.registry import Scorers
    from models.tasks.protocol import ColumnType

RFM = "rfm"
_RFM: dict[str, ColumnType] = {"recency": "integer", "frequency": "integer", "monetary": "integer", "segment": "text"}


def list_kinds() -> list[str]:
    """Return what can be predicted: each task that is asked for predictions, and RFM."""
    return [*(name for name, task in TASKS.items() if task.prediction_types(1)), RFM]


def predict(
    kind: str,
    table: FeatureTable,
    scorers: Scorers,
    fallbacks: ModelFallbacks | None = None,
    *,
    margins: Sequence[float] = (),
    refused: Mapping[int, NDArray[np.bool_]] | None = None,
) -> FeatureTable:
    """Return the predictions of customers, one row each, in the columns of `column_types`.

    Args:
        kind: what to predict, one of `list_kinds`.
        table: the customers' columns.
        scorers: what serves.
        fallbacks: notes the customers whom a rule scored in place of a model.
        margins: what each offer brings less what it costs; 1 for each when left out.
        refused: by offer id, which customers may not get it, shape [customers].

    Raises:
        ModelInputError: a column of RFM holds text.
    """
    rfm = rfm_columns(table, scorers.rfm)
    if kind == RFM:
        return FeatureTable(table.customer_ids, {name: rfm[f"rfm_{name}"] for name in _RFM})
    task, scorer = TASKS[kind], scorers[kind]
    scored = score_with_spread(task, table.with_columns(rfm), scorers, fallbacks)
    serving = Serving(scorer.version, getattr(scorer, "manifest", {}), scorers.rfm, margins, refused or {})
    return FeatureTable(table.customer_ids, task.predict(scored, serving))


def column_types(kind: str, offers: int) -> dict[str, ColumnType]:
    """Return the type of each column of `predict`; integers and texts may be null, and a number NaN.

    Args:
        kind: what is predicted.
        offers: the highest offer id of the offers file.
    """
    return _RFM if kind == RFM else TASKS[kind].prediction_types(offers)


def columns_read(kind: str, scorers: Scorers) -> frozenset[str]:
    """Return the names of the columns that can influence a prediction."""
    rfm = frozenset[str]().union(*RFM_SOURCES.values())
    if kind == RFM:
        return rfm
    scorer = scorers[kind]
    routing = {scorer.column} if isinstance(scorer, RoutedScorer) else set[str]()
    return rfm | TASKS[kind].rule_columns | routing | frozenset(scorer.columns)


def as_objects(
    kind: str, predicted: FeatureTable, reasons: Sequence[Sequence[Factor]] = (), advice: Sequence[Sequence[str]] = ()
) -> list[dict[str, Any]]:
    """Return predictions as JSON objects of the shapes in models/schemas.

    Args:
        kind: what was predicted.
        predicted: the columns of `predict`.
        reasons: each customer's factors, for a task that is explained; none when left out.
        advice: what to do about each customer, for the same; nothing when left out.
    """
    objects = []
    for place, who in enumerate(predicted.customer_ids):
        said = _object(kind, predicted.row(place))
        if kind != RFM and TASKS[kind].is_explained:
            said["risk_factors"] = [_factor_object(each) for each in (reasons[place] if reasons else ())]
            said["recommendations"] = list(advice[place]) if advice else []
        objects.append({"customer_id": who, **said})
    return objects


def describe_prediction(kind: str, prediction: Mapping[str, Any]) -> str:
    """Return a prediction, as of `as_objects`, in one line for a person."""
    if kind != RFM:
        return TASKS[kind].describe_prediction(prediction)
    if prediction["segment"] is None:
        return "RFM not known: nothing is known of the customer's orders"
    return ", ".join([prediction["segment"], *(f"{name} {prediction[name]}" for name in list(_RFM)[:-1])])


def _object(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    if kind != RFM:
        return TASKS[kind].prediction_object(row)
    return {name: cell if cell is None or _RFM[name] == "text" else int(cell) for name, cell in row.items()}


def _factor_object(factor: Factor) -> dict[str, Any]:
    return {
        "feature": factor.feature,
        "value": plain(factor.value),
        "contribution": round(factor.contribution, 6),
        "direction": factor.direction,
        "text": factor.text,
    }
