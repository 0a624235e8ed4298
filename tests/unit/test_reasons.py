"""Reasons for scores of models and rules: they sum to the score, are worded, and are never made up."""

from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import FeatureLabelError
from models.inputs import FEATURE_MAPPING
from models.reasons import OfferExplainer, OfferPair, ScoreExplainer, explain_absence
from models.reasons_file import REASONS_FILE
from models.registry import load_scorers, version_fingerprint
from models.routing import RoutedScorer
from models.rules import usual_customers
from models.scores import score_columns, score_offers
from models.tflite import TFLiteScorer
from models.versions import read_version, verify
from tests.fakes.scorer import InMemoryScorer
from tests.model_versions import SHIPPED, draw_customers, promote_explained, promote_unexplained

if TYPE_CHECKING:
    from models.reasons import Factor
    from models.registry import Scorers

RULES = load_scorers(Path("nowhere"), FEATURE_MAPPING)
PAIR = OfferPair(3, 5, "10 % off", "a gift")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models with backgrounds, that of lifetime value promoted, too."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path_factory.mktemp("reasons") / "models"))
    (folder / "ltv" / "current").write_text(next((folder / "ltv" / "versions").iterdir()).name)
    for name in ("churn", "nbo", "ltv"):
        promote_explained(folder / name, f"{name}-explained")
    return folder


@pytest.fixture(scope="module")
def scorers(models: Path) -> Scorers:
    return load_scorers(models, FEATURE_MAPPING)


def customers(rows: int = 20) -> FeatureTable:
    """Customers as the view has them; of every third the days since the last order are null."""
    columns = dict(zip(FEATURE_MAPPING.values(), draw_customers(rows).T.astype(np.float64), strict=True))
    columns["days_since_last_transaction"][::3] = np.nan
    columns["tenure_days"] = np.linspace(1, 700, rows)
    return FeatureTable(tuple(map(str, range(rows))), columns)


def total(factors: tuple[Factor, ...]) -> float:
    return sum(each.contribution for each in factors)


@pytest.mark.parametrize("task", ["churn", "ltv"])
def test_the_factors_of_a_model_sum_to_its_score_less_that_of_the_background(scorers: Scorers, task: str) -> None:
    """Lifetime value in money of 12 months."""
    fact = {"churn": "churn_probability", "ltv": "predicted_ltv"}[task]
    table = customers()
    scores = score_columns(table, scorers)[fact]
    found = ScoreExplainer(task, scorers).explain(table)
    bases = [score - total(factors) for score, factors in zip(scores, found, strict=True)]
    # Money is rounded to hundredths, and its float32 has seven digits.
    assert bases == pytest.approx([bases[0]] * len(bases), abs=2e-6 if task == "churn" else 1e-2, rel=1e-5)
    assert scores.min() < bases[0] < scores.max()


@pytest.mark.parametrize("task", ["churn", "ltv"])
def test_the_factors_of_a_rule_sum_to_its_score_less_that_of_usual_customers(task: str) -> None:
    fact = {"churn": "churn_probability", "ltv": "predicted_ltv"}[task]
    table = customers()
    usual = usual_customers(RULES.rfm)
    base = score_columns(FeatureTable(("",) * 5, usual), RULES)[fact].mean()
    scores = score_columns(table, RULES)[fact]
    found = ScoreExplainer(task, RULES).explain(table)
    assert [total(each) for each in found] == pytest.approx(scores - base, abs=1e-5 if task == "churn" else 2e-2)


@pytest.mark.parametrize("by", ["model", "rules"])
def test_the_factors_of_an_offer_sum_to_its_lead_over_the_second(scorers: Scorers, by: str) -> None:
    """Less that of the background; so two customers' sums differ as their leads do."""
    used, table = scorers if by == "model" else RULES, customers()
    scores, basis = score_offers(table, used)
    assert set(basis) == {by}
    leads = (scores[:, 2] - scores[:, 4]).astype(np.float64)
    sums = np.array([total(each) for each in OfferExplainer([PAIR] * len(table), used).explain(table)])
    assert sums - sums[0] == pytest.approx(leads - leads[0], abs=1e-5)


def test_a_customer_is_explained_alike_whoever_shares_the_table(scorers: Scorers) -> None:
    """To the last bit: a decision that is made again in another batch has the same reasons."""
    table, explainer = customers(), ScoreExplainer("churn", scorers)
    together = explainer.explain(table)
    assert together == [explainer.explain(table.take([row]))[0] for row in range(len(table))]
    assert together[::-1] == explainer.explain(table.take(range(len(table))[::-1]))


def test_factors_are_ordered_and_say_their_direction(scorers: Scorers) -> None:
    for factors in ScoreExplainer("churn", scorers).explain(customers()):
        sizes = [abs(each.contribution) for each in factors]
        assert sizes == sorted(sizes, reverse=True)
        assert all(each.direction == ("raises" if each.contribution > 0 else "lowers") for each in factors)


def test_a_null_has_a_factor_and_no_value(scorers: Scorers) -> None:
    factors = ScoreExplainer("churn", scorers).explain(customers())[0]
    (recency,) = [each for each in factors if each.feature == "days_since_last"]
    assert recency.value is None
    assert recency.text.startswith("days since last transaction: not known; ")


def test_a_version_without_a_background_has_no_reasons_and_says_why(tmp_path: Path) -> None:
    promote_unexplained(Path(shutil.copytree(SHIPPED / "churn", tmp_path / "churn")), "churn-old")
    old = load_scorers(tmp_path, FEATURE_MAPPING)
    assert ScoreExplainer("churn", old).explain(customers(2)) == [(), ()]
    assert explain_absence("churn", old) == (
        f"churn: {old['churn'].version} was trained without a background, so it has no reasons; train it again"
    )
    assert explain_absence("ltv", old) is None  # a rule


def test_mock_scores_have_no_reasons_and_say_so() -> None:
    mock = load_scorers(Path(), FEATURE_MAPPING, mock=True)
    assert ScoreExplainer("churn", mock).explain(customers(2)) == [(), ()]
    assert explain_absence("churn", mock) == "churn: mock scores have no reasons"


def test_a_customer_whom_the_rule_scored_has_the_rule_s_reasons(scorers: Scorers) -> None:
    table = customers(4)
    cells = table.columns["total_revenue"].astype(object)
    cells[1] = "much"
    found = ScoreExplainer("churn", scorers).explain(table.with_columns({"total_revenue": cells}))
    assert {each.feature for each in found[1]} <= {"days_since_last_transaction", "transaction_count"}
    assert "days_since_last" in {each.feature for each in found[2]}


def test_a_null_score_has_no_reasons() -> None:
    unknown = customers(2).with_columns({"lifetime_value": np.full(2, np.nan)})
    assert ScoreExplainer("ltv", RULES).explain(unknown) == [(), ()]


def test_a_column_that_workers_do_not_read_is_in_no_reason(scorers: Scorers) -> None:
    """As a private one: a model that needs it gives way to the rule, which explains by what is left."""
    columns = {name: cells for name, cells in customers(3).columns.items() if name != "days_since_last_transaction"}
    for used in (scorers, RULES):
        for factors in ScoreExplainer("churn", used).explain(FeatureTable(("a", "b", "c"), columns)):
            assert [each.feature for each in factors] in (["transaction_count"], [])
            assert "last" not in "".join(each.text for each in factors)


def test_infinity_is_no_value(scorers: Scorers) -> None:
    """JSON has none."""
    endless = customers(2).with_columns({"total_revenue": np.array([np.inf, 1.0])})
    values = [each.value for each in ScoreExplainer("churn", scorers).explain(endless)[0]]
    assert np.inf not in values


def test_labels_replace_the_words_of_features(models: Path) -> None:
    before = version_fingerprint(models)
    (models / "labels.json").write_text(
        '{"transaction_count": {"label": "baskets"}, "total_revenue": {"unit": "GBP"}, '
        '"avg_transaction_value": {"unit": "GBP"}}'
    )
    assert version_fingerprint(models) != before
    texts = [
        each.text for each in ScoreExplainer("churn", load_scorers(models, FEATURE_MAPPING)).explain(customers())[1]
    ]
    (models / "labels.json").unlink()
    assert any(text.startswith("baskets: ") for text in texts)
    assert any(text.startswith("revenue of ") and " GBP, an average order of " in text for text in texts)


@pytest.mark.parametrize("content", ["", "[]", '{"a": {"name": "b"}}', '{"a": {"label": "line\\nbreak"}}'])
def test_labels_that_cannot_be_read_are_refused_with_an_example(tmp_path: Path, content: str) -> None:
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(FeatureLabelError, match=r"labels\.json: labels of features cannot be read .*write them as"):
        load_scorers(tmp_path, FEATURE_MAPPING)


def test_a_background_that_was_changed_refuses_the_version(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models, tmp_path / "models"))
    file = folder / "churn" / "versions" / "churn-explained" / REASONS_FILE
    file.write_bytes(file.read_bytes().replace(b"0.", b"1.", 1))
    scorers = load_scorers(folder, FEATURE_MAPPING)
    assert scorers.versions["churn"] != "churn-explained"
    assert "SHA-256" in scorers.refused["churn"]


def test_the_background_is_a_file_of_the_version_that_its_manifest_lists(models: Path) -> None:
    version = read_version(models / "churn", "churn-explained")
    assert REASONS_FILE in version.manifest["files"]
    assert verify(version) == []


def test_a_version_is_freed_as_soon_as_another_takes_its_place(models: Path) -> None:
    """Its interpreters are not kept by what explains its scores."""
    scorers = load_scorers(models, FEATURE_MAPPING)
    ScoreExplainer("churn", scorers).explain(customers(1))
    kept = weakref.ref(scorers["churn"])
    gc.disable()
    try:
        del scorers
        assert kept() is None
    finally:
        gc.enable()


def test_a_rule_explains_numbers_as_large_as_it_reads() -> None:
    rich = customers(1).with_columns({"lifetime_value": np.array([1e30]), "total_revenue": np.array([1240.4])})
    (factors,) = ScoreExplainer("ltv", RULES).explain(rich)
    assert factors[0].value == 1e30
    (factors,) = OfferExplainer([OfferPair(8, 1, "an advisor", "free shipping")], RULES).explain(rich)
    assert 1240.4 in [each.value for each in factors]


def test_a_customer_of_a_group_is_explained_by_the_model_of_the_group(scorers: Scorers) -> None:
    """One without a background has no reasons for its customers; the others keep theirs."""
    pooled = scorers["churn"]
    assert isinstance(pooled, TFLiteScorer)
    table = customers(4).with_columns({"country": np.array(["UK", "DE", None, "UK"], dtype=object)})
    routed = RoutedScorer(pooled, "country", {"UK": InMemoryScorer({}, 1, pooled.columns)}, pooled.manifest)
    found = ScoreExplainer("churn", scorers.with_scorer("churn", routed)).explain(table)
    expected = ScoreExplainer("churn", scorers).explain(table)
    assert found == [(), expected[1], expected[2], ()]
    assert explain_absence("churn", scorers.with_scorer("churn", routed)) is None
