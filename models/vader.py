"""VADER's compound score, with the library's rules applied only where one of them can match.

The library evaluates every rule for every word and rewrites the text character by character for its emojis. Most
words are in no lexicon, and few that are stand near a word that a rule is about: the score of such a text needs the
lexicon alone. It is the library's to the last digit; what it saves: benchmarks/parts.py.
"""

from __future__ import annotations

from typing import NamedTuple

from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SPECIAL_CASES, SentimentIntensityAnalyzer, SentiText

BEFORE, AFTER = 3, 2
"""Number of words before and after a word that the library's rules read."""

_PHRASES = [phrase for phrase in (*SPECIAL_CASES, *BOOSTER_DICT) if " " in phrase]
_RULED = frozenset(
    (
        *NEGATE,
        *BOOSTER_DICT,
        *("no", "least", "this"),
        # Any one word of each phrase is enough; the longest is chosen, because long words are rare.
        *(max(sorted(phrase.split()), key=len) for phrase in _PHRASES),
    )
)
"""Without one of these or "n't" near a word, only the rule on capitals can apply to it."""


class CompoundScore:
    """Scores texts by VADER; create it once, because it reads the lexicon."""

    def __init__(self) -> None:
        self._library = SentimentIntensityAnalyzer()
        self._weights: dict[str, float] = {
            word: each for word, each in self._library.lexicon.items() if word not in BOOSTER_DICT
        }
        self._emojis = frozenset(self._library.emojis)

    def score(self, text: str) -> float:
        """Return the compound score of a text, from -1 to 1."""
        if not (text.isascii() or self._emojis.isdisjoint(text)):
            return float(self._library.polarity_scores(text)["compound"])
        parsed = SentiText(text)
        words = [word.lower() for word in parsed.words_and_emoticons]
        if self._weights.keys().isdisjoint(words):
            return 0.0
        valences = [self._valence(parsed, words, at) if word in self._weights else 0.0 for at, word in enumerate(words)]
        if "but" in words:
            valences = self._library._but_check(words, valences)  # noqa: SLF001 - it has no public equivalent
        return float(self._library.score_valence([each for each in valences if each], text)["compound"])

    def _valence(self, parsed: SentiText, words: list[str], at: int) -> float:
        """Return the valence of the word `at`, by the library's rules where one may apply."""
        first, end = max(0, at - BEFORE), at + AFTER + 1
        near, word = words[first:end], parsed.words_and_emoticons[at]
        if _RULED.isdisjoint(near) and "n't" not in " ".join(near) and not word.isupper():
            return self._weights[words[at]]
        if words[at : at + 2] == ["kind", "of"]:
            return 0.0
        window = _Window(parsed.words_and_emoticons[first:end], parsed.is_cap_diff)
        return float(self._library.sentiment_valence(0.0, window, word, at - first, [])[0])


class _Window(NamedTuple):
    """The words near a word, in the library's interface; a small window, because the library lowercases all of it."""

    words_and_emoticons: list[str]
    is_cap_diff: bool
