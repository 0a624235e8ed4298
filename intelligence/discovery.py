"""Concerns that the taxonomy does not cover, found by clustering the messages that name none.

1. The content words of these messages, weighted by TF-IDF and projected on 32 axes by a truncated singular value
   decomposition (Deerwester et al. 1990), are clustered by k-means with several numbers of clusters.
2. A cluster counts if samples of the messages give it again: the mean Jaccard similarity to the nearest cluster of each
   sample is at least .6 (Hennig 2007, "Cluster-wise assessment of cluster stability"). Clusters with similar
   centres are joined. So most messages, which have nothing in common, are in no concern.
3. The words of a cluster distinguish them from all other messages of customers; see concern_words.py.
4. A message names the discovered concern if it has one of these words. So the concern is what the taxonomy would say
   if its words were added there, and its rate can be followed in the same way.
5. Of the numbers of clusters, the one whose concerns are named by most messages is taken.

A cluster of messages that are positive on the whole, such as thanks, is left out.

A concern keeps its id as long as most of the messages that name it named it before.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.utils.extmath import randomized_svd

from intelligence.concern_words import TermTable, list_terms

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from intelligence.conversations import HeardMessage

    Flags = NDArray[np.bool_]
    Key = tuple[str, str]

DIMENSIONS = 32
TEXTS_FOR_DIMENSION = 10
MOST_CLUSTERED = 6_000
"""Messages that are clustered, a sample where there are more; all of them are then searched for the words."""
CLUSTERS = (2, 4, 8, 16, 24, 32)
SAMPLES = 4
SAMPLE_SHARE = 0.7
STABLE = 0.6
SIMILAR = 0.5
"""Stable clusters whose centres have at most this cosine distance are one concern."""
LEAST_MESSAGES = 10
LEAST_CUSTOMERS = 3
"""A word that fewer customers use is not shown: it may be a name."""
WORDS_AT_MOST = 6
EXAMPLES = 3
DISTINGUISHES = 3.0
"""The least z-score of a word."""
PRAISE = 0.2
"""A mean sentiment above this is no concern."""
PRECISION = 0.5
"""The least share of the messages with a word, among those without a concern, that are in the cluster."""
SAME = 0.5
NAME_AT_MOST = 36
GROWTH = 2.0
GROWTH_ALPHA = 0.01


class Growth(NamedTuple):
    """Conversations that name a concern, and all, in the recent and in the previous period."""

    recent: int
    recent_all: int
    previous: int
    previous_all: int

    @property
    def ratio(self) -> float | None:
        """The recent rate relative to the previous one; None where that is 0 or unknown."""
        if not (self.previous and self.recent_all):
            return None
        return (self.recent / self.recent_all) / (self.previous / self.previous_all)

    @property
    def probability(self) -> float:
        """The probability of as many recent conversations, or more, if the rate had not changed; 1 where unknown.

        The exact conditional test of two Poisson rates.
        """
        if not (self.recent and self.previous_all):
            return 1.0
        share = self.recent_all / (self.recent_all + self.previous_all)
        return float(stats.binom.sf(self.recent - 1, self.recent + self.previous, share))

    @property
    def is_emerging(self) -> bool:
        """Whether the rate has at least doubled, or begun, by more than chance explains."""
        return self.probability <= GROWTH_ALPHA and (self.ratio is None or self.ratio >= GROWTH)


@dataclass(frozen=True, slots=True)
class DiscoveredConcern:
    """A concern that the taxonomy does not cover.

    Attributes:
        id: stable between runs.
        words: the most distinguishing first.
        members: keys of the messages that have one of the words.
        customers: who wrote them.
        conversations: to which they belong.
        sentiment: mean of its messages, -1 to 1.
        stability: mean Jaccard similarity of its cluster to that of samples, .6 to 1.
        growth: of its rate.
        examples: keys of messages near the centre of the cluster.
    """

    id: str
    words: tuple[str, ...]
    members: frozenset[Key]
    customers: int
    conversations: int
    sentiment: float
    stability: float
    growth: Growth
    examples: tuple[Key, ...]


class _Cluster(NamedTuple):
    """Positions of its messages among all, the nearest to the centre first."""

    positions: NDArray[np.int64]
    stability: float


class _Theme(NamedTuple):
    """A cluster with words.

    Attributes:
        words: positions in the table of terms.
        named: which of all messages have one of them and no other concern.
        nearest: positions of the cluster's messages, the nearest to the centre first.
        sentiment: mean of the named messages.
        stability: of the cluster.
    """

    words: Sequence[int]
    named: Flags
    nearest: NDArray[np.int64]
    sentiment: float
    stability: float


def discover_concerns(
    messages: Sequence[HeardMessage],
    recent_from: datetime,
    known: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> list[DiscoveredConcern]:
    """Return the concerns of the messages that name none, the most frequent first.

    Args:
        messages: all of the period, in a stable order.
        recent_from: growth compares the messages from this time on with those before.
        known: the words of each concern of the last run, by its id.
        seed: of samples and clusters; the same messages and seed give the same concerns.
    """
    open_ones = np.array([place for place, each in enumerate(messages) if not each.covered], dtype=np.int64)
    if len(open_ones) < LEAST_MESSAGES:
        return []
    clustered = _sample(open_ones, seed)
    terms = TermTable([each.text for each in messages], LEAST_CUSTOMERS)
    is_open, is_clustered = (_flags(len(messages), places) for places in (open_ones, clustered))
    best: list[_Theme] = []
    most = 0
    for clusters in _find_clusters([messages[place].text for place in clustered], seed):
        themes = list(_find_themes(messages, terms, clusters, clustered, is_open, is_clustered))
        named = int(np.any([each.named for each in themes], axis=0).sum()) if themes else 0
        if named >= most:
            best, most = themes, named
    found = [_describe(messages, terms, each, recent_from) for each in best]
    found.sort(key=lambda each: (-each.conversations, each.words))
    return _name(found, _find_members(messages, known or {}))


def _find_themes(
    messages: Sequence[HeardMessage],
    terms: TermTable,
    clusters: Sequence[_Cluster],
    clustered: NDArray[np.int64],
    is_open: Flags,
    is_clustered: Flags,
) -> Iterator[_Theme]:
    """Yield the clusters that have words, and enough messages with them, which are not praise."""
    for cluster in clusters:
        positions = clustered[cluster.positions]
        words = _choose_words(terms, messages, _flags(len(messages), positions), is_clustered)
        if not words:
            continue
        named = terms.texts_with(words) & is_open
        sentiment = fmean(messages[place].sentiment for place in np.flatnonzero(named))
        if named.sum() >= LEAST_MESSAGES and sentiment <= PRAISE:
            yield _Theme(words, named, positions, sentiment, cluster.stability)


def _sample(places: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    if len(places) <= MOST_CLUSTERED:
        return places
    return np.sort(np.random.default_rng(seed).choice(places, MOST_CLUSTERED, replace=False))


def _flags(length: int, places: NDArray[np.int64]) -> Flags:
    found = np.zeros(length, dtype=bool)
    found[places] = True
    return found


def _find_members(messages: Sequence[HeardMessage], known: Mapping[str, Sequence[str]]) -> dict[str, frozenset[Key]]:
    """Return the messages without a concern that have a word of each known one."""
    if not known:
        return {}
    terms = [(each.key, set(list_terms(each.text))) for each in messages if not each.covered]
    return {
        concern: frozenset(key for key, own in terms if not own.isdisjoint(words)) for concern, words in known.items()
    }


def _find_clusters(texts: Sequence[str], seed: int) -> Iterator[list[_Cluster]]:
    """Yield the stable clusters of the texts for each number of clusters."""
    random = np.random.default_rng(seed)
    vectors = _project(texts, seed)
    known = np.flatnonzero(np.linalg.norm(vectors, axis=1) > 0)
    vectors = vectors[known]
    distinct = len(np.unique(vectors.round(6), axis=0))
    for number in CLUSTERS:
        if number * LEAST_MESSAGES > len(vectors) or number > distinct:
            break
        stable = _join(_stable_clusters(vectors, number, random, seed), vectors)
        yield [_Cluster(known[each.positions], each.stability) for each in stable]


def _project(texts: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Return a vector of unit length for each text, or zeros where it has no word that others have, too."""
    terms = TermTable(texts, LEAST_CUSTOMERS)
    dimensions = min(DIMENSIONS, len(texts) // TEXTS_FOR_DIMENSION, len(terms.names) - 1)
    if dimensions < 1:
        return np.zeros((len(texts), 1))
    weights = TfidfTransformer(sublinear_tf=True).fit_transform(terms.matrix)
    _, _, axes = randomized_svd(weights, dimensions, random_state=seed)
    vectors = np.asarray(weights @ axes.T)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9)  # noqa: PLR2004 - rounding


def _stable_clusters(
    vectors: NDArray[np.float64], number: int, random: np.random.Generator, seed: int
) -> list[_Cluster]:
    whole = KMeans(number, n_init=2, random_state=seed).fit(vectors)
    similar = np.zeros(number)
    for _ in range(SAMPLES):
        sample = random.choice(len(vectors), int(SAMPLE_SHARE * len(vectors)), replace=False)
        again = KMeans(number, n_init=1, random_state=seed).fit(vectors[sample])
        similar += _jaccard(whole.labels_[sample], again.labels_, number).max(axis=1) / SAMPLES
    found = []
    for label in range(number):
        positions = np.flatnonzero(whole.labels_ == label)
        distances = np.linalg.norm(vectors[positions] - whole.cluster_centers_[label], axis=1)
        if similar[label] >= STABLE and len(positions) >= LEAST_MESSAGES:
            found.append(_Cluster(positions[np.argsort(distances, kind="stable")], float(similar[label])))
    return found


def _join(clusters: Sequence[_Cluster], vectors: NDArray[np.float64]) -> list[_Cluster]:
    """Join clusters with similar centres, by average linkage: one concern may be said in several ways."""
    if len(clusters) <= 1:
        return list(clusters)
    centres = np.stack([vectors[each.positions].mean(axis=0) for each in clusters])
    labels = fcluster(linkage(centres, "average", "cosine"), SIMILAR, "distance")
    found = []
    for label in np.unique(labels):
        parts = [each for each, own in zip(clusters, labels, strict=True) if own == label]
        positions = np.concatenate([each.positions for each in parts])
        distances = np.linalg.norm(vectors[positions] - vectors[positions].mean(axis=0), axis=1)
        found.append(_Cluster(positions[np.argsort(distances, kind="stable")], min(each.stability for each in parts)))
    return found


def _jaccard(one: NDArray[np.int64], other: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Return the similarity of each label of one clustering with each of another, [labels, labels]."""
    both = np.zeros((number, number))
    np.add.at(both, (one, other), 1.0)
    union = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def _choose_words(terms: TermTable, messages: Sequence[HeardMessage], group: Flags, is_clustered: Flags) -> list[int]:
    """Return the terms that distinguish a cluster, the most distinguishing first.

    A pair is left out if one of its words is chosen, as is a word whose pair is: they would find the same messages.
    """
    scores = terms.score(group)
    chosen: list[int] = []
    for term in np.argsort(-scores, kind="stable")[: 4 * WORDS_AT_MOST]:
        if scores[term] < DISTINGUISHES or len(chosen) == WORDS_AT_MOST:
            break
        named = terms.texts_with([term])
        customers = {messages[place].key[0] for place in np.flatnonzero(named & group)}
        precise = (named & group).sum() >= PRECISION * (named & is_clustered).sum()
        words = set(terms.names[term].split())
        is_other = words.isdisjoint(word for each in chosen for word in terms.names[each].split())
        if len(customers) >= LEAST_CUSTOMERS and precise and is_other:
            chosen.append(int(term))
    return chosen


def _describe(
    messages: Sequence[HeardMessage], terms: TermTable, theme: _Theme, recent_from: datetime
) -> DiscoveredConcern:
    members = [messages[place] for place in np.flatnonzero(theme.named)]
    return DiscoveredConcern(
        "",
        tuple(terms.names[word] for word in theme.words),
        frozenset(each.key for each in members),
        len({each.key[0] for each in members}),
        len({(each.key[0], each.conversation) for each in members}),
        theme.sentiment,
        theme.stability,
        _grow(messages, members, recent_from),
        _choose_examples([messages[place] for place in theme.nearest if theme.named[place]]),
    )


def _choose_examples(nearest: Sequence[HeardMessage]) -> tuple[Key, ...]:
    """Return the first messages that do not say the same."""
    by_text: dict[str, Key] = {}
    for each in nearest:
        by_text.setdefault(" ".join(list_terms(each.text)), each.key)
    return tuple(by_text.values())[:EXAMPLES]


def _grow(messages: Sequence[HeardMessage], members: Sequence[HeardMessage], recent_from: datetime) -> Growth:
    def count(some: Sequence[HeardMessage]) -> tuple[int, int]:
        began: dict[tuple[str, int], datetime] = {}
        for each in some:
            key = (each.key[0], each.conversation)
            began[key] = min(began.get(key, each.occurred_at), each.occurred_at)
        recent = sum(at >= recent_from for at in began.values())
        return recent, len(began) - recent

    (recent, previous), (recent_all, previous_all) = count(members), count(messages)
    return Growth(recent, recent_all, previous, previous_all)


def _name(found: Sequence[DiscoveredConcern], before: Mapping[str, frozenset[Key]]) -> list[DiscoveredConcern]:
    """Give each concern the id of the known one with which it shares most messages, or an id of its first words."""
    shared = sorted(
        (-len(each.members & members), key, place)
        for place, each in enumerate(found)
        for key, members in before.items()
        if len(each.members & members) >= SAME * min(len(each.members), len(members) or 1) > 0
    )
    ids: dict[int, str] = {}
    for _, key, place in shared:
        if place not in ids and key not in ids.values():
            ids[place] = key
    for place, each in enumerate(found):
        if place not in ids:
            ids[place] = _new_id(each.words, {*ids.values(), *before})
    return [replace(each, id=ids[place]) for place, each in enumerate(found)]


def _new_id(words: Sequence[str], taken: Collection[str]) -> str:
    """Return a name of the first words, in the form of the taxonomy's names."""
    parts = (unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode() for word in words[:2])
    name = re.sub(r"[^a-z]+", "_", " ".join(parts).lower()).strip("_")[:NAME_AT_MOST].rstrip("_") or "concern"
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique
