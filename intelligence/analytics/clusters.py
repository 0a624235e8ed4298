"""Clusters of clients by their concepts; their number is the one that other clients confirm.

The stability of a number of clusters (Tibshirani and Walther 2005, "Cluster validation by prediction strength"; Lange
et al. 2004): two halves of the clients are clustered apart, both put all clients into clusters, and the adjusted Rand
index says how far they agree. 1 is full agreement, 0 what chance gives. Clients without any structure can still be cut
into reproducible halves, so the same is done with concepts that are shuffled between clients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from intelligence.analytics.concept_space import find_nearest, learn_space

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from intelligence.analytics.concept_space import ConceptSpace
    from intelligence.analytics.mentions import Mentions

MOST_CLUSTERS = 12
FEWEST_CLIENTS = 10
"""On average of a cluster."""
REPEATS = 5
STABLE = 0.8
TOLERANCE = 0.05
"""How much less stable than the best a larger number of clusters may be."""
COMPARED = 5_000
"""Clients that stability is measured with at most."""
TOP_CONCEPTS = 10
NAME_CONCEPTS = 3
FEWEST_MENTIONING = 3
SIMILAR_CLIENTS = 5
SIMILAR_CONCEPTS = 5


@dataclass(frozen=True, slots=True)
class ClusterNumber:
    """A number of clusters, and why it was chosen.

    Attributes:
        chosen: how many.
        how: "given", "stability" or "few clients".
        stability: the mean agreement by number of clusters.
        by_chance: the same with shuffled concepts, of the chosen number; None if it was not measured.
    """

    chosen: int
    how: str
    stability: Mapping[int, float]
    by_chance: float | None = None

    @property
    def is_stable(self) -> bool | None:
        """Whether the clusters can be found again, and are more than shuffled concepts give; None if not measured."""
        found = self.stability.get(self.chosen)
        if found is None:
            return None
        return found >= STABLE and (self.by_chance is None or found > self.by_chance)


def choose_number(mentions: Mentions, space: ConceptSpace, show: Callable[[int, int], None]) -> ClusterNumber:
    """Return the largest number of clusters that is about as stable as the most stable one.

    Args:
        mentions: which the space was learned from.
        space: the vectors of the clients.
        show: receives how many numbers were tried, and of how many.
    """
    most = min(MOST_CLUSTERS, len(space.clients) // FEWEST_CLIENTS)
    if most < 2:  # noqa: PLR2004 - one cluster is no choice
        return ClusterNumber(1, "few clients", {})
    tried = range(2, most + 1)
    stability = {}
    for number in tried:
        stability[number] = _measure_stability(space.clients, number)
        show(number - 1, len(tried) + 1)
    best = max(stability.values())
    chosen = max(number for number in tried if stability[number] >= best - TOLERANCE)
    shuffled = np.random.default_rng(0).permutation(mentions.concept)
    chance = _measure_stability(learn_space(replace(mentions, concept=shuffled)).clients, chosen)
    show(len(tried) + 1, len(tried) + 1)
    return ClusterNumber(chosen, "stability", stability, chance)


def measure_given(space: ConceptSpace, number: int) -> ClusterNumber:
    """Return a number of clusters that a person gave, with its stability where there are enough clients."""
    number = min(number, len(space.clients))
    enough = len(space.clients) >= 2 * max(2, number)
    return ClusterNumber(number, "given", {number: _measure_stability(space.clients, number)} if enough else {})


def find_clusters(vectors: NDArray[np.float64], number: int) -> NDArray[np.int64]:
    """Return the cluster of each client, 0 the largest; shape [clients]."""
    found = _fit(vectors, number, restarts=10).labels_
    sizes = np.bincount(found, minlength=number)
    first = np.array([np.argmax(found == cluster) for cluster in range(number)])
    rank = np.empty(number, dtype=np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(number)
    ranked: NDArray[np.int64] = rank[found]
    return ranked


def describe_clusters(mentions: Mentions, clusters: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return size, name, top concepts and distinctive concepts of each cluster."""
    counts = mentions.counts()
    mentioned = (counts > 0).astype(float)
    everywhere = np.asarray(mentioned.mean(axis=0)).ravel()
    described = []
    for cluster in range(int(clusters.max()) + 1):
        members = clusters == cluster
        total = np.asarray(counts[members].sum(axis=0)).ravel()
        clients = np.asarray(mentioned[members].sum(axis=0)).ravel()
        share = clients / max(1, members.sum())
        known = clients >= min(FEWEST_MENTIONING, members.sum())
        # Frequent here and more frequent than elsewhere: what a member's Kullback-Leibler divergence is made of.
        distinct = np.where(known, share * np.log(np.maximum(share, 1e-9) / everywhere), -np.inf)
        places = [place for place in np.argsort(-distinct, kind="stable")[:TOP_CONCEPTS] if distinct[place] > 0]
        top = np.argsort(-total, kind="stable")[:TOP_CONCEPTS]
        describe = [
            [_describe(mentions.concepts[place], total[place], share[place], everywhere[place]) for place in each]
            for each in ([each for each in top if total[each] > 0], places)
        ]
        names = [each["concept"] for each in (describe[1] or describe[0])[:NAME_CONCEPTS]]
        described.append(
            {
                "cluster": cluster,
                "name": ", ".join(names),
                "clients": int(members.sum()),
                "top_concepts": describe[0],
                "distinctive_concepts": describe[1],
            }
        )
    return described


def find_similar_clients(mentions: Mentions, space: ConceptSpace) -> dict[str, list[dict[str, Any]]]:
    """Return the nearest clients of each, nearest first."""
    places, cosines = find_nearest(space.clients, SIMILAR_CLIENTS)
    return {
        client: [
            {"client_id": mentions.clients[place], "similarity": round(float(cosine), 4)}
            for place, cosine in zip(row, near, strict=True)
        ]
        for client, row, near in zip(mentions.clients, places, cosines, strict=True)
    }


def find_similar_concepts(mentions: Mentions, space: ConceptSpace) -> dict[str, list[dict[str, Any]]]:
    """Return the nearest concepts of each that enough clients mention, nearest first."""
    supported = np.flatnonzero(space.weights.getnnz(axis=0) >= FEWEST_MENTIONING)
    vectors = space.concepts[supported]
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None]
    places, cosines = find_nearest(vectors, SIMILAR_CONCEPTS)
    return {
        mentions.concepts[concept]: [
            {"concept": mentions.concepts[supported[place]], "similarity": round(float(cosine), 4)}
            for place, cosine in zip(row, near, strict=True)
        ]
        for concept, row, near in zip(supported, places, cosines, strict=True)
    }


def _describe(concept: str, mentions: float, share: float, everywhere: float) -> dict[str, Any]:
    return {
        "concept": concept,
        "mentions": int(mentions) if float(mentions).is_integer() else round(float(mentions), 2),
        "share_of_clients": round(float(share), 4),
        "share_of_all_clients": round(float(everywhere), 4),
    }


def _measure_stability(vectors: NDArray[np.float64], number: int) -> float:
    generator = np.random.default_rng(0)
    agreement = []
    for _ in range(REPEATS):
        order = generator.permutation(len(vectors))[:COMPARED]
        half = len(order) // 2
        first, second = (_fit(vectors[part], number) for part in (order[:half], order[half:]))
        compared = vectors[order]
        agreement.append(adjusted_rand_score(first.predict(compared), second.predict(compared)))
    return round(float(np.mean(agreement)), 4)


def _fit(vectors: NDArray[np.float64], number: int, restarts: int = 3) -> KMeans:
    # One thread: for this size threads cost more than they save.
    with threadpool_limits(limits=1), catch_warnings():
        # Fewer different vectors than clusters leave clusters empty, which are left out.
        simplefilter("ignore", ConvergenceWarning)
        return KMeans(number, n_init=restarts, max_iter=100, random_state=0).fit(vectors)
