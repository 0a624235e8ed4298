"""Which facts are unavailable while a column of the view is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.table import FeatureTable
from models.inputs import FEATURE_MAPPING
from models.registry import Scorers, load_scorers
from models.routing import RoutedScorer
from models.scores import score_customers
from models.sources import unavailable_facts
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.tasks.protocol import ModelTask

COLUMNS = {"days_since_last_transaction", "transaction_count", "total_revenue", "lifetime_value", "tenure_days"}


class ReadingModel:
    """A model that reads three columns, one of them an RFM fact."""

    version = "churn-1"
    basis = "model"
    columns = ("tenure_days", "lifetime_value", "rfm_monetary")
    spreads = 0

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return one score for everybody."""
        return np.full((len(table), 1), 0.5, dtype=np.float32)

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the same."""
        return self.score(table)


def rules() -> Scorers:
    return load_scorers(Path("nowhere"), FEATURE_MAPPING)


def test_with_every_column_every_fact_is_available() -> None:
    assert unavailable_facts(COLUMNS, (), rules()) == {}


@pytest.mark.parametrize("column", sorted(COLUMNS))
def test_a_fact_that_changes_without_a_column_is_unavailable_when_the_column_is_lost(column: str) -> None:
    """Whatever the facts that are added to the table: a rule on them must not take it for a change of the customer."""
    ids = ("a", "b", "c")
    cells = {name: np.array([5.0, 50.0, 500.0]) for name in COLUMNS}
    whole = score_customers(FeatureTable(ids, cells), rules())
    part = score_customers(FeatureTable(ids, {n: c for n, c in cells.items() if n != column}), rules())
    changed = {name for row in range(3) for name, cell in part.row(row).items() if cell != whole.row(row)[name]}
    unavailable = unavailable_facts(COLUMNS - {column}, {column}, rules())
    assert changed <= set(unavailable)
    assert all(names == {column} for names in unavailable.values())


def test_the_rules_define_what_a_column_that_was_never_there_means() -> None:
    """RFM does not: its facts need their columns from the start."""
    assert not set(unavailable_facts((), (), rules())) & {*TASKS["churn"].facts, *TASKS["ltv"].facts}
    assert set(unavailable_facts((), (), rules())) == {"rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment"}


@pytest.mark.parametrize("missing", ["tenure_days", "total_revenue"])
@pytest.mark.parametrize("was_there", [True, False])
def test_a_model_needs_its_columns_from_the_start(missing: str, *, was_there: bool) -> None:
    """Also those behind an RFM fact that it reads; a restart does not let rules decide in its place."""
    scorers = rules().with_scorer("churn", ReadingModel()).with_scorer("ltv", ReadingModel())
    unavailable = unavailable_facts(COLUMNS - {missing}, {missing} if was_there else (), scorers)
    assert all(unavailable[fact] == {missing} for fact in (*TASKS["churn"].facts, *TASKS["ltv"].facts))


def test_the_column_that_chooses_between_models_is_needed_too() -> None:
    """Without it the pooled model would score everybody."""
    routed = RoutedScorer(ReadingModel(), "country", {"France": ReadingModel()}, {"outputs": 1})
    scorers = rules().with_scorer("churn", routed)
    assert unavailable_facts(COLUMNS, {"country"}, scorers) == {fact: {"country"} for fact in TASKS["churn"].facts}
    assert unavailable_facts({*COLUMNS, "country"}, (), scorers) == {}


class RecordingColumns(dict[str, "NDArray[np.float64]"]):
    """Columns that note which of them are read."""

    def __init__(self) -> None:
        self.read: set[str] = set()

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        self.read.add(name)
        return np.zeros(1)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_columns_of_the_rules_are_stated(task: ModelTask) -> None:
    table = RecordingColumns()
    task.apply_rule(FeatureTable(("ann",), table), offers=8)
    assert table.read == task.rule_columns


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_facts_of_a_task_are_stated(task: ModelTask) -> None:
    table = FeatureTable(("ann",), {})
    basis = np.array(["rules"], dtype=object)
    facts = task.add_facts(task.apply_rule(table, offers=8), basis, {}, rules().rfm)
    assert facts.keys() == set(task.facts)
