"""The protocol of a task that is served: its outputs, its range, the rule without a model, and the facts it adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.reason_texts import Direction, Subject
    from models.rfm import RfmCuts


ColumnType = Literal["text", "number", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of customers.

    Attributes:
        scores: shape [customers, outputs], within the task's range, or NaN where a rule knows nothing.
        basis: shape [customers], what gave them: `model`, `rules` or `mock`.
        spread: shape [customers, spreads]; NaN where a rule stood in.
    """

    scores: NDArray[np.float32]
    basis: Column
    spread: NDArray[np.float32]

    def spread_of(self, outputs: int | NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Return the spread of one output of each customer, shape [customers]; None where the model gives none."""
        if not self.spread.shape[1]:
            return None
        chosen: NDArray[np.float64] = self.spread[np.arange(len(self.spread)), outputs].astype(np.float64)
        return chosen

    def versions(self, version: str) -> Column:
        """Return what scored each customer, for callers: ml_ and the model's version, rules_v1, or mock."""
        versions: Column = np.full(len(self.basis), "rules_v1", dtype=object)
        versions[self.basis == "model"] = f"ml_{version}"
        versions[self.basis == "mock"] = "mock"
        return versions


@dataclass(frozen=True, slots=True)
class Serving:
    """What predictions depend on besides the scores.

    Attributes:
        version: of the scorer.
        manifest: the model's; empty for a rule.
        rfm: cut points of RFM, of value segments and of churn risk.
        margins: what each offer brings less what it costs; empty where that is not known.
        refused: by offer id, which customers may not get it, shape [customers].
    """

    version: str
    manifest: Mapping[str, Any]
    rfm: RfmCuts
    margins: Sequence[float] = ()
    refused: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)


class ModelTask(Protocol):
    """One question about customers that a model, or a rule, answers.

    What a task inherits suits a model of one probability that is computed for every customer.

    Attributes:
        name: also the name of the model's folder.
        lowest: the least score that can be right.
        highest: the greatest.
        facts: the facts that `add_facts` returns; none of a task for contacts only.
        rule_columns: the columns that the rule reads.
        fact: the fact whose changes `holdfast models promote --preview` shows.
        for_contacts_only: whether only customers whom a campaign will contact are scored; such a task adds no facts
            for rules.
        is_optional: whether decisions do without a model: then nothing stands in for it, no rule and no mock.
        reads_messages: whether it scores messages and not customers.
        mock_scale: the greatest score with ML_MOCK_MODE.
        is_explained: whether a prediction carries its reasons and what to do.
        bad_direction: `raises` or `lowers`, whichever speaks against a customer; empty for neither.
    """

    name: str
    lowest: float = 0.0
    highest: float = 1.0
    facts: tuple[str, ...] = ()
    rule_columns: frozenset[str] = frozenset()
    fact: str
    for_contacts_only: bool = False
    is_optional: bool = False
    reads_messages: bool = False
    mock_scale: float = 1.0
    is_explained: bool = False
    bad_direction: str = ""

    def outputs(self, offers: int) -> tuple[int, ...]:
        """Return the numbers of scores that a model may give.

        Args:
            offers: the highest offer id of the offers file.
        """
        _ = offers
        return (1,)

    def explain_outputs(self, found: int, offers: int) -> str:
        """Return why a model with another number of scores is refused, and what to do."""
        needed = " or ".join(map(str, self.outputs(offers)))
        return f"the model has {found} outputs, {needed} are needed; train it again"

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Return the scores of the rule that stands in for a model, shape [customers, outputs]."""
        ...

    def add_facts(
        self, scores: NDArray[np.float32], basis: Column, manifest: Mapping[str, Any], rfm: RfmCuts
    ) -> dict[str, Column]:
        """Return the facts made of the scores, one column each.

        Args:
            scores: shape [customers, outputs], each within the task's range or NaN.
            basis: shape [customers], `model`, `rules` or `mock`: what gave the scores.
            manifest: the model's; empty for a rule.
            rfm: cut points of RFM and of value segments.
        """
        _ = scores, basis, manifest, rfm
        return {}

    def find_unit(self, manifest: Mapping[str, Any]) -> float:
        """Return what one of a model's scores is in the unit of the facts; reasons are in that unit."""
        _ = manifest
        return 1.0

    def word_reason(
        self, subject: Subject, direction: Direction, rates: Sequence[float], overall: Sequence[float]
    ) -> str:
        """Return what a factor means, for people; see models/reason_texts.py.

        Args:
            subject: what is explained.
            direction: of the contribution.
            rates: the outcome of training rows with the customer's value, of each output explained; empty if unknown.
            overall: the outcome of all training rows.
        """
        _ = subject, rates, overall
        return f"{direction} the score"

    def preview(self, scores: NDArray[np.float32]) -> Column:
        """Return `fact` for each customer; asked only of a task for contacts only."""
        return np.asarray(scores[:, 0])

    def prediction_types(self, offers: int) -> dict[str, ColumnType]:
        """Return the type of each column of `predict`, in order; none of a task that is not asked for predictions.

        Integers and texts may be null, and a number NaN.

        Args:
            offers: the highest offer id of the offers file.
        """
        _ = offers
        return {}

    def predict(self, scored: Scored, serving: Serving) -> dict[str, Column]:
        """Return what is predicted of customers, in the columns of `prediction_types`."""
        _ = scored, serving
        return {}

    def prediction_object(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a prediction as a JSON object of the shape in models/schemas, without customer_id.

        Args:
            row: the cells of `predict`, null as None.
        """
        return dict(row)

    def describe_prediction(self, prediction: Mapping[str, Any]) -> str:
        """Return a prediction, as of `prediction_object`, in one line for a person."""
        _ = prediction
        return ""
