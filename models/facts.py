"""The facts that models and their rules add to a customer, and those they read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rfm import RFM_SOURCES
from models.routing import RoutedScorer
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from models.registry import Scorers

SCORE_FACTS = frozenset[str](RFM_SOURCES).union(*(task.facts for task in TASKS.values()))
"""What `models.scores.score_customers` adds."""

RULE_INPUTS = frozenset[str]().union(*RFM_SOURCES.values(), *(task.rule_columns for task in TASKS.values()))
"""What RFM and the rules of models/rules.py read. A rule may score one customer of a batch that a model serves."""


def facts_read(scorers: Scorers) -> frozenset[str]:
    """Return the names of the facts that can influence a score."""
    by_models = {column for scorer in scorers.readers for column in scorer.columns}
    routes = {scorer.column for scorer in scorers.readers if isinstance(scorer, RoutedScorer)}
    return RULE_INPUTS | by_models | routes
