"""Clusters of customers: how many there are, who is in which, what sets each apart, and what changed. Pure.

The number of clusters is the largest one that is nearly as stable as the most stable one: two samples of the customers,
clustered alone, agree about those in both (Ben-Hur, Elisseeff and Guyon 2002), measured by the adjusted Rand index
(Hubert and Arabie 1985). From `STABLE` on a clustering counts as stable (Hennig 2007). Ids survive from run to run:
the clusters of two runs are matched by the customers they share (Kuhn 1955, the Hungarian method).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.customer_vectors import describe_feature
from intelligence.errors import ClusterError
from models.drift import stability_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from intelligence.customer_vectors import CustomerVectors, Level

    Labels = NDArray[np.int64]

STABLE = 0.85
NEARLY = 0.05
"""How much less stable than the most stable number of clusters the chosen one may be."""
MOST_CLUSTERS = 12
LEAST_CUSTOMERS = 20
PAIRS = 10
SHARE_SAMPLED = 0.8
COMPARED_CUSTOMERS = 1_000
"""Customers of a sample in the comparison of numbers of clusters."""
FITTED_CUSTOMERS = 50_000
SAME_CLUSTER = 0.25
"""The least overlap (Jaccard) with which a cluster keeps its id."""
NAMED_BY = 2
FEATURES_SHOWN = 5
CLEAR = 0.25
"""How far, in standard deviations, a cluster's mean must be from that of all to be named."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Customers divided into clusters.

    Attributes:
        labels: the cluster of each customer, [n], from 0.
        clusters: how many there are.
        stability: the mean adjusted Rand index by number of clusters.
        stable: whether that of the chosen number reaches STABLE.
    """

    labels: Labels
    clusters: int
    stability: Mapping[int, float]
    stable: bool


@dataclass(frozen=True, slots=True)
class Feature:
    """What sets a cluster apart: a component's name, and the mean of the cluster in standard deviations."""

    name: str
    deviation: float

    @property
    def level(self) -> Level:
        """Whether the cluster has much of it, or little."""
        return "high" if self.deviation > 0 else "low"


@dataclass(frozen=True, slots=True)
class Drift:
    """What changed since the run before.

    Attributes:
        compared: customers of both runs.
        moved: the share of them in another cluster than before.
        psi: the population stability index of the clusters' sizes.
        kept: ids of clusters of both runs.
        gone: ids of clusters that ended.
        new: ids of clusters that began.
    """

    compared: int
    moved: float
    psi: float
    kept: tuple[str, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]


def divide(vectors: NDArray[np.float32], *, seed: int = 0, former: int | None = None) -> Partition:
    """Divide customers into clusters.

    Args:
        vectors: [n, components].
        seed: of the samples and of k-means.
        former: the number of clusters of the run before: it is kept while it is nearly as stable as the best one.

    Raises:
        ClusterError: there are too few customers, or they do not differ.
    """
    if len(vectors) < LEAST_CUSTOMERS or not vectors.shape[1]:
        raise ClusterError(
            f"{len(vectors):,} customers with {vectors.shape[1]} features that vary are too few for clusters; it needs "
            f"{LEAST_CUSTOMERS} customers with one numeric column or message"
        )
    with _one_thread():
        return _divide(vectors, seed, former)


def _divide(vectors: NDArray[np.float32], seed: int, former: int | None) -> Partition:
    random = np.random.default_rng(seed)
    distinct = len(np.unique(_sample(vectors, COMPARED_CUSTOMERS, random), axis=0))
    most = min(MOST_CLUSTERS, len(vectors) // 10, distinct // 2)
    stability = {number: _stability(vectors, number, seed) for number in range(2, most + 1)}
    if not stability:
        raise ClusterError("the customers differ too little for clusters: fewer than four are unlike the others")
    best = max(stability.values())
    nearly = [number for number, value in stability.items() if value >= best - NEARLY]
    chosen = former if former in nearly else max(nearly)
    fitted = _fit(_sample(vectors, FITTED_CUSTOMERS, random), chosen, seed, starts=5)
    labels = fitted.predict(vectors).astype(np.int64)
    return Partition(_by_size(labels), chosen, stability, stability[chosen] >= STABLE)


def match_ids(labels: Labels, former: Sequence[str | None], used: int) -> tuple[list[str], int]:
    """Return the id of each cluster, and how many ids were ever used.

    Args:
        labels: the cluster of each customer, from 0.
        former: the id of each customer's cluster in the run before, None for one who is new.
        used: how many ids earlier runs used; an id is never given to another cluster.
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - an extra, see `_one_thread`

    names = sorted({each for each in former if each is not None})
    places = {name: at for at, name in enumerate(names)}
    clusters = int(labels.max()) + 1
    shared = np.zeros((clusters, len(names)))
    for label, name in zip(labels.tolist(), former, strict=True):
        if name is not None:
            shared[label, places[name]] += 1
    sizes = np.bincount(labels, minlength=clusters)[:, None] + shared.sum(axis=0)[None, :] - shared
    overlap = shared / np.maximum(sizes, 1)
    ids: list[str | None] = [None] * clusters
    for label, place in zip(*linear_sum_assignment(-overlap), strict=True):
        if overlap[label, place] >= SAME_CLUSTER:
            ids[label] = names[place]
    for label in range(clusters):
        if ids[label] is None:
            used += 1
            ids[label] = f"c{used}"
    return [str(each) for each in ids], used


def measure_drift(ids: Sequence[str], former: Sequence[str | None], former_sizes: Mapping[str, int]) -> Drift:
    """Compare the clusters of customers with those of the run before.

    Args:
        ids: of each customer's cluster now.
        former: of each customer's cluster before, None for one who is new.
        former_sizes: customers of each cluster of the run before.
    """
    pairs = [(now, then) for now, then in zip(ids, former, strict=True) if then is not None]
    moved = sum(now != then for now, then in pairs)
    now_in, then_in = set(ids), set(former_sizes)
    both = sorted(now_in | then_in)
    then = np.array([former_sizes.get(each, 0) for each in both], dtype=np.float64)
    sizes = dict.fromkeys(both, 0)
    for each in ids:
        sizes[each] += 1
    now = np.array(list(sizes.values()), dtype=np.float64)
    psi = float(stability_index(then / max(then.sum(), 1), now / max(now.sum(), 1)))
    return Drift(
        len(pairs),
        moved / max(len(pairs), 1),
        psi,
        tuple(sorted(now_in & then_in)),
        tuple(sorted(then_in - now_in)),
        tuple(sorted(now_in - then_in)),
    )


def find_features(customers: CustomerVectors, members: NDArray[np.bool_]) -> list[Feature]:
    """Return what sets some customers apart from all, strongest first."""
    means = customers.scores[members].mean(axis=0, dtype=np.float64)
    order = np.argsort(-np.abs(means), kind="stable")
    return [Feature(customers.names[at], round(float(means[at]), 3)) for at in order]


def name_clusters(features: Sequence[Sequence[Feature]]) -> list[str]:
    """Return a name for each cluster from its strongest features, longer where two were the same."""
    names = [_name(each, NAMED_BY) for each in features]
    return [
        name if names.count(name) == 1 else _name(each, NAMED_BY + 2)
        for name, each in zip(names, features, strict=True)
    ]


def _name(features: Sequence[Feature], most: int) -> str:
    clear = [each for each in features if abs(each.deviation) >= CLEAR][:most]
    return ", ".join(describe_feature(each.name, each.level) for each in clear) or "near the average"


def _stability(vectors: NDArray[np.float32], number: int, seed: int) -> float:
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415 - an extra, see `_one_thread`

    random = np.random.default_rng([seed, number])
    agreed = []
    for _ in range(PAIRS):
        some = _sample(vectors, COMPARED_CUSTOMERS, random)
        taken = [random.random(len(some)) < SHARE_SAMPLED for _ in range(2)]
        both = some[taken[0] & taken[1]]
        one, other = (_fit(some[each], number, seed, starts=2).predict(both) for each in taken)
        agreed.append(adjusted_rand_score(one, other))
    return round(float(np.mean(agreed)), 4)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let k-means use one thread: of hundreds of small fits, threads cost more than they give."""
    try:
        # The command line runs without the extra. First scikit-learn: only libraries that are loaded are limited.
        import sklearn.cluster  # noqa: F401, PLC0415
        from threadpoolctl import threadpool_limits  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ClusterError(
            "scikit-learn is not installed: clusters need the extra `training`; run: pip install 'holdfast[training]'"
        ) from error
    with threadpool_limits(1):
        yield


def _fit(vectors: NDArray[np.float32], number: int, seed: int, *, starts: int) -> Any:
    from sklearn.cluster import KMeans  # noqa: PLC0415 - an extra, see `_one_thread`

    return KMeans(number, n_init=starts, random_state=seed).fit(vectors)


def _sample(vectors: NDArray[np.float32], most: int, random: np.random.Generator) -> NDArray[np.float32]:
    if len(vectors) <= most:
        return vectors
    return vectors[np.sort(random.choice(len(vectors), most, replace=False))]


def _by_size(labels: Labels) -> Labels:
    """Return the labels renumbered, the largest cluster first; one without customers has no number."""
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    places = np.empty(len(sizes), dtype=np.int64)
    places[order] = np.arange(len(sizes))
    return places[labels]
