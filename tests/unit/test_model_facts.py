"""The facts that models add and read: the lists are what the code does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from campaigns.candidates import Definitions
from features.table import FeatureTable
from models.facts import RULE_INPUTS, SCORE_FACTS, facts_read
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.rfm import rfm_columns
from models.routing import RoutedScorer
from models.scores import score_customers
from streams.decision_config import DecisionConfig
from tests.builders import campaign, offers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RULES = load_scorers(Path("no models here"), FEATURE_MAPPING)


class WatchedColumns(Mapping[str, Any]):
    """Columns of ones that remember which of them were read."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise KeyError(name)
        self.read.add(name)
        return np.ones(2)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Model:
    """A model that reads a column."""

    version, basis, columns, spreads = "churn-1", "model", ("items_total",), 0

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return one score for everyone."""
        return np.full((len(table), 1), 0.5, dtype=np.float32)

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the same."""
        return self.score(table)


def table(columns: Mapping[str, Any]) -> FeatureTable:
    return FeatureTable(("ann", "bob"), columns)


def test_scoring_adds_exactly_the_score_facts() -> None:
    scored = score_customers(table({name: np.ones(2) for name in RULE_INPUTS}), RULES)
    assert set(scored.columns) - RULE_INPUTS == SCORE_FACTS


def test_the_rules_read_exactly_their_inputs() -> None:
    watched = WatchedColumns(*RULE_INPUTS, "birth_date")
    for scorer in RULES.by_name.values():
        scorer.score(table(watched))
    rfm_columns(table(watched), RULES.rfm)
    assert watched.read == RULE_INPUTS


def test_decisions_record_what_a_promoted_model_reads() -> None:
    definitions = Definitions([campaign()], offers(), {}, {"at-risk": "1"}, model_facts=RULE_INPUTS)
    config = DecisionConfig(RULES, [], {}, definitions)
    assert "country" not in config.definitions.facts_read_for(campaign())
    routed = RULES.with_scorer("churn", RoutedScorer(RULES["churn"], "country", {}, {"outputs": 1}))
    assert "country" in config.with_scorers(routed).definitions.facts_read_for(campaign())


def test_the_facts_read_are_those_of_rules_features_and_routes() -> None:
    routed = RoutedScorer(Model(), "country", {}, {"outputs": 1})
    assert facts_read(RULES.with_scorer("churn", routed)) == RULE_INPUTS | {"country", "items_total"}
