"""Vectors, clusters, models and recommendations from concepts, on data with a planted truth."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from intelligence.analytics.catalogue import Product
from intelligence.analytics.clusters import (
    choose_number,
    describe_clusters,
    find_clusters,
    find_similar_clients,
    find_similar_concepts,
    measure_given,
)
from intelligence.analytics.concept_models import ConceptModel, describe_prediction, find_presence
from intelligence.analytics.concept_space import find_nearest, learn_space, split_words
from intelligence.analytics.labels import CHURNED, LABELS, LIFETIME_VALUE, PURCHASED, Labels
from intelligence.analytics.mentions import Mentions
from intelligence.analytics.predictions import Learned, learn
from intelligence.analytics.recommendations import recommend

if TYPE_CHECKING:
    from collections.abc import Mapping

RISKS = (0.4, 0.7)
ART = ("gallery", "sculpture", "architecture", "design", "painting", "museum")
WATCHES = ("vintage", "chronograph", "heritage", "auction", "leather", "gold")
PRODUCTS = (
    Product("s", "Column", "Contemporary sculpture", "Objects", 900.0),
    Product("w", "Meridian", "Swiss chronograph with heritage", "Watches", 5500.0),
    Product("x", "Zzyzx", "", "", None),
)


def quiet(_done: int, _of: int) -> None:
    """Show no progress."""


def make_tastes(clients: int = 60) -> Mentions:
    """Half like art, half watches; of art each says one of two synonyms."""
    generator = np.random.default_rng(0)
    rows: list[tuple[str, str]] = []
    for number in range(clients):
        pool, own = (ART, ("loves modern art", "prefers contemporary pieces")) if number % 2 else (WATCHES, ("swiss",))
        said = [
            *generator.choice(pool, 3, replace=False),
            own[(number // 2) % len(own)],
            f"note {generator.integers(40)}",
        ]
        rows += [(f"c{number}", str(each)) for each in said]
    return Mentions.of(rows)


def make_noise(clients: int = 120) -> Mentions:
    generator = np.random.default_rng(1)
    return Mentions.of(
        (f"c{number}", f"concept {place}") for number in range(clients) for place in generator.choice(20, 5)
    )


def zip_mentions(mentions: Mentions) -> list[tuple[str, str]]:
    pairs = zip(mentions.client, mentions.concept, strict=True)
    return [(mentions.clients[client], mentions.concepts[concept]) for client, concept in pairs]


def label(name: str, values: Mapping[str, float]) -> Labels:
    place = LABELS.index(name)
    rows = {
        client: tuple(value if each == place else np.nan for each in range(len(LABELS)))
        for client, value in values.items()
    }
    return Labels([name], rows)


def plant_label(mentions: Mentions, name: str, concept: str, low: float, high: float) -> Labels:
    """Label clients who mention a concept mostly high, the others mostly low."""
    generator = np.random.default_rng(2)
    there = find_presence(mentions, [concept])[:, 0] > 0
    kept = generator.random(len(there)) < 0.9
    values = np.where(there == kept, high, low) + (generator.random(len(there)) if high > 1 else 0.0)
    return label(name, dict(zip(mentions.clients, values.tolist(), strict=True)))


def learned(name: str, labels: Labels, mentions: Mentions) -> Learned:
    found = learn(name, labels, mentions, quiet)
    assert isinstance(found, Learned), found
    return found


def test_concepts_that_are_never_together_are_near_by_their_company() -> None:
    mentions = make_tastes()
    similar = find_similar_concepts(mentions, learn_space(mentions))
    first = similar["loves modern art"][0]
    assert first["concept"] == "prefers contemporary pieces"
    assert first["similarity"] > 0.8
    assert all(each["concept"] not in WATCHES for each in similar["gallery"][:3])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Swiss watches, 1950", ["swiss", "watch"]),
        ("Ladies' scarves", ["lady", "scarve"]),
        ("gas bus glass boxes", ["gas", "bus", "glass", "box"]),
        ("時計 ÉTÉ", ["時計", "été"]),
        ("😀 --", []),
    ],
)
def test_words_lose_case_and_plural(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_the_nearest_are_others_in_a_stable_order() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    places, cosines = find_nearest(vectors, 9)
    assert places.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert cosines[3].tolist() == [0.0, 0.0, 0.0]
    assert find_nearest(vectors[:1], 3)[0].shape == (1, 0)


def test_stable_clusters_do_not_mix_tastes() -> None:
    """How many there are is tested on the example, see test_analytics_command.py."""
    mentions = make_tastes()
    space = learn_space(mentions)
    number = choose_number(mentions, space, quiet)
    assert number.is_stable
    assert number.chosen < 5
    clusters = find_clusters(space.clients, number.chosen)
    assert not set(clusters[::2]) & set(clusters[1::2])
    described = describe_clusters(mentions, clusters)
    assert {each["top_concepts"][0]["mentions"] > 0 for each in described} == {True}
    assert sum(each["clients"] for each in described) == len(mentions.clients)
    assert all(
        mine["client_id"] != client for client, row in find_similar_clients(mentions, space).items() for mine in row
    )


def test_clusters_of_clients_without_structure_are_called_unstable() -> None:
    mentions = make_noise()
    assert choose_number(mentions, learn_space(mentions), quiet).is_stable is False


def test_few_clients_are_one_cluster() -> None:
    mentions = Mentions.of([("a", "art"), ("b", "art"), ("c", "gold")])
    space = learn_space(mentions)
    number = choose_number(mentions, space, quiet)
    assert (number.chosen, number.how, number.is_stable) == (1, "few clients", None)
    assert find_clusters(space.clients, 1).tolist() == [0, 0, 0]
    assert measure_given(space, 3).stability == {}


def test_equal_clients_leave_clusters_out() -> None:
    mentions = Mentions.of([(f"c{number}", each) for number in range(30) for each in ("art", "gold")])
    space = learn_space(mentions)
    assert set(find_clusters(space.clients, 3)) == {0}


def test_a_planted_concept_drives_a_useful_model() -> None:
    mentions = make_noise()
    found = learned(CHURNED, plant_label(mentions, CHURNED, "concept 3", 0, 1), mentions)
    assert found.metrics["is_useful"]
    assert found.metrics["brier_score"] < found.metrics["brier_score_of_base_rate"]
    assert {key: found.drivers[0][key] for key in ("concept", "direction", "folds_agreeing")} == {
        "concept": "concept 3",
        "direction": "raises",
        "folds_agreeing": 5,
    }
    said = [describe_prediction(found.model, each, RISKS) for each in found.model.predict(mentions)]
    assert {each["risk_level"] for each in said} >= {"Low", "High"}


def test_labels_of_chance_give_everybody_the_base_rate() -> None:
    mentions = make_noise()
    drawn = np.random.default_rng(3).random(len(mentions.clients)) < 0.3
    labels = label(CHURNED, dict(zip(mentions.clients, drawn.astype(float).tolist(), strict=True)))
    found = learned(CHURNED, labels, mentions)
    assert (found.metrics["is_useful"], list(found.drivers)) == (False, [])
    assert np.allclose(found.predict(mentions)[:, 1], drawn.mean())
    said = describe_prediction(found.model, found.predict(mentions)[0], RISKS)
    assert (said["risk_level"], said["churn_model_is_useful"]) == (None, False)


def test_values_become_four_tiers() -> None:
    mentions = make_noise(200)
    found = learned(LIFETIME_VALUE, plant_label(mentions, LIFETIME_VALUE, "concept 3", 100.0, 900.0), mentions)
    assert found.model.classes == ("Bronze", "Silver", "Gold", "Platinum")
    assert list(found.model.amounts) == sorted(found.model.amounts)
    assert found.drivers[0]["concept"] == "concept 3"
    assert found.drivers[0]["effect"] > 100
    said = describe_prediction(found.model, np.array([0.1, 0.1, 0.1, 0.7]), RISKS)
    assert said["value_segment"] == "Platinum"


def test_equal_values_share_a_tier() -> None:
    mentions = make_noise()
    values = {client: 0.0 if place % 2 else 50.0 + place for place, client in enumerate(mentions.clients)}
    found = learned(LIFETIME_VALUE, label(LIFETIME_VALUE, values), mentions)
    assert found.model.classes == ("Bronze", "Gold", "Platinum")


@pytest.mark.parametrize("name", LABELS)
def test_few_labels_are_a_sentence(name: str) -> None:
    mentions = make_tastes()
    labels = label(name, dict.fromkeys(mentions.clients[:30], 1.0))
    found = learn(name, labels, mentions, quiet)
    assert isinstance(found, str)
    assert found.startswith(f"{name}: each class needs 20 clients")


def test_a_labelled_client_is_predicted_by_models_that_did_not_see_it() -> None:
    mentions = make_noise()
    labels = plant_label(mentions, CHURNED, "concept 3", 0, 1)
    some = label(CHURNED, {client: labels.values[client][1] for client in mentions.clients[:90]})
    found = learned(CHURNED, some, mentions)
    own = found.model.predict(mentions)
    assert np.array_equal(found.predict(mentions)[90:], own[90:])
    assert not np.array_equal(found.predict(mentions)[:90], own[:90])


def test_what_is_mentioned_after_the_outcome_is_not_learned() -> None:
    """A concept that staff notes because a client left would predict perfectly, and be unknown when it is needed."""
    mentions = make_noise()
    drawn = np.random.default_rng(3).random(len(mentions.clients)) < 0.5
    gone = [(client, "has left") for client, left in zip(mentions.clients, drawn, strict=True) if left]
    both = Mentions.of([*zip_mentions(mentions), *gone])
    day = np.array(["2026-01-01"] * len(mentions.concept) + ["2026-03-01"] * len(gone), dtype="datetime64[D]")
    values = dict(zip(mentions.clients, drawn.astype(float).tolist(), strict=True))
    leaking = label(CHURNED, values)
    dated = replace(leaking, days=dict.fromkeys(values, "2026-02-01"))
    assert learned(CHURNED, leaking, both).metrics["is_useful"]
    assert not learned(CHURNED, dated, replace(both, day=day)).metrics["is_useful"]


def test_a_model_survives_json_and_ignores_what_it_does_not_know() -> None:
    mentions = make_noise()
    model = learned(PURCHASED, plant_label(mentions, PURCHASED, "concept 3", 0, 1), mentions).model
    again = ConceptModel.of(json.loads(json.dumps(model.as_json())))
    assert np.array_equal(again.predict(mentions), model.predict(mentions))
    known, unknown = Mentions.of([("n", "concept 3")]), Mentions.of([("n", "Concept  3"), ("n", "never seen")])
    assert np.array_equal(again.predict(known), again.predict(unknown))


def test_products_match_the_words_and_their_company() -> None:
    """Who loves modern art and never says sculpture gets the sculpture."""
    mentions = make_tastes()
    made = recommend(mentions, learn_space(mentions, [each.text for each in PRODUCTS]), PRODUCTS, {}, 2, quiet)
    first = {client: row[0] for client, row in made.of_clients.items()}
    assert {each["product_id"] for client, each in first.items() if int(client[1:]) % 2} == {"s"}
    assert {each["product_id"] for client, each in first.items() if not int(client[1:]) % 2} == {"w"}
    assert made.unmatched == ["x"]
    assert all(each["reason"].startswith("mentions ") for each in first.values())


def test_the_parts_of_a_score_sum_to_it() -> None:
    mentions = Mentions.of([*((f"c{place}", each) for place in range(9) for each in ART[:3]), ("one", "sculpture")])
    space = learn_space(mentions, [each.text for each in PRODUCTS])
    made = recommend(mentions, space, PRODUCTS, {}, 1, quiet).of_clients["c0"][0]
    assert made["product_id"] == "s"
    assert sum(each["contribution"] for each in made["concepts"]) == pytest.approx(made["similarity_score"], abs=1e-3)


def test_a_catalogue_of_other_words_gives_no_recommendation() -> None:
    mentions = make_tastes()
    products = (Product("1", "Uhr", "Handaufzug", "", None),)
    space = learn_space(mentions, [each.text for each in products])
    made = recommend(mentions, space, products, {}, 3, quiet)
    assert (space.shared_terms, made.empty, made.unmatched) == (0, 60, ["1"])


def test_similar_buyers_count_where_they_find_more() -> None:
    """Of the watch, whose words nobody says, only purchases tell."""
    mentions = make_tastes(120)
    products = (PRODUCTS[0], Product("u", "Uhr", "Handaufzug", "Uhren", 100.0))
    purchases = {client: frozenset({"s" if int(client[1:]) % 2 else "u"}) for client in mentions.clients[:80]}
    made = recommend(mentions, learn_space(mentions, [each.text for each in products]), products, purchases, 1, quiet)
    recall = made.metrics["recall_at_1"]
    assert recall["blended"] == 1.0 > recall["content"]
    watch = made.of_clients["c100"][0]
    assert (watch["product_id"], watch["similar_buyers"]) == ("u", 20)
    assert "20 of the 20 most similar buyers bought it" in watch["reason"]
    assert all(row["product_id"] != "u" for row in made.of_clients["c0"])
