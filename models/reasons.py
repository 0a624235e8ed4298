"""Why a customer has a score: contributions of groups of features, which sum to the score - that of the background.

    ScoreExplainer(task, scorers)     churn in probability, ltv in money of 12 months
    OfferExplainer(pairs, scorers)    one offer's score - that of another: why this one rather than the second

A customer whom the model scored is explained against the background that was stored with its version in training; one
whom the rules scored, against `models.rules.usual_customers`. Both are exact, see models/shapley.py. Where nothing is
known there are no factors: of a version trained without a background, of mock scores, of a null score.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from features.table import FeatureTable, plain
from models.inputs import readable_numbers
from models.reason_texts import Known, Subject, write_text
from models.routing import RoutedScorer
from models.rules import usual_customers
from models.scores import score_task, split_arms
from models.shapley import Background, ExactShapley
from models.tasks.nbo import NextBestOffer
from models.tasks.registry import TASKS
from models.tflite import TFLiteScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from models.ports import Scorer
    from models.reason_texts import Direction
    from models.reasons_file import StoredReasons
    from models.registry import Scorers
    from models.shapley import Rows
    from models.tasks.protocol import ModelTask

    Factors = tuple["Factor", ...]
    Ask = Callable[[Scorers, int, Mapping[str, Any]], "_Question"]
    """From what scores, the customer's place in the table, and the model's manifest, which a rule has not."""

WORDED = 2
"""So many features of a group are described in its text."""
NOTHING = 1e-9
"""A contribution below is that of a feature without influence."""


@dataclass(frozen=True, slots=True)
class Factor:
    """What a group of features contributes to a customer's score.

    Attributes:
        feature: the feature that names the group.
        value: the customer's, None if missing.
        contribution: in units of the score; all of a customer's sum to the score - the background's mean score.
        direction: `raises` or `lowers`; of offers `raises` speaks for the first.
        text: for a marketer.
    """

    feature: str
    value: Any
    contribution: float
    direction: str
    text: str


class Explainer(Protocol):
    """Gives reasons for scores."""

    def explain(self, table: FeatureTable, most: int | None = None) -> Sequence[tuple[Factor, ...]]:
        """Return each customer's factors, the largest absolute contribution first; empty where there are none.

        Args:
            table: the customers.
            most: how many factors to return; None for all, which sum to the score.
        """


@dataclass(frozen=True, slots=True)
class OfferPair:
    """Two offers, by id and name, and what each is worth if accepted: 1 compares their scores."""

    first: int
    second: int
    first_name: str
    second_name: str
    first_value: float = 1.0
    second_value: float = 1.0


@dataclass(frozen=True, slots=True)
class _Question:
    """A sum of scores, each with a weight, that is to be explained."""

    outputs: tuple[int, ...]
    weights: tuple[float, ...]
    subject: Subject


class ScoreExplainer:
    """Explains the first score of a task.

    Args:
        task: churn or ltv.
        scorers: what serves.
    """

    def __init__(self, task: str, scorers: Scorers) -> None:
        self._task = TASKS[task]
        self._scorers = scorers

    def explain(self, table: FeatureTable, most: int | None = None) -> Sequence[tuple[Factor, ...]]:
        """Return each customer's factors, the largest first."""
        return _explain(self._task, self._scorers, table, self._ask, most)

    def _ask(self, scorers: Scorers, _: int, manifest: Mapping[str, Any]) -> _Question:
        unit = self._task.find_unit(manifest)
        return _Question((0,), (unit,), Subject(self._task, factor=unit, labels=scorers.labels))


class OfferExplainer:
    """Explains why one offer has a higher score than another.

    Args:
        pairs: one for each customer of the table.
        scorers: what serves.
    """

    def __init__(self, pairs: Sequence[OfferPair], scorers: Scorers) -> None:
        self._pairs = pairs
        self._scorers = scorers

    def explain(self, table: FeatureTable, most: int | None = None) -> Sequence[tuple[Factor, ...]]:
        """Return each customer's factors, the largest first; those that speak for the first offer are positive."""
        task = TASKS[NextBestOffer.name]
        return _explain(task, self._scorers, table, self._ask, most)

    def _ask(self, scorers: Scorers, place: int, _: Mapping[str, Any]) -> _Question:
        pair = self._pairs[place]
        subject = Subject(TASKS[NextBestOffer.name], pair.first_name, pair.second_name, labels=scorers.labels)
        outputs, weights = (pair.first - 1, pair.second - 1), (pair.first_value, -pair.second_value)
        return _Question(outputs, weights, subject)


def explain_model(task: ModelTask, scorer: TFLiteScorer, table: FeatureTable) -> list[Factors]:
    """Return the factors of the first score of a model that serves alone, of each row; see `Explainer`."""
    if scorer.reasons is None or scorer.shapley is None:
        return [()] * len(table)
    explained = _ModelReasons(scorer, scorer.reasons, scorer.shapley, table)
    question = _Question((0,), (1.0,), Subject(task))
    return [explained.explain(row, question, None) for row in range(len(table))]


def explain_absence(task: str, scorers: Scorers) -> str | None:
    """Return why there are no reasons for a task's scores; None where there are."""
    scorer = scorers[task]
    if scorer.basis == "mock":
        return f"{task}: mock scores have no reasons"
    if scorer.basis == "model" and not _has_reasons(scorer):
        return f"{task}: {scorer.version} was trained without a background, so it has no reasons; train it again"
    return None


def _has_reasons(scorer: Scorer) -> bool:
    pooled = scorer.pooled if isinstance(scorer, RoutedScorer) else scorer
    return getattr(pooled, "reasons", None) is not None


def _explain(task: ModelTask, scorers: Scorers, table: FeatureTable, ask: Ask, most: int | None) -> list[Factors]:
    """Explain each customer by what scored them: the model, the challenger of an experiment on it, or the rule."""
    found: list[Factors] = [()] * len(table)
    for places, part, by in split_arms(task, table, scorers):
        for place, factors in zip(places, _explain_arm(task, by, part, places, ask, most), strict=True):
            found[place] = factors
    return found


def _explain_arm(
    task: ModelTask,
    scorers: Scorers,
    table: FeatureTable,
    places: NDArray[np.intp],
    ask: Ask,
    most: int | None,
) -> list[Factors]:
    _, basis = score_task(task, table, scorers)
    by_rule = basis == "rules"
    found: list[Factors] = [()] * len(table)
    for rows, scorer in _split(scorers[task.name], table, np.flatnonzero(~by_rule)):
        if isinstance(scorer, TFLiteScorer) and scorer.reasons and scorer.shapley and len(rows):
            explained = _ModelReasons(scorer, scorer.reasons, scorer.shapley, table)
            for row in rows:
                found[row] = explained.explain(int(row), ask(scorers, int(places[row]), scorer.manifest), most)
    if by_rule.any():
        explained_by_rule = _RuleReasons(task, scorers, table)
        for row in np.flatnonzero(by_rule):
            found[row] = explained_by_rule.explain(int(row), ask(scorers, int(places[row]), {}), most)
    return found


def _split(scorer: Scorer, table: FeatureTable, rows: NDArray[np.intp]) -> list[tuple[NDArray[np.intp], Scorer]]:
    """Return the rows that each model scored."""
    if isinstance(scorer, RoutedScorer):
        return [(rows[places], each) for places, each in scorer.split(table.take(rows))]
    return [(rows, scorer)]


class _ModelReasons:
    """Reasons by a model for the customers of a table."""

    def __init__(self, scorer: TFLiteScorer, stored: StoredReasons, shapley: ExactShapley, table: FeatureTable) -> None:
        self._stored = stored
        self._shapley = shapley
        self._names: Sequence[str] = scorer.manifest["features"]
        self._columns = scorer.columns
        self._table = table
        self._inputs, _ = scorer.read_inputs(table)

    def explain(self, row: int, question: _Question, most: int | None) -> tuple[Factor, ...]:
        contributions = self._shapley.explain(self._inputs[row], question.outputs) @ np.array(question.weights)
        return tuple(self._describe(row, question, *each) for each in _choose(contributions.tolist(), most))

    def _describe(self, row: int, question: _Question, group: int, contribution: float) -> Factor:
        members = self._shapley.background.groups[group][:WORDED]
        known = [
            Known(self._names[each], self._columns[each], _read(self._table.columns[self._columns[each]][row]))
            for each in members
        ]
        value = float(self._inputs[row, members[0]])
        rates = self._stored.find_rates(known[0].feature, None if np.isnan(value) else value)
        chosen = [rates[each] for each in question.outputs] if rates else []
        overall = [self._stored.overall[each] for each in question.outputs]
        return _make_factor(question.subject, known, contribution, chosen, overall)


class _RuleReasons:
    """Reasons by the rule of a task for the customers of a table. A column that the table lacks explains nothing."""

    def __init__(self, task: ModelTask, scorers: Scorers, table: FeatureTable) -> None:
        usual = usual_customers(scorers.rfm)
        self._columns = [name for name in usual if name in task.rule_columns and name in table.columns]
        self._inputs = [readable_numbers(table.columns[name])[0] for name in self._columns]

        def score(rows: Rows) -> NDArray[np.float32]:
            columns = dict(zip(self._columns, rows.T, strict=True))
            return task.apply_rule(FeatureTable(("",) * len(rows), columns), scorers.offers)

        rows = np.array([usual[name] for name in self._columns]).T
        groups = tuple((place,) for place in range(len(self._columns)))
        weights = np.full(len(rows), 1 / max(len(rows), 1))
        self._shapley = ExactShapley(score, Background(rows, weights, groups)) if self._columns else None

    def explain(self, row: int, question: _Question, most: int | None) -> tuple[Factor, ...]:
        if self._shapley is None:
            return ()
        inputs = np.array([cells[row] for cells in self._inputs])
        contributions = self._shapley.explain(inputs, question.outputs) @ np.array(question.weights)
        return tuple(
            _make_factor(question.subject, [Known(name, name, _read(inputs[place]))], contribution, (), ())
            for place, contribution in _choose(contributions.tolist(), most)
            for name in (self._columns[place],)
        )


def _choose(contributions: Sequence[float], most: int | None) -> list[tuple[int, float]]:
    """Return the places of the largest contributions, and these, without features of no influence.

    None where one is unknown, for what is left would not sum to the score.
    """
    if not np.isfinite(contributions).all():
        return []
    known = [(place, each) for place, each in enumerate(contributions) if abs(each) > NOTHING]
    return sorted(known, key=lambda each: -abs(each[1]))[:most]


def _read(cell: Any) -> Any:
    """Return a cell as a JSON value; JSON has no infinity."""
    value = plain(cell)
    return None if isinstance(value, float) and not isfinite(value) else value


def _make_factor(
    subject: Subject, known: Sequence[Known], contribution: float, rates: Sequence[Any], overall: Sequence[Any]
) -> Factor:
    direction: Direction = "raises" if contribution > 0 else "lowers"
    text = write_text(subject, known, direction, rates, overall)
    return Factor(known[0].feature, known[0].value, contribution, direction, text)
