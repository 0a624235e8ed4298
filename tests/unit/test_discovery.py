"""Concerns that the taxonomy does not cover are found, named and recognised again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from intelligence.concern_words import list_terms
from intelligence.conversations import HeardMessage
from intelligence.discovery import Growth, discover_concerns

UNTIL = datetime(2011, 6, 20, tzinfo=UTC)
RECENT = UNTIL - timedelta(days=28)
OPENINGS = ("hello there", "good morning", "hi team", "dear shop", "excuse me", "well then", "green door", "old friend")
THEMES = {
    "voucher": ("voucher", "code", "declined", "basket", "entered", "coupon"),
    "sizing": ("shoes", "small", "narrow", "toes", "pinch", "size"),
}


def spoken(
    theme: str, count: int, days_ago: float, *, sentiment: float = -0.4, covered: bool = False
) -> list[HeardMessage]:
    """Return messages of different customers on a theme: each has four of its words, in any order."""
    random = np.random.default_rng(count)
    return [
        HeardMessage(
            (f"{theme}-{days_ago}-{number}", f"{theme}-{days_ago}-{number}"),
            1,
            UNTIL - timedelta(days=days_ago),
            f"{random.choice(OPENINGS)}, {' '.join(random.choice(THEMES[theme], 4, replace=False))}",
            covered,
            sentiment,
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def messages() -> list[HeardMessage]:
    """A theme of always, and one that begins in the last days."""
    return [*spoken("sizing", 30, 60), *spoken("sizing", 20, 5), *spoken("voucher", 24, 4)]


def test_each_theme_is_found_with_its_words(messages: list[HeardMessage]) -> None:
    found = discover_concerns(messages, RECENT)
    sizing, voucher = found
    assert len(sizing.members) > 45
    assert len(voucher.members) > 20
    assert set(voucher.words) <= set(THEMES["voucher"])
    assert not voucher.members & sizing.members


def test_the_theme_that_begins_is_emerging(messages: list[HeardMessage]) -> None:
    sizing, voucher = discover_concerns(messages, RECENT)
    assert (sizing.growth.is_emerging, voucher.growth.is_emerging) == (False, True)
    assert (voucher.growth.previous, voucher.growth.ratio) == (0, None)


def test_an_id_stays_with_other_messages_and_another_seed(messages: list[HeardMessage]) -> None:
    _, voucher = discover_concerns(messages, RECENT)
    known = {"shoe_sizes": ("small", "shoes"), voucher.id: voucher.words}
    again = discover_concerns([*messages, *spoken("voucher", 12, 1)], RECENT, known, seed=5)
    assert {each.id for each in again} == {"shoe_sizes", voucher.id}


def test_the_same_messages_give_the_same_concerns(messages: list[HeardMessage]) -> None:
    assert discover_concerns(messages, RECENT) == discover_concerns(messages, RECENT)


def test_praise_is_no_concern() -> None:
    assert not discover_concerns(spoken("sizing", 40, 3, sentiment=0.8), RECENT)


def test_what_the_taxonomy_covers_is_left_out(messages: list[HeardMessage]) -> None:
    covered = [each._replace(covered=any(word in each.text for word in THEMES["voucher"])) for each in messages]
    found = discover_concerns(covered, RECENT)
    assert found
    assert all(set(each.words).isdisjoint(THEMES["voucher"]) for each in found)


@pytest.mark.parametrize("text", ["\U0001f621" * 3, "", "<br><br>", "12345", "the and of", "\u6211\u8981\u9000\u6b3e"])
def test_messages_without_words_have_no_concern(text: str) -> None:
    messages = [HeardMessage((f"c{n}", f"m{n}"), 1, UNTIL, text, False, -0.5) for n in range(40)]
    assert len(discover_concerns(messages, RECENT)) <= 1


def test_a_long_message_and_markup_do_not_hide_a_theme(messages: list[HeardMessage]) -> None:
    odd = [
        HeardMessage(("long", "long"), 1, UNTIL, "blah " * 20_000, False, 0.0),
        HeardMessage(
            ("html", "html"),
            1,
            UNTIL,
            "<p onclick='x()'>my <b>voucher</b> code declined basket coupon</p>",
            False,
            -0.5,
        ),
    ]
    found = discover_concerns([*messages, *odd], RECENT)
    assert any(("html", "html") in each.members for each in found)


def test_a_name_that_one_customer_repeats_is_no_word() -> None:
    """A word needs three customers."""
    mine = [HeardMessage(("ann", f"m{n}"), n, UNTIL, "zebulon quackenbush called", False, -0.5) for n in range(30)]
    assert not discover_concerns(mine, RECENT)


def test_few_messages_have_no_concern(messages: list[HeardMessage]) -> None:
    assert discover_concerns(messages[:5], RECENT) == []


def test_growth_is_that_of_the_rate() -> None:
    assert Growth(20, 100, 100, 1000).is_emerging
    assert not Growth(20, 100, 200, 1000).is_emerging
    assert not Growth(20, 100, 0, 0).is_emerging
    assert Growth(5, 100, 0, 1000).is_emerging


def test_links_mentions_and_function_words_are_no_terms() -> None:
    assert list_terms("@shop I've lost the blue bag http://t.co/x1 &amp; cannot") == ["lost", "blue", "bag", "blue bag"]


def test_random_words_have_few_concerns() -> None:
    random = np.random.default_rng(0)
    words = np.array([f"{one}{two}{three}" for one in "bdfgk" for two in "aeiou" for three in "lmnrs"])
    messages = [
        HeardMessage((f"c{n}", f"m{n}"), 1, UNTIL, " ".join(random.choice(words, 8)), False, -0.5) for n in range(150)
    ]
    assert len(discover_concerns(messages, RECENT)) <= 2
