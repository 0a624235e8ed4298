"""What became of a replay, on the terminal, as JSON and as a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from campaigns.replay_differences import DecidedTrigger, Difference
from console.replay_page import draw_bars, render_page
from console.replay_views import as_object, count_rows, describe_examples, headline, sentences
from console.use_cases.replay import ReasonCount, Replayed

AT = datetime(2026, 3, 1, tzinfo=UTC)
FIRED = DecidedTrigger("fired", "entered_segment", "", AT, "email", 2, "Hello", None, 0.5, 1.0, 0.0, 2.0)
SAME = Replayed(
    "4ef3", AT, AT, 3, 1.5, {"win-back": {"same": 2}}, {}, [], [("2026-03-01", "same", 2)], {}, (0, 0), {}, {}, [], ()
)
OTHER = replace(
    SAME,
    counts={"win-back": {"same": 2, "added": 1}, "vip": {"removed": 4}},
    uncertain={"vip": {"removed": 1}},
    reasons=[ReasonCount("added", "win-back", "fired: entered_segment", "no decision", "", 1)],
    sources={"recorded": 5, "today": 2},
    unsent=(7, 6),
    examples=[Difference("added", "<b>ann</b>", "id", "win-back", "lapsing", "1", (), FIRED, None, False, False)],
    caveats=("a caveat",),
)


def test_the_headline_says_that_nothing_differs() -> None:
    assert headline(SAME).endswith("3 records, 2 a second. It sends what was sent: 2 triggers.")


def test_the_headline_counts_what_differs() -> None:
    assert headline(OTHER).endswith("Triggers: 2 same, 0 changed, 1 added, 4 removed.")


def test_campaigns_are_added_up() -> None:
    assert count_rows(OTHER)[-1] == ("all", "2", "0", "1", "4", "0")


def test_an_example_says_what_each_side_decided() -> None:
    (line,) = describe_examples(OTHER)
    assert line.endswith("replay: fired 2026-03-01 00:00 (entered segment), offer 2 by email; live: no decision")


def test_doubts_are_stated() -> None:
    said = list(sentences(OTHER))
    assert "a caveat" in said
    assert "5 decisions read the facts that the live decision had recorded" in said
    assert said[-1] == "1 of the differences are of customers whose state at the beginning is not known exactly"


def test_the_json_has_the_counts_of_all_campaigns() -> None:
    found = msgspec.json.decode(msgspec.json.encode(as_object(OTHER)))
    assert found["counts"] == {"same": 2, "changed": 0, "added": 1, "removed": 4, "unsent": 0}
    assert found["examples"][0]["replay"]["offer_id"] == 2


def test_the_page_is_self_contained_and_escapes_what_it_shows() -> None:
    page = render_page(OTHER)
    assert "&lt;b&gt;ann" in page
    assert not [each for each in ("<b>ann", "<script", "http://", "https://", "src=") if each in page]


def test_the_bars_of_a_day_are_stacked_and_what_is_removed_hangs_below() -> None:
    found = draw_bars([("2026-03-01", "same", 3), ("2026-03-01", "added", 2), ("2026-03-01", "removed", 1)])
    assert found is not None
    same, added, removed = found.bars
    assert same.y + same.height == found.zero == removed.y
    assert added.y + added.height == same.y


def test_many_days_share_bars() -> None:
    days = [(f"2{number:03}-01-01", "same", 1) for number in range(500)]
    found = draw_bars(days)
    assert found is not None
    assert len(found.bars) <= 62


def test_nothing_sent_has_no_chart() -> None:
    assert draw_bars([]) is None
