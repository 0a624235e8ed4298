"""The compound score is the library's own, whatever is said."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SPECIAL_CASES, SentimentIntensityAnalyzer

from models.vader import CompoundScore
from tests.examples import examples

LIBRARY, OURS = SentimentIntensityAnalyzer(), CompoundScore()

NEUTRAL = ("the", "a", "parcel", "order", "I", "you", "at", "of", "it", "with", "to", "Zug", "naïve")
RULED = ("no", "or", "nor", "least", "so", "this", "never", "without", "doubt", "but", "kind", "of", "enough", "hadn't")
WEIGHTY = ("good", "great", "bad", "angry", "love", "kind", "no", "yeah", "die", "lol", "shit", ":)", ":(", ":D", ";-)")
# Of the lexicon's 7,500 words chance alone would put few near a word that a rule is about.
WORDS = st.one_of(
    st.sampled_from(WEIGHTY),
    st.sampled_from(RULED),
    st.sampled_from(NEUTRAL),
    st.sampled_from(sorted(SPECIAL_CASES)),
    st.sampled_from([*NEGATE, *BOOSTER_DICT]),
    st.sampled_from(sorted(LIBRARY.lexicon)),
    st.sampled_from(sorted(LIBRARY.emojis)),
)
CASED = st.builds(lambda word, change: change(word), WORDS, st.sampled_from([str, str, str.upper, str.title]))
GLUE = st.sampled_from([" ", " ", " ", " ", ", ", ". ", "! ", "!!", "? ", "???", "...", "\n", "\u00a0", "-", "'", ""])
SENTENCES = st.lists(st.tuples(CASED, GLUE), max_size=14).map(lambda pairs: "".join(map("".join, pairs)))


@examples(2000)
@given(SENTENCES)
@example("It is bad, the mug was not what I hoped for, but thank you!")
@example("Is it always this good with you?")
def test_a_message_has_the_score_that_the_library_gives(text: str) -> None:
    assert OURS.score(text) == LIBRARY.polarity_scores(text)["compound"]


@examples(500)
@given(st.text())
def test_any_text_has_the_score_that_the_library_gives(text: str) -> None:
    assert OURS.score(text) == LIBRARY.polarity_scores(text)["compound"]
