"""What is read in a message."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from console.synthetic import TEXTS
from models.plain_text import READ_AT_MOST
from models.sentiment import MessageReader, read_message


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("This is terrible service, I am very disappointed.", -1),
        ("Everything is lovely, thank you!", 1),
        ("Is the red bag in stock?", 0),
        ("", 0),
    ],
)
def test_sentiment_has_the_sign_a_person_would_give_it(text: str, sign: int) -> None:
    sentiment = read_message(text).sentiment
    assert (sentiment > 0) - (sentiment < 0) == sign
    assert -1 <= sentiment <= 1


@pytest.mark.parametrize(
    ("text", "concerns"),
    [
        ("Far too expensive.", ("price",)),
        ("The parcel is late and two mugs are broken", ("delivery", "quality")),
        ("Your support ignores my REFUND", ("service", "refund")),
        ("the web site crashed at checkout", ("website",)),
        ("Chocolate apples", ()),
    ],
)
def test_concerns_are_found_by_whole_words(text: str, concerns: tuple[str, ...]) -> None:
    assert read_message(text).concerns == concerns


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS["cancellation"],
        "CANCEL",
        "please cancel.",
        "I'm going to quit",
        "I don't like it, please cancel my account",
    ],
)
def test_a_wish_to_cancel_is_recognised(text: str) -> None:
    assert read_message(text).wants_to_cancel


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS["complaint"],
        *TEXTS["question"],
        *TEXTS["praise"],
        "I do not want to cancel my account.",
        "I would never leave you, thank you",
        "I'd like to cancel my order of the lamps",
        "Don't close my account please",
    ],
)
def test_other_messages_are_no_wish_to_cancel(text: str) -> None:
    assert not read_message(text).wants_to_cancel


def test_only_the_beginning_of_a_long_message_is_read() -> None:
    beginning = "x " * (READ_AT_MOST // 2)
    assert not read_message(beginning + "cancel my account").wants_to_cancel


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://x.example/refund?late=delivery">hello there, how are you today?</a>',
        "<style>.refund {color: red}</style><p>hello there, how are you today?</p>",
        "<!-- refund --><script>refund()</script>hello there, how are you today?",
    ],
)
def test_markup_is_not_read(text: str) -> None:
    assert read_message(text) == read_message("hello there, how are you today?")


def test_a_long_head_of_markup_hides_no_message() -> None:
    assert read_message("<div>" * 500 + "I want to cancel my account").wants_to_cancel


def test_decomposed_letters_are_read_as_composed_ones() -> None:
    """As some systems write them."""
    text = "Das Café ist naïve, ich möchte das nicht"
    assert read_message(normalize("NFD", text)) == read_message(text)


def test_a_message_in_a_language_that_is_not_read_is_neutral_and_marked() -> None:
    """Even where it has an English word of a concern."""
    reading = read_message("Ich bin sehr unzufrieden mit dem Support und nicht happy!!!!")
    assert (reading.sentiment, reading.satisfaction, reading.concerns, reading.urgency) == (0, 5, (), "none")
    assert (reading.language, reading.is_supported) == ("de", False)
    assert read_message("\U0001f621").is_supported


@pytest.mark.parametrize(
    ("text", "urgency"),
    [("I need this ASAP", "high"), ("What is this!!!!", "high"), ("Please reply soon", "normal"), ("Hello!", "none")],
)
def test_urgency_is_by_words_and_exclamation_marks(text: str, urgency: str) -> None:
    assert read_message(text).urgency == urgency


def test_many_messages_are_read_as_each_alone() -> None:
    texts = [*TEXTS["complaint"], "", "Wo ist mein Paket?", *TEXTS["praise"]]
    assert MessageReader().read(texts) == list(map(read_message, texts))
