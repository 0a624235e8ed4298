from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from intelligence.errors import RecommendationError
from intelligence.neighbour_purchases import BoughtProduct, rank_purchases
from intelligence.recommendations.catalogue import Catalogue, Product
from intelligence.recommendations.collaborative import fit_ease, fit_neighbours
from intelligence.recommendations.customer_purchases import embed_customers, summarize_purchases
from intelligence.recommendations.features import CandidateFinder
from intelligence.recommendations.histories import History
from intelligence.recommendations.purchases import Purchases
from intelligence.recommendations.ranking import choose_cut_offs
from intelligence.recommendations.recommender import Recommender, fit_recommender
from tests.shop import AS_OF, PRODUCTS, open_shop


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    """Learned from the shop, whose catalogue has a tea that was never sold."""
    catalogue, purchases = open_shop()
    new = Product("t9", "jasmine green tea", "", "tea", 9.0)
    return fit_recommender(Catalogue([*catalogue.products, new]), purchases, AS_OF)


def make_purchases(rows: list[tuple[int, int, float]], customers: int = 3) -> Purchases:
    owners, products, days = zip(*rows, strict=True)
    ids = tuple(f"c{number}" for number in range(customers))
    return Purchases(ids, np.array(owners, np.int32), np.array(products, np.int32), np.array(days))


def test_purchases_of_one_day_count_once() -> None:
    history = History(make_purchases([(0, 1, 5.1), (0, 1, 5.9), (0, 1, 9.0), (1, 0, 2.0), (1, 1, 50.0)]), 2, 20.0)
    assert history.pairs.times.tolist() == [2, 1]
    assert (history.pairs.first.tolist(), history.pairs.last.tolist()) == ([5, 2], [9, 2])
    assert history.visits.tolist() == [2, 1, 0]
    assert history.sold[30].tolist() == history.buyers.tolist() == [1, 1]
    assert history.find_pairs(np.array([0, 0, 1]), np.array([1, 0, 0])).tolist() == [0, -1, 1]


def test_ease_is_the_ridge_regression_of_each_product_on_the_others() -> None:
    """Compared with its normal equations."""
    history = History(make_purchases([(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1), (2, 1, 1), (2, 2, 1)]), 3, 2.0)
    bought = history.bought.toarray()
    ease = fit_ease(history.bought, ridge=2.0)
    for product in range(3):
        others = [each for each in range(3) if each != product]
        gram = bought[:, others].T @ bought[:, others] + 2.0 * np.eye(2)
        expected = np.linalg.solve(gram, bought[:, others].T @ bought[:, product])
        assert ease.weights[others, product] == pytest.approx(expected, abs=1e-5)
        assert ease.weights[product, product] == 0


def test_neighbours_are_the_cosines_of_buyers() -> None:
    history = History(make_purchases([(0, 0, 1), (0, 1, 1), (1, 0, 1), (2, 1, 1), (2, 2, 1)]), 3, 2.0)
    found = fit_neighbours(history.bought, shrinkage=0).toarray()
    assert found == pytest.approx(np.array([[0, 0.5, 0], [0.5, 0, 0.5**0.5], [0, 0.5**0.5, 0]]), abs=1e-6)


def test_customers_get_products_of_what_they_buy(recommender: Recommender) -> None:
    """Every customer once, with the best first."""
    recommended = list(recommender.recommend_all(top_k=3))
    assert len({each.customer_id for each in recommended}) == len(recommended) == 80
    for customer_id, products in recommended:
        interest = "tea" if int(customer_id[1:]) % 2 == 0 else "lamps"
        assert {each["category"] for each in products} == {interest}
        scores = [each["score"] for each in products]
        assert scores == sorted(scores, reverse=True)


def test_one_customer_gets_what_all_get(recommender: Recommender) -> None:
    everybody = {each.customer_id: each for each in recommender.recommend_all(4)}
    assert recommender.recommend("c7", 4) == everybody["c7"]


def test_each_recommendation_says_why(recommender: Recommender) -> None:
    """By the customer's own purchases of it, or by purchases that the customer made."""
    products = {each["product_id"] for each in PRODUCTS}
    for customer_id, found in recommender.recommend_all(8):
        own = {
            recommender.catalogue.products[place].product_id
            for place in recommender.purchases.products[
                recommender.purchases.customers == recommender.purchases.customer_ids.index(customer_id)
            ]
        }
        for each in found:
            because = each["because"]
            assert each["bought_before"] == (each["product_id"] in own) == (because["kind"] == "repeat")
            if because["kind"] == "repeat":
                assert each["reason"].startswith("You bought it ")
            elif because["kind"] != "popular":
                assert {behind["product_id"] for behind in because["purchases"]} <= own & products
                assert all(behind["name"] in each["reason"] for behind in because["purchases"])


def test_only_new_products_are_recommended_where_asked(recommender: Recommender) -> None:
    for _, found in recommender.recommend_all(5, only_new=True):
        assert found
        assert not any(each["bought_before"] for each in found)


def test_a_product_that_was_never_sold_is_recommended_by_its_text(recommender: Recommender) -> None:
    """To customers of products alike, and to no others."""
    got = {
        customer_id: next(each for each in found if each["product_id"] == "t9")
        for customer_id, found in recommender.recommend_all(9, only_new=True)
        if "t9" in {each["product_id"] for each in found}
    }
    assert got
    assert all(int(customer_id[1:]) % 2 == 0 for customer_id, each in got.items() if each["because"]["kind"] == "alike")
    assert any("tea" in each["because"]["concepts"] or "green" in each["because"]["concepts"] for each in got.values())


def test_a_customer_without_purchases_gets_popular_products(recommender: Recommender) -> None:
    """Of a category where it is known; one that has none counts for nothing."""
    (found,) = recommender.recommend_newcomers([("new", "lamps"), ("c1", None), ("new", None)], top_k=2)
    assert found.customer_id == "new"
    assert {each["category"] for each in found.recommendations} == {"lamps"}
    assert all("in the last 30 days" in each["reason"] for each in found.recommendations)
    assert recommender.recommend_popular(3, "hats") == recommender.recommend_popular(3)


def test_customers_of_the_same_products_have_near_vectors(recommender: Recommender) -> None:
    history, purchases = recommender.finder.history, recommender.purchases
    vectors = embed_customers(history, dimensions=8)
    ids = purchases.customer_ids
    assert vectors.shape == (80, 8)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(80), abs=1e-5)
    places = {each: place for place, each in enumerate(ids)}
    likeness = vectors @ vectors.T
    teas = [places[f"c{number}"] for number in range(0, 80, 2)]
    lamps = [places[f"c{number}"] for number in range(1, 80, 2)]
    assert likeness[np.ix_(teas, teas)].mean() > likeness[np.ix_(teas, lamps)].mean() + 0.2


def test_purchases_of_a_customer_are_listed_the_strongest_first(recommender: Recommender) -> None:
    found = summarize_purchases(recommender.finder.history, recommender.purchases, recommender.catalogue)
    products, strengths = found.list_of("c1")
    assert list(strengths) == sorted(strengths, reverse=True)
    assert {found.names[each].split()[-1] for each in products} <= {
        each.name.split()[-1] for each in recommender.catalogue.products
    }
    assert found.list_of("nobody") == ((), ())


def test_products_of_near_customers_are_ranked() -> None:
    """The nearer a customer is, the more they count."""
    near, far = (0.0, {"tea": 1.0, "cup": 0.5}), (3.0, {"cup": 1.0, "lamp": 1.0})
    found = rank_purchases([near, far], {"cup"}, {"tea": "Green tea"}, 2)
    assert found == [BoughtProduct("tea", "Green tea", 0.8, 1, False), BoughtProduct("cup", "cup", 0.6, 2, True)]
    assert rank_purchases([], (), {}, 5) == []


def test_nothing_of_the_day_and_later_is_used() -> None:
    catalogue, purchases = open_shop()
    day = AS_OF - 40
    cut = purchases.take(purchases.days < day)
    assert list(fit_recommender(catalogue, purchases, day).recommend_all()) == list(
        fit_recommender(catalogue, cut, day).recommend_all()
    )


def test_with_few_purchases_the_weights_are_defaults() -> None:
    catalogue, purchases = open_shop(customers=3)
    recommender = fit_recommender(catalogue, purchases, AS_OF)
    assert recommender.ranking.learned_from == ()
    assert all(each.recommendations for each in recommender.recommend_all())


def test_a_catalogue_without_words_still_recommends() -> None:
    catalogue, purchases = open_shop(customers=20)
    wordless = Catalogue([replace(each, name="🫖", category=None) for each in catalogue.products])
    assert all(each.recommendations for each in fit_recommender(wordless, purchases, AS_OF).recommend_all())


def test_one_product_and_one_customer_are_enough() -> None:
    catalogue = Catalogue([Product("t1", "tea")])
    recommender = fit_recommender(catalogue, make_purchases([(0, 0, 4.0)], customers=1), 5.0)
    (found,) = recommender.recommend_all()
    assert [each["product_id"] for each in found.recommendations] == ["t1"]
    assert embed_customers(recommender.finder.history).shape == (1, 16)


def test_a_day_before_all_purchases_is_refused() -> None:
    catalogue, purchases = open_shop(customers=3)
    with pytest.raises(RecommendationError, match="no purchase before the day of recommending"):
        fit_recommender(catalogue, purchases, 0.0)


@pytest.mark.parametrize(("span", "count", "horizon"), [(365, 2, 90), (100, 1, 50), (40, 0, 20)])
def test_weights_are_learned_on_days_before(span: float, count: int, horizon: float) -> None:
    """The horizon after each ends by the day of recommending."""
    days, found = choose_cut_offs(0.0, span)
    assert (len(days), found) == (count, horizon)
    assert all(day + horizon <= span for day in days)


def test_products_outside_of_the_head_have_the_scores_of_products_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intelligence.recommendations.features.fit_ease", lambda bought: fit_ease(bought, head=6))
    catalogue, purchases = open_shop()
    recommender = fit_recommender(catalogue, purchases, AS_OF)
    finder = recommender.finder
    assert isinstance(finder, CandidateFinder)
    assert len(finder.ease.head) == 6
    found = finder.find(np.arange(10))
    tail = finder.head_place[found.products] < 0
    assert np.any(found.features["ease"][tail] > 0)
