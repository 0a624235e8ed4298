"""Clusters of customers: their number, their ids, what sets them apart."""

from __future__ import annotations

import numpy as np
import pytest

from intelligence.clustering import (
    NEARLY,
    Feature,
    Partition,
    divide,
    find_features,
    match_ids,
    measure_drift,
    name_clusters,
)
from intelligence.customer_vectors import CUT, build_vectors, shared_features
from intelligence.errors import ClusterError

CENTRES = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])


def draw(each: int = 20, seed: int = 3) -> np.ndarray:
    """Return points around three centres, one group after the other."""
    random = np.random.default_rng(seed)
    return (np.repeat(CENTRES, each, axis=0) + random.normal(size=(3 * each, 2))).astype(np.float32)


@pytest.fixture(scope="module")
def found() -> Partition:
    """Three groups of customers, divided."""
    return divide(draw())


def test_the_number_of_clusters_is_a_stable_one(found: Partition) -> None:
    assert (found.clusters, found.stable) == (3, True)
    assert found.stability[3] > 0.95 > found.stability[5]
    assert len({tuple(group) for group in found.labels.reshape(3, 20).tolist()}) == 3


def test_customers_without_clusters_are_said_to_have_none() -> None:
    """A number is chosen, and is not stable."""
    cloud = np.random.default_rng(1).normal(size=(60, 6)).astype(np.float32)
    assert not divide(cloud).stable


def test_the_number_of_the_run_before_is_kept_while_it_is_nearly_as_stable(found: Partition) -> None:
    """A worse one is not."""
    line = np.arange(40, dtype=np.float32)[:, None]
    free = divide(line)
    nearly = [number for number, value in free.stability.items() if value >= max(free.stability.values()) - NEARLY]
    assert free.clusters == max(nearly)
    assert divide(line, former=min(nearly)).clusters == min(nearly)
    assert divide(draw(), former=2).clusters == found.clusters


def test_the_same_customers_give_the_same_clusters(found: Partition) -> None:
    assert divide(draw()).labels.tolist() == found.labels.tolist()


@pytest.mark.parametrize(
    ("vectors", "why"),
    [
        (np.zeros((5, 2), dtype=np.float32), "5 customers"),
        (np.zeros((100, 0), dtype=np.float32), "0 features"),
        (np.zeros((100, 2), dtype=np.float32), "differ too little"),
    ],
)
def test_too_few_customers_are_refused(vectors: np.ndarray, why: str) -> None:
    with pytest.raises(ClusterError, match=why):
        divide(vectors)


def test_ids_follow_the_customers_and_are_never_given_again() -> None:
    """Numbers of clusters differ from run to run; c2 was dissolved, and its id stays used."""
    first, used = match_ids(np.array([0, 0, 0, 1, 1, 1]), [None] * 6, 0)
    assert (first, used) == (["c1", "c2"], 2)
    former = ["c1", "c1", "c1", "c2", "c2", None]
    assert match_ids(np.array([1, 1, 1, 0, 0, 0]), former, 2) == (["c2", "c1"], 2)
    apart = ["c1", *[None] * 9]
    assert match_ids(np.array([0] * 5 + [1] * 5), apart, 2) == (["c3", "c4"], 4)


def test_drift_is_who_moved_and_how_sizes_changed() -> None:
    ids, former = ["c1", "c1", "c3", "c3"], ["c1", "c2", "c2", None]
    drift = measure_drift(ids, former, {"c1": 2, "c2": 2})
    assert (drift.compared, round(drift.moved, 3)) == (3, 0.667)
    assert (drift.kept, drift.gone, drift.new) == (("c1",), ("c2",), ("c3",))
    assert drift.psi > 1
    assert measure_drift(ids, ids, {"c1": 2, "c3": 2}).psi == 0


def test_a_cluster_is_named_by_what_sets_it_apart() -> None:
    scores = [
        [Feature("revenue", 2.0), Feature("messages_about_price", -1.0), Feature("age", 0.4)],
        [Feature("revenue", 1.0), Feature("messages_about_price", -0.5), Feature("age", -0.4)],
        [Feature("revenue", 0.1)],
    ]
    assert name_clusters(scores) == [
        "high revenue, few messages about price, high age",
        "high revenue, few messages about price, low age",
        "near the average",
    ]


def test_vectors_are_standardized_columns_of_two_groups_of_equal_weight() -> None:
    """Skewed columns by their logarithm; constant ones are left out, missing values are the mean."""
    behaviour = {
        "revenue": np.array([1.0, 10.0, 100.0, 1_000_000.0, np.nan]),
        "same": np.full(5, 7.0),
        "unknown": np.full(5, np.nan),
        "odd": np.array([0.0, 1.0, np.inf, -np.inf, 1e308]),
    }
    found = build_vectors(list("abcde"), behaviour, {"messages": np.array([0.0, 0, 0, 0, 3])})
    assert found.names == ["revenue", "odd", "messages"]
    assert found.behaviours == 2
    assert found.scores[4, 0] == 0
    assert np.abs(found.scores).max() <= CUT
    assert np.isfinite(found.vectors).all()
    assert (found.weights**2).tolist() == pytest.approx([0.5, 0.5, 1.0])


def test_features_are_those_that_differ_from_the_mean_of_all() -> None:
    values = np.array([0.0] * 9 + [10.0])
    found = build_vectors([str(n) for n in range(10)], {"a": values, "b": -values, "c": np.arange(10.0) % 2}, {})
    best, second, third = find_features(found, values > 5)
    assert {best.name, second.name} == {"a", "b"}
    assert third.name == "c"


def test_two_customers_share_what_both_have_much_or_little_of() -> None:
    one, other = np.array([2.0, -1.0, 0.5, 1.0]), np.array([1.5, -2.0, -0.5, 0.0])
    assert shared_features(one, other, ["a", "b", "c", "d"]) == [("a", "high"), ("b", "low")]
