"""One pass over a message finds what a search for each thing finds."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from models import sentiment
from models.language import ALWAYS_READ, identify
from models.sentiment import read_message
from models.taxonomy import SHIPPED_FILE, read_taxonomy
from tests.examples import examples

CONCERNS = read_taxonomy(SHIPPED_FILE).concerns
PATTERNS = {concern: re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE) for concern, words in CONCERNS.items()}

NAMING = ("price", "costly", "pricey", "late", "arrive", "broke", "rude", "refunds", "service", "money", "back", "log")
PHRASES = ("nobody answers", "nobody has replied", "money back", "web site", "log in", "web", "site", "in", "nobody")
ENDING = tuple(f"{verb} my account" for verb in ("cancel", "close", "delete", "terminate", "end"))
LEAVING = tuple(f"want to {verb}" for verb in ("cancel", "leave", "quit", "unsubscribe"))
GOING = ("cancel", "please cancel", "stop ordering", "switch to another", "switching to another", "never buy it again")
BESIDE = ("not", "never", "won't", "don't", "without", "n't", "going to", "my", "please", "the order", "close", "again")
ODD = str.maketrans("isk", "\u0131\u017f\u212a")
CHANGES = st.sampled_from((str, str, str.upper, str.title, lambda word: word.translate(ODD)))
GLUE = st.sampled_from((" ", " ", " ", " ", "  ", ", ", ". ", "! ", "\n", "-", "_", "\u00e9", ""))


def messages(*words: str) -> st.SearchStrategy[str]:
    cased = st.builds(lambda word, change: change(word), st.sampled_from(words), CHANGES)
    return st.lists(st.tuples(cased, GLUE).map("".join), max_size=6).map("".join)


@examples(1000)
@given(st.one_of(messages(*NAMING, *PHRASES), st.text()))
@example("PR\u0130CE")
def test_the_concerns_are_those_that_a_search_for_each_finds(text: str) -> None:
    is_read = identify(text) in {"en", *ALWAYS_READ}
    found = tuple(concern for concern in CONCERNS if PATTERNS[concern].search(text))
    assert read_message(text).concerns == (found if is_read else ())


@examples(1000)
@given(messages(*ENDING, *LEAVING, *GOING, *BESIDE))
@example("Please cancel don't leave")
@example("I won't be buying from you again")
@example("Sw\u0131tch to a different one")
def test_no_wish_to_cancel_is_passed_over(text: str) -> None:
    assert read_message(text).wants_to_cancel == sentiment._wants_to_cancel(text)
