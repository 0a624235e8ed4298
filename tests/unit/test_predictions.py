"""Predictions: their shapes, and that a worker says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import jsonschema
import numpy as np
import pytest

from campaigns.offers import choose_offer
from campaigns.recommendations import recommend
from features.table import FeatureTable
from models.fallbacks import ModelFallbacks
from models.inputs import FEATURE_MAPPING
from models.predictions import as_objects, column_types, columns_read, list_kinds, predict
from models.reasons import Factor
from models.registry import load_scorers
from models.scores import score_customers, score_offers
from streams.runtime.model_reload import load_models
from streams.settings import load_settings
from tests.builders import campaign, offers
from tests.fakes.scorer import InMemoryScorer, build_scorers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.registry import Scorers

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
SCHEMAS = ROOT / "models" / "schemas"
SHIPPED = ROOT / "examples" / "online_retail" / "models"
IDS = ("low", "medium", "high", "critical")
FACTORS = (
    Factor("days_since_last", np.float64(69.0), 0.2000004, "raises", "no purchase for 69 days"),
    Factor("cancellations", None, -0.1, "lowers", "no cancelled order"),
)


class WithSpread(InMemoryScorer):
    """A model that gives a spread for its first scores."""

    manifest: ClassVar[dict[str, Any]] = {"operating_threshold": 0.5, "confidence": {"cuts": [0.01, 0.05]}}

    def __init__(self, scores: dict[str, list[float]], spread: dict[str, list[float]], outputs: int = 1) -> None:
        super().__init__(scores, outputs)
        self._spread = spread
        self.spreads = outputs

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the given scores and spreads."""
        spread = [self._spread[each] for each in table.customer_ids]
        return np.hstack([self.score(table), np.array(spread, dtype=np.float32).reshape(len(table), -1)])


class Bounded(InMemoryScorer):
    """A model of lifetime value with an interval."""

    manifest: ClassVar = {"window_days": 365, "confidence": {"cuts": [0.5, 2.0]}}


def scorers() -> Scorers:
    churn = WithSpread(
        dict(zip(IDS, ([0.399], [0.5], [0.7], [0.85]), strict=True)),
        dict(zip(IDS, ([0.01], [0.02], [0.06], [np.nan]), strict=True)),
    )
    nbo = WithSpread({each: [0.1, 0.3, 0.2] for each in IDS}, {each: [0.001, 0.02, 0.9] for each in IDS}, outputs=3)
    ltv = Bounded({each: [450.0, 350.0, 550.0] for each in IDS}, outputs=3)
    return build_scorers(churn, nbo, ltv)


def customers(*ids: str) -> FeatureTable:
    days = {"low": 5.0, "medium": 50.0, "high": 100.0, "critical": np.nan}
    cells = {
        "days_since_last_transaction": np.array([days[each] for each in ids]),
        "transaction_count": np.array([5.0 if each != "critical" else np.nan for each in ids]),
        "total_revenue": np.array([900.0 if each != "critical" else np.nan for each in ids]),
    }
    return FeatureTable(ids, cells)


def many(count: int) -> FeatureTable:
    draw = np.random.default_rng(5)
    columns = {name: draw.gamma(1.0, 60.0, count) for name in (*FEATURE_MAPPING.values(), "tenure_days")}
    columns["days_since_last_transaction"][::7] = np.nan
    revenue = columns["total_revenue"].astype(object)
    revenue[::11] = "unreadable"
    return FeatureTable(tuple(map(str, range(count))), columns | {"cancellations": revenue})


@pytest.mark.parametrize("kind", list_kinds())
def test_a_prediction_has_the_published_shape(kind: str) -> None:
    """The golden file is what callers were promised."""
    table = customers("high")
    found = as_objects(kind, predict(kind, table, scorers()), [FACTORS], [["Make an offer"]])
    golden = json.loads((GOLDEN / f"{kind}_prediction.json").read_text(encoding="utf-8"))
    assert found == [golden]
    assert list(found[0]) == list(golden)


@pytest.mark.parametrize("kind", list_kinds())
@pytest.mark.parametrize("mode", ["models", "rules", "mock"])
def test_every_prediction_fits_its_schema(kind: str, mode: str) -> None:
    """By models, by the rules without models, and for what is null or cannot be read."""
    folder = SHIPPED if mode == "models" else Path("nowhere")
    serving = load_scorers(folder, FEATURE_MAPPING, mock=mode == "mock")
    schema = json.loads((SCHEMAS / f"{kind}_prediction.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in schema["examples"]:
        jsonschema.validate(example, schema)
    for table in (many(60), FeatureTable(("unknown",), {name: np.array([np.nan]) for name in many(1).columns})):
        for each in as_objects(kind, predict(kind, table, serving)):
            jsonschema.validate(json.loads(json.dumps(each)), schema)


@pytest.mark.parametrize("kind", list_kinds())
def test_the_columns_are_those_that_are_announced(kind: str) -> None:
    predicted = predict(kind, many(3), load_scorers(SHIPPED, FEATURE_MAPPING))
    assert list(predicted.columns) == list(column_types(kind, offers=8))


def test_a_worker_says_what_is_predicted() -> None:
    """Its score step calls `score_customers`; customers whom a rule scores are among these."""
    serving, table = load_scorers(SHIPPED, FEATURE_MAPPING), many(600)
    facts = score_customers(table, serving).columns
    churn = predict("churn", table, serving).columns
    np.testing.assert_array_equal(churn["churn_probability"], facts["churn_probability"])
    assert churn["churn_risk"].tolist() == facts["churn_risk_level"].tolist()
    assert churn["decision_basis"].tolist() == facts["decision_basis"].tolist()
    assert {"model", "rules"} == set(churn["decision_basis"])
    ltv = predict("ltv", table, serving).columns
    for name, fact in {"predicted_ltv": "predicted_ltv", "confidence_interval_low": "predicted_ltv_low"}.items():
        np.testing.assert_array_equal(ltv[name], facts[fact])
    assert ltv["value_segment"].tolist() == facts["value_segment"].tolist()
    rfm = predict("rfm", table, serving).columns
    np.testing.assert_array_equal(rfm["recency"], facts["rfm_recency"])
    assert rfm["segment"].tolist() == facts["rfm_segment"].tolist()


def test_the_offer_that_is_recommended_is_the_one_that_a_campaign_makes() -> None:
    """Of a campaign of all offers without exploration."""
    serving, table = load_scorers(SHIPPED, FEATURE_MAPPING), many(200)
    catalogue = offers()
    made = campaign(offers=tuple(catalogue))
    margins = [catalogue[place].margin for place in sorted(catalogue)]
    scores, basis = score_offers(table, serving)
    chosen = [choose_offer(made, catalogue, row, "t") for row in scores]
    predicted = predict("nbo", table, serving, margins=margins).columns
    assert predicted["recommended_offer"].tolist() == [each and each.made.offer.id for each in chosen]
    assert predicted["basis"].tolist() == basis.tolist()


def test_an_offer_that_a_customer_may_not_get_is_not_recommended() -> None:
    """Another is, or none."""
    table, yes = customers("low", "high"), np.array([False, True])
    best = predict("nbo", table, scorers(), margins=(1, 1, 1), refused={2: yes}).columns["recommended_offer"]
    assert best.tolist() == [2, 3]
    none = predict("nbo", table, scorers(), refused={1: yes, 2: yes, 3: yes}).columns["recommended_offer"]
    assert none.tolist() == [2, None]


def test_the_confidence_follows_the_spread_and_not_the_score() -> None:
    predicted = predict("churn", customers(*IDS), scorers()).columns
    assert predicted["confidence"].tolist() == ["high", "medium", "low", None]
    assert predicted["is_at_risk"].tolist() == [False, True, True, True]
    assert predict("nbo", customers("low"), scorers()).columns["confidence"].tolist() == ["medium"]
    assert predict("ltv", customers("low"), scorers()).columns["confidence"].tolist() == ["high"]


def test_the_thresholds_of_the_settings_make_the_bands() -> None:
    """And the three bands that rules know stay: high includes critical."""
    serving = load_scorers(Path("nowhere"), {}, risk=(0.2, 0.3, 0.6))
    table = FeatureTable(tuple("abcd"), {"days_since_last_transaction": np.array([9.0, 15.0, 45.0, 90.0])})
    assert predict("churn", table, serving).columns["churn_risk"].tolist() == ["low", "medium", "high", "critical"]
    assert score_customers(table, serving).columns["churn_risk"].tolist() == ["low", "medium", "high", "high"]
    settings = load_settings(churn_risk_thresholds="0.2, 0.3,0.6", models_dir=None)
    assert load_models(settings, offers()).rfm == serving.rfm


def test_a_rule_is_at_risk_from_high_on_and_never_confident() -> None:
    serving = load_scorers(Path("nowhere"), {})
    table = FeatureTable(("a", "b"), {"days_since_last_transaction": np.array([100.0, 110.0])})
    predicted = predict("churn", table, serving).columns
    assert predicted["is_at_risk"].tolist() == [False, True]
    assert (predicted["confidence"].tolist(), predicted["model_version"].tolist()) == (["low"] * 2, ["rules_v1"] * 2)


def test_a_customer_whom_a_rule_scores_carries_its_version() -> None:
    """The other customers keep the model's."""
    serving, fallbacks = load_scorers(SHIPPED, FEATURE_MAPPING), ModelFallbacks()
    versions = predict("churn", many(12), serving, fallbacks).columns["model_version"].tolist()
    assert versions == ["rules_v1", *[f"ml_{serving['churn'].version}"] * 10, "rules_v1"]
    assert fallbacks.counts == {("churn", "unreadable_input"): 2}


def test_no_other_column_can_change_a_prediction() -> None:
    serving, table = load_scorers(SHIPPED, FEATURE_MAPPING), many(50)
    for kind in list_kinds():
        read = FeatureTable(
            table.customer_ids,
            {name: table.columns[name] for name in columns_read(kind, serving) & table.columns.keys()},
        )
        assert as_objects(kind, predict(kind, read, serving)) == as_objects(kind, predict(kind, table, serving))


@pytest.mark.parametrize(
    ("risk", "at_risk", "confidence", "advice"),
    [
        (
            "critical",
            True,
            "high",
            ["Contact the customer in person now: Offer 3", "Remind the customer of what they bought before"],
        ),
        ("high", True, None, ["Make a retention offer now: Offer 3", "Remind the customer of what they bought before"]),
        (
            "medium",
            False,
            "low",
            [
                "Include the customer in the next promotion: Offer 3",
                "Remind the customer of what they bought before",
                "Look at the customer before you spend on an offer: the confidence is low",
            ],
        ),
        ("low", False, "low", ["No retention contact is needed"]),
    ],
)
def test_the_advice_follows_from_risk_reason_and_confidence(
    risk: str, at_risk: bool, confidence: str | None, advice: list[str]
) -> None:
    prediction = {"churn_risk": risk, "is_at_risk": at_risk, "confidence": confidence}
    assert recommend(prediction, FACTORS, offers()[3]) == advice


def test_a_low_risk_above_the_trained_threshold_is_worth_a_cheap_contact() -> None:
    (advice,) = recommend({"churn_risk": "low", "is_at_risk": True, "confidence": None}, (), None)
    assert advice == "Include the customer in a promotion if it is cheap: the risk is low, but a contact pays off"
