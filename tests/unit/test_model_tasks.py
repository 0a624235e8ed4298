"""A model task is one module: a fourth one is registered and served without a change elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelLoadError
from models.fallbacks import ModelFallbacks
from models.inputs import FEATURE_MAPPING
from models.registry import Scorers, load_scorers, load_version, version_fingerprint
from models.rules import offers_rule
from models.scores import score_customers, score_offers
from models.tasks.protocol import ModelTask
from models.tasks.registry import TASKS
from models.tasks.sentiment import Sentiment
from models.versions import current_version
from tests.fakes.scorer import InMemoryScorer
from tests.model_versions import SHIPPED
from training.tasks.registry import TASKS as TRAINED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import Column
    from models.rfm import RfmCuts

ROOT = Path(__file__).parents[2]
PACKAGES = ("streams", "features", "models", "segments", "campaigns", "training", "console")
OWN_MODULES = {
    f"{package}/tasks/{name}.py"
    for package in ("models", "training")
    for name in ("churn", "ltv", "nbo", "next_purchase")
}
CUSTOMERS = FeatureTable(
    ("a", "b"),
    {name: np.array([1.0, 20.0]) for name in ("days_since_last_transaction", "transaction_count", "total_revenue")},
)


class Response(ModelTask):
    """A toy: the probability that a customer answers an e-mail."""

    name = "response"
    facts = ("answers",)
    fact = "answers"

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """One half for each customer."""
        _ = offers
        return np.full((len(table), 1), 0.5, dtype=np.float32)

    def add_facts(
        self, scores: NDArray[np.float32], basis: Column, manifest: Mapping[str, Any], rfm: RfmCuts
    ) -> dict[str, Column]:
        """Whether the customer is more likely to answer than not."""
        _ = basis, manifest, rfm
        return {"answers": scores[:, 0] > 0.5}


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, Response.name, Response())


@pytest.mark.usefixtures("_toy")
def test_a_fourth_task_is_loaded_watched_and_scored(tmp_path: Path) -> None:
    before = version_fingerprint(tmp_path)
    scorers = load_scorers(tmp_path, FEATURE_MAPPING)
    assert str(tmp_path / "response") in scorers.reasons["response"]
    assert score_customers(CUSTOMERS, scorers).columns["answers"].tolist() == [False, False]
    modelled = scorers.with_scorer("response", InMemoryScorer({"a": [0.9], "b": [7.0]}))
    fallbacks = ModelFallbacks()
    scored = score_customers(CUSTOMERS, modelled, fallbacks)
    assert scored.columns["answers"].tolist() == [True, False]
    assert fallbacks.counts == {("response", "out_of_range"): 1}
    (tmp_path / "response").mkdir()
    (tmp_path / "response" / "current").write_text("response-1")
    assert version_fingerprint(tmp_path) != before


@pytest.mark.usefixtures("_toy")
def test_a_fourth_task_has_a_mock(tmp_path: Path) -> None:
    assert score_customers(CUSTOMERS, load_scorers(tmp_path, FEATURE_MAPPING, mock=True)).columns["answers"].any()


def test_every_task_that_is_trained_is_served() -> None:
    """Sentiment is trained on texts, by training/text."""
    assert {*TRAINED, Sentiment.name} == {*TASKS}


@pytest.mark.parametrize("offers", [1, 3, 8, 12])
def test_the_number_of_offers_is_that_of_the_offers_file(tmp_path: Path, offers: int) -> None:
    for mock in (True, False):
        scorers = load_scorers(tmp_path, FEATURE_MAPPING, offers=offers, mock=mock)
        assert score_offers(CUSTOMERS, scorers)[0].shape == (2, offers)


def test_the_rule_for_offers_scores_the_shipped_ones_alike_however_many_there_are() -> None:
    np.testing.assert_array_equal(offers_rule(CUSTOMERS, 12)[:, :8], offers_rule(CUSTOMERS, 8))
    np.testing.assert_array_equal(offers_rule(CUSTOMERS, 3), offers_rule(CUSTOMERS, 8)[:, :3])


def test_a_customer_without_a_usable_score_has_a_rule_score_for_every_offer() -> None:
    model = InMemoryScorer({"a": [0.1] * 10, "b": [np.nan] * 10}, outputs=10)
    scores, basis = score_offers(CUSTOMERS, Scorers({"nbo": model}, load_scorers(SHIPPED, {}, mock=True).rfm, 10))
    assert basis.tolist() == ["model", "rules"]
    np.testing.assert_array_equal(scores[1], offers_rule(CUSTOMERS, 10)[1])


def test_a_model_with_another_number_of_offers_is_refused_in_words() -> None:
    home = SHIPPED / "nbo"
    version = current_version(home) or ""
    with pytest.raises(ModelLoadError, match=r"scores 8 offers, but the highest offer id of offers.json is 9; train"):
        load_version(home, version, FEATURE_MAPPING, offers=9)
    assert "rules decide" in load_scorers(SHIPPED, FEATURE_MAPPING, offers=9).refused["nbo"]


def test_no_file_but_its_own_modules_names_a_task() -> None:
    """So a fourth task adds two modules and changes two registries; what the API promises by name is a contract."""
    named = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"""["'](churn|ltv|nbo|next_purchase)["']""", path.read_text(encoding="utf-8"))
    }
    assert {each for each in named if not each.startswith("console/web/")} == OWN_MODULES
