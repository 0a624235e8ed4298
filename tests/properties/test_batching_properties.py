"""Which customers share a batch decides nothing about any of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.table import FeatureTable
from models.fallbacks import ModelFallbacks
from models.inputs import readable_numbers
from models.scores import score_customers, score_offers
from tests.fakes.scorer import InMemoryScorer, build_scorers

if TYPE_CHECKING:
    from models.registry import Scorers

CELLS = [0.0, 45.0, 800.0, None, "three", "12", True, 1e300, 10**400]
READ = st.sampled_from([(), ("lifetime_value", "tenure_days")])
USABLE = st.floats(0, 1)
UNUSABLE = st.sampled_from([np.nan, np.inf, -np.inf, -3.0, 7.5, 1e30])
RFM = ("days_since_last_transaction", "transaction_count", "total_revenue")


class OddScorer(InMemoryScorer):
    """Scores as told, with the scale of a value model."""

    manifest: ClassVar = {"window_days": 73, "value_cuts": [60, 400]}


@st.composite
def customers(draw: st.DrawFn) -> tuple[FeatureTable, Scorers]:
    """Customers with odd cells, and models with odd scores for some of them."""
    ids = tuple(map(str, range(draw(st.integers(1, 8)))))

    def scorer(outputs: int) -> OddScorer:
        scores = st.lists(USABLE | UNUSABLE, min_size=outputs, max_size=outputs)
        sound = st.lists(USABLE, min_size=outputs, max_size=outputs)
        return OddScorer({each: draw(sound | scores) for each in ids}, outputs, draw(READ))

    def cells() -> Any:
        column = np.empty(len(ids), dtype=object)
        column[:] = [draw(st.sampled_from(CELLS)) for _ in ids]
        return column

    columns: dict[str, Any] = {name: np.array([draw(st.floats(0, 100)) for _ in ids]) for name in RFM}
    columns |= {"lifetime_value": cells(), "tenure_days": cells()}
    return FeatureTable(ids, columns), build_scorers(scorer(1), scorer(8), scorer(draw(st.sampled_from([1, 3]))))


def score(table: FeatureTable, scorers: Scorers) -> list[list[str]]:
    """Return everything that models say of each customer, NaN equal to itself."""
    scored = score_customers(table, scorers, ModelFallbacks())
    offers, basis = score_offers(table, scorers)
    rows = [[repr(cell) for cell in scored.row(place).values()] for place in range(len(table))]
    return [[*row, repr(offers[place].tolist()), basis[place]] for place, row in enumerate(rows)]


@given(drawn=customers(), cuts=st.sets(st.integers(1, 7)))
def test_a_customer_is_scored_the_same_in_any_batch(drawn: tuple[FeatureTable, Scorers], cuts: set[int]) -> None:
    table, scorers = drawn
    edges = [0, *sorted(cut for cut in cuts if cut < len(table)), len(table)]
    batches = [table.take(range(start, end)) for start, end in pairwise(edges)]
    assert [row for batch in batches for row in score(batch, scorers)] == score(table, scorers)


@given(drawn=customers())
def test_every_score_is_in_its_range_whatever_a_model_gives(drawn: tuple[FeatureTable, Scorers]) -> None:
    table, scorers = drawn
    got = score_customers(table, scorers).columns
    assert ((got["churn_probability"] >= 0) & (got["churn_probability"] <= 1)).all()
    values, spent = got["predicted_ltv"], readable_numbers(table.columns["lifetime_value"])[0]
    # Null is only what neither a model nor the rule can say.
    assert (np.isfinite(values) & (values >= 0) | np.isnan(values) & ~np.isfinite(spent)).all()
    assert [segment is None for segment in got["value_segment"]] == np.isnan(values).tolist()
    offers = score_offers(table, scorers)[0]
    assert ((offers >= 0) & (offers <= 1)).all()
