"""The contract of a Scorer, run on models, rules, mocks and the fake."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelInputError
from models.inputs import FEATURE_MAPPING
from models.mock import MockScorer
from models.registry import load_scorers
from models.routing import load_model
from models.rules import RuleScorer, churn_rule, lifetime_value_rule, offers_rule
from tests.fakes.scorer import InMemoryScorer
from tests.model_versions import churn_of_text

if TYPE_CHECKING:
    from models.ports import Scorer

MODELS = Path(__file__).parents[2] / "examples" / "online_retail" / "models"
SCORERS = {
    "churn model": (lambda: load_scorers(MODELS, FEATURE_MAPPING)["churn"], 1),
    "offers model": (lambda: load_scorers(MODELS, FEATURE_MAPPING)["nbo"], 8),
    "churn rule": (lambda: RuleScorer(churn_rule, "a test"), 1),
    "offers rule": (lambda: RuleScorer(partial(offers_rule, offers=8), "a test"), 8),
    "lifetime value rule": (lambda: RuleScorer(lifetime_value_rule, "a test"), 1),
    "mock": (lambda: MockScorer("churn", 1), 1),
    "value model": (lambda: load_model(next((MODELS / "ltv" / "versions").iterdir()), FEATURE_MAPPING), 3),
    "model of text": (lambda: churn_of_text("bronze", "gold"), 1),
    "fake": (lambda: InMemoryScorer({"0": [0.5]}), 1),
    "fake model": (lambda: InMemoryScorer({"0": [0.5]}, columns=["total_revenue"]), 1),
}


@pytest.fixture(params=SCORERS)
def scorer(request: pytest.FixtureRequest) -> tuple[Scorer, int]:
    make, outputs = SCORERS[request.param]
    return make(), outputs


def customers(count: int) -> FeatureTable:
    generator = np.random.default_rng(7)
    columns = {name: generator.gamma(1.0, 50.0, count) for name in (*FEATURE_MAPPING.values(), "tenure_days")}
    columns["days_since_last_transaction"][::5] = np.nan
    return FeatureTable(tuple(map(str, range(count))), columns)


@pytest.mark.parametrize("count", [0, 1, 2, 31, 33, 512, 513, 1100])
def test_there_is_one_finite_row_of_scores_per_customer(scorer: tuple[Scorer, int], count: int) -> None:
    scores = scorer[0].score(customers(count))
    assert scores.shape == (count, scorer[1])
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_a_customer_scores_the_same_alone_and_in_a_batch(scorer: tuple[Scorer, int]) -> None:
    table = customers(700)
    whole = scorer[0].score(table)
    alone = np.concatenate([scorer[0].score(table.take([position])) for position in (0, 5, 699)])
    np.testing.assert_allclose(whole[[0, 5, 699]], alone, rtol=0, atol=1e-6)


def test_odd_values_never_give_an_odd_score(scorer: tuple[Scorer, int]) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 1e300])
    table = FeatureTable(tuple("abcdef"), dict.fromkeys((*FEATURE_MAPPING.values(), "tenure_days"), odd))
    scores = scorer[0].score(table)
    # A rule may say nothing of what is not known.
    unknown = (
        np.isnan(scores) & ~np.isfinite(odd)[:, None] if scorer[0].basis == "rules" else np.zeros(scores.shape, bool)
    )
    assert (np.isfinite(scores) | unknown).all()


def test_text_for_one_customer_leaves_the_scores_of_the_others(scorer: tuple[Scorer, int]) -> None:
    table = customers(3)
    cells = table.columns["total_revenue"].astype(object)
    cells[1] = "three"
    scores = scorer[0].score(table.with_columns({"total_revenue": cells}))
    others = scorer[0].score(table)[[0, 2]]
    np.testing.assert_allclose(scores[[0, 2]], others, rtol=0, atol=1e-6)
    assert np.isnan(scores[1]).all() == ("total_revenue" in scorer[0].columns)


def test_a_customer_who_cannot_be_scored_does_not_change_the_others(scorer: tuple[Scorer, int]) -> None:
    """Each gets a finite score or NaN, never an error and never the score of another customer."""
    table = customers(3)
    spoiled = {name: cells.astype(object) for name, cells in table.columns.items()}
    for cells in spoiled.values():
        cells[1] = {}
    scores = scorer[0].score(FeatureTable(table.customer_ids, spoiled))
    np.testing.assert_allclose(scores[[0, 2]], scorer[0].score(table)[[0, 2]], rtol=0, atol=1e-6)


def test_a_scorer_that_takes_columns_names_the_one_that_is_missing(scorer: tuple[Scorer, int]) -> None:
    for name in scorer[0].columns:
        table = customers(2)
        less = {other: cells for other, cells in table.columns.items() if other != name}
        with pytest.raises(ModelInputError, match=repr(name)):
            scorer[0].score(FeatureTable(table.customer_ids, less))


def test_a_scorer_names_its_version_and_basis(scorer: tuple[Scorer, int]) -> None:
    assert scorer[0].version
    assert scorer[0].basis in {"model", "rules", "mock"}
