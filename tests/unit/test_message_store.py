"""Where reading goes on, what is stored of an event, and how a search orders what it finds."""

from __future__ import annotations

import pytest

from intelligence.errors import SearchError
from intelligence.message_search import COMMON_SHARE, Filters, MessageSearch, fuse, rare_words
from intelligence.message_sync import SyncReport, clean_text, resume_period
from intelligence.text_vectors import TextVectors
from streams.kafka.history import Period
from streams.runtime.history_batches import Position

PLACE = ("conversations", 0)


@pytest.mark.parametrize(
    ("stored", "begin", "expired"),
    [
        ({}, 5, 0),
        ({PLACE: 7}, 7, 0),
        ({PLACE: 9}, 9, 0),
        ({PLACE: 3}, 5, 2),
        ({PLACE: 12}, 5, 0),
    ],
)
def test_reading_goes_on_where_it_ended(stored: dict[tuple[str, int], int], begin: int, expired: int) -> None:
    """Deleted records are counted; a topic that ends before the position was created again."""
    period, gone = resume_period(Period({PLACE: Position(5, 0)}, {PLACE: 9}), stored)
    assert (period.begins[PLACE].offset, period.ends[PLACE], gone) == (begin, 9, expired)


def test_a_text_is_stored_without_what_postgresql_cannot_hold() -> None:
    assert clean_text("a\x00b \ud83d \U0001f389") == "ab ? \U0001f389"


def test_reports_of_batches_add_up() -> None:
    assert SyncReport(3, new=2, expired=1) + SyncReport(4, known=1) == SyncReport(7, new=2, known=1, expired=1)


def test_what_both_orders_have_comes_first() -> None:
    scores = fuse([("a", "1"), ("b", "2")], [("c", "3"), ("b", "2")])
    assert max(scores, key=lambda key: scores[key]) == ("b", "2")
    assert scores["a", "1"] == scores["c", "3"]


def test_common_words_are_left_out_unless_all_are() -> None:
    texts = [f"the parcel number{number} is late" for number in range(300)] + ["the vase broke"] * 3
    vectors = TextVectors.fit(texts, dimensions=4)
    assert rare_words("the vase is late", vectors) == ["vase:*"]
    assert rare_words("the parcel", vectors) == ["parcel:*"]
    assert rare_words("<br> !", vectors) == []
    assert rare_words("Wants; it's", None) == ["wants:*", "it:*", "s:*"]
    the, vase, unknown = vectors.share_of_texts(["the", "vase", "zebra"])
    assert the > 0.9 > COMMON_SHARE > vase > unknown == 0


def test_an_empty_query_is_refused() -> None:
    with pytest.raises(SearchError, match="the query is empty"):
        MessageSearch(None, None).find(" <br>", Filters(), limit=1)  # type: ignore[arg-type]  # it is not read
