"""Words and pairs of words of a text, and those that distinguish a group of texts from all others.

A word distinguishes a group by the z-score of its log-odds ratio with an informative Dirichlet prior: Monroe, Colaresi
and Quinn (2008), "Fightin' words", section 3.5.1. The prior is the frequency of words in all texts, so that a rare word
needs more evidence than a frequent one.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

from intelligence.text_grams import normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHORTEST_WORD, LONGEST_WORD = 2, 40
PRIOR_WORDS, PRIOR_SHARE = 500.0, 0.1
"""The weight of the prior, as a number of words; at most this share of all words."""
_WORDS = re.compile(rf"https?://\S+|@\w+|&\w+;|[^\W\d_]{{1,{LONGEST_WORD}}}(?:['\u2019][^\W\d_]{{1,3}})?")
# Frequent words of messages that are in no list of function words and name no concern.
_FILLER_WORDS = """
anyone anything did does doing don dont get gets getting goes going got guys hello hey hi just know let like likely ll
look looks make makes maybe need needs ok okay please pls really right said say says see sure tell thing things think
time times today told tomorrow tried try trying use using ve want wanted wants way week yes yesterday
"""
_FILLERS = frozenset(_FILLER_WORDS.split())
_MARKS = ":'\u2019"
_MOST_TERMS = 50_000


def list_terms(text: str) -> list[str]:
    """Return the words of a text and the pairs of neighbours, without function words, links and mentions of users."""
    words = [None if _is_common(word) else word for word in _WORDS.findall(normalize(text))]
    pairs = [f"{one} {other}" for one, other in pairwise(words) if one and other]
    return [*filter(None, words), *pairs]


def _is_common(word: str) -> bool:
    if len(word) < SHORTEST_WORD or not word[0].isalpha() or any(each in word for each in _MARKS):
        return True
    return word in _FILLERS or word in ENGLISH_STOP_WORDS


class TermTable:
    """Which text has which term.

    Args:
        texts: all texts that are compared.
        least_texts: a term of fewer texts is left out.
    """

    def __init__(self, texts: Sequence[str], least_texts: int) -> None:
        # A message says a thing once, however often it repeats it.
        counter = CountVectorizer(analyzer=list_terms, binary=True, min_df=1, max_features=_MOST_TERMS)
        try:
            matrix = csr_matrix(counter.fit_transform(texts))
            names = counter.get_feature_names_out()
        except ValueError:  # no text has a word
            matrix, names = csr_matrix((len(texts), 0)), np.array([], dtype=object)
        kept = np.flatnonzero(np.asarray(matrix.sum(axis=0)).ravel() >= least_texts)
        self.names: list[str] = [str(names[place]) for place in kept]
        self.matrix = csr_matrix(matrix[:, kept], dtype=np.float64)

    def score(self, group: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the z-score of each term, above 0 where the group uses it more often than the other texts do."""
        total = np.asarray(self.matrix.sum(axis=0)).ravel()
        inside = np.asarray(self.matrix[group].sum(axis=0)).ravel()
        outside = total - inside
        prior = min(PRIOR_WORDS / max(total.sum(), 1.0), PRIOR_SHARE) * total
        ratio = _log_odds(inside + prior) - _log_odds(outside + prior)
        return np.asarray(ratio / np.sqrt(1.0 / (inside + prior) + 1.0 / (outside + prior)))

    def texts_with(self, terms: Sequence[int]) -> NDArray[np.bool_]:
        """Return which texts have any of these terms."""
        found: NDArray[np.bool_] = np.asarray(self.matrix[:, list(terms)].sum(axis=1)).ravel() > 0
        return found


def _log_odds(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    odds: NDArray[np.float64] = np.log(counts) - np.log(counts.sum() - counts)
    return odds
