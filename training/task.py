"""The protocol of a task in training: what churn, ltv and nbo define, and a new task has to define.

A task is one module in training/tasks with a class that derives from `Task`, and one line in the registry. What it
inherits suits a model of one probability per customer. The lower layers take a task as an argument and import none.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from features.table import FeatureTable
    from training.data.dataset import Split
    from training.evaluation.baselines import BaselineRows
    from training.evaluation.evaluation_data import EvaluationData
    from training.evaluation.gates import Gate
    from training.evaluation.thresholds import Costs, GateThresholds
    from training.report.sections import Cases, Section
    from training.report.tiles import Tile

LikelihoodName = Literal["binary", "zero_inflated_lognormal", "gamma", "tweedie"]


@dataclass(frozen=True, slots=True)
class Words:
    """How the report names outcomes.

    Attributes:
        had: what the positive cases did, for example "left".
        had_not: what the others did.
        who: what a case is, in the plural.
        rate: the name of the mean outcome.
    """

    had: str
    had_not: str
    who: str
    rate: str


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a model is for, in the model card.

    Attributes:
        use: intended uses.
        misuse: uses that the model does not support.
    """

    use: tuple[str, ...]
    misuse: tuple[str, ...]


class Task(Protocol):
    """Something to learn from rows of the warehouse.

    Methods that evaluate or draw import what they need when they are called: scikit-learn, SciPy and matplotlib
    come with the extra `training`, and the command line and `holdfast models monitor` run without it.

    Attributes:
        name: also the name of the model's folder.
        title: heading of the report.
        summary: one sentence for the command's help.
        predicts: what one score means, in one sentence; `{outcome}` stands for what the label says, `{window}` for
            the days that it covers.
        outcome_of_orders: what a label made from orders says.
        query: SQL of the training rows, with :start_date and `{label}`.
        variable: environment variable that may hold the user's own SQL.
        label: column that holds the outcome.
        date_column: column by which rows are split in time, if the query returns it.
        window_column: column with the days that a label covers, if the query returns it.
        window_days: days that a label covers where no column says so; 0 where labels are of the moment and cannot
            be made from orders.
        outputs: scores per customer; 0 where the rows decide.
        likelihoods: the likelihoods to choose from.
        predicts_amount: whether a score is an amount of money; otherwise it is a probability.
        measures_uplift: whether the effect of contact is measured where the rows have a control group.
        reads_exposures: whether rows come from the exposures of the ledger where the user has no own query.
        words: how the report names outcomes.
        purpose: for the model card.
    """

    name: str
    title: str
    summary: str
    predicts: str
    outcome_of_orders: str = ""
    query: str
    variable: str
    label: str
    date_column: str = "snapshot_date"
    window_column: str = "window_days"
    window_days: int
    outputs: int = 1
    likelihoods: tuple[LikelihoodName, ...] = ("binary",)
    predicts_amount: bool = False
    measures_uplift: bool = False
    reads_exposures: bool = False
    words: Words
    purpose: Purpose

    def sized(self, outputs: int) -> Task:
        """Return the task for a number of scores per customer; only a task with `outputs` 0 depends on it.

        Raises:
            TrainingDataError: the task has another number.
        """
        _ = outputs
        return self

    def fitted(self, table: FeatureTable, outputs: int) -> Task:
        """Return the task for rows to learn from, with so many scores per customer."""
        _ = table
        return self.sized(outputs)

    def restored(self, manifest: Mapping[str, Any]) -> Task:
        """Return the task as a version was trained on it."""
        return self.sized(manifest["outputs"]).labelled(manifest.get("label") or self.label)

    def labelled(self, label: str) -> Task:
        """Return the task with another column that holds the outcome."""
        task = copy(self)
        task.label = label
        return task

    def targets(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the outcomes of a table, shape [rows, outputs]: 1, 0, or -1 where not observed; or amounts.

        Raises:
            ModelInputError: a column is missing or holds an impossible value.
        """
        ...

    def fit_baselines(self, rows: BaselineRows) -> dict[str, NDArray[np.float32]]:
        """Fit what the model is compared with on the earlier rows; return scores of the later rows by name."""
        ...

    def measure(self, data: EvaluationData, costs: Costs, thresholds: GateThresholds) -> dict[str, Any]:
        """Return the metrics of the later rows, for the manifest."""
        ...

    def evaluate_gates(self, metrics: Mapping[str, Any], thresholds: GateThresholds) -> list[Gate]:
        """Return the gates of this task alone; `training.evaluation.gates` adds those of every task."""
        ...

    def build_sections(self, manifest: Mapping[str, Any], data: EvaluationData, cases: Cases) -> tuple[Section, ...]:
        """Return the report's sections of this task alone."""
        ...

    def build_tiles(self, data: EvaluationData) -> tuple[Tile, ...]:
        """Return key figures of this task alone, for the top of the report."""
        _ = data
        return ()

    def find_doubts(self, data: EvaluationData) -> list[str]:
        """Return what a reader of the report should doubt in this task alone, a sentence each."""
        _ = data
        return []

    def explain_incomparable(self, manifest: Mapping[str, Any]) -> str:
        """Return why the scores of a version mean something else than those of this task; empty where they do not."""
        _ = manifest
        return ""

    def describe_limits(self, rows: Split) -> list[str]:
        """Return limits of the model for its manifest, a sentence each."""
        _ = rows
        return []

    def extend_manifest(self, data: EvaluationData, window_days: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return keys that serving reads from the manifest besides those of every task."""
        _ = data, window_days, metrics
        return {}
