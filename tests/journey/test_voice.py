"""Conversations from the topic to the store, then an emerging concern, its trend, the alert and the report."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from intelligence.weeks import last_complete_week, week_begins, write_week
from tests.journey.workplace import lend_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

WEEK = last_complete_week(datetime.now(UTC))
WEEKS = 9
USUAL = (
    "the delivery of my parcel is late",
    "a fair price, thank you",
    "where is the garden catalogue",
    "my lamp has another colour",
    "is the shop open on sunday",
)
EMERGING = (
    "my voucher code was declined at the till",
    "voucher declined, the code does not work",
    "the code of my voucher is declined",
    "declined voucher code once more",
)


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace whose store has some weeks of messages; in the last one many name a concern of their own."""
    with lend_place(endpoints, tmp_path_factory.mktemp("voice"), {}) as lent:
        lent.do("topics", "create")
        lent.do("messages", "migrate")
        yield lent


def publish(place: Workplace) -> None:
    """Publish the weeks' messages: each of its own customer."""
    said = []
    for ago in range(WEEKS):
        begin = week_begins(WEEK) - timedelta(weeks=ago)
        texts = [*(USUAL[number % len(USUAL)] for number in range(20)), *EMERGING * (4 if not ago else 0)]
        said += [(f"w{ago}-{number}", begin + timedelta(hours=4 * number), text) for number, text in enumerate(texts)]
    ann = week_begins(WEEK) + timedelta(days=2)
    said += [
        ("ann", ann, "<b>URGENT</b>: my delivery is late, I want to cancel!"),
        ("ann", ann + timedelta(hours=1), "\U0001f621\U0001f621"),
        ("ann", ann + timedelta(hours=2), "wo bleibt meine Lieferung, ich warte schon sehr lange und bin nicht froh"),
        ("<i>eve</i>", ann, "terrible, horrible and awful " * 4_000),
    ]
    place.publish(
        "conversations",
        *(
            {
                **place.event(customer, "conversation.message", role="customer", text=text),
                "id": f"v{number}",
                "occurred_at": at.isoformat(),
            }
            for number, (customer, at, text) in enumerate(said)
        ),
    )


def test_an_empty_store_says_what_to_do(place: Workplace) -> None:
    """Before anything is copied."""
    refused = place.holdfast("voice", "discover")
    assert (refused.returncode, "run: holdfast messages sync" in refused.stderr) == (2, True)
    assert "the store is empty" in place.do("voice", "trends")
    assert "has no message of" in place.do("voice", "conversations", "ann")


def test_an_emerging_concern_is_found_followed_and_reported(place: Workplace) -> None:
    """From the topic to the page; the proposed words can be used as the file of concerns."""
    publish(place)
    place.do("messages", "sync", "--no-index")
    assert "within their bands" in place.do("voice", "trends")

    proposed = place.folder / "concerns.json"
    found = json.loads(place.do("voice", "discover", "--json", "--write", str(proposed)))
    emerging = [each for each in found["concerns"] if each["emerging"]]
    (voucher,) = emerging
    assert (voucher["conversations"], voucher["new"]) == (16, True)
    assert {"voucher", "code", "declined"} & set(voucher["words"])
    assert json.loads(proposed.read_text())["concerns"][voucher["id"]] == voucher["words"]
    again = json.loads(place.do("voice", "discover", "--json"))
    assert [each["id"] for each in again["concerns"]] == [each["id"] for each in found["concerns"]]
    assert not any(each["new"] for each in again["concerns"])

    file = place.folder / "concerns.prom"
    alert = place.holdfast("voice", "trends", "--json", "--metrics", str(file))
    trends = json.loads(alert.stdout)
    assert (alert.returncode, trends["week"], trends["alerts"]) == (3, write_week(WEEK), [voucher["id"]])
    assert f'holdfast_concern_state{{concern="{voucher["id"]}"}} 1.0' in file.read_text(encoding="utf-8")
    (logged,) = [json.loads(line) for line in alert.stderr.splitlines()]
    assert (logged["event"], logged["concern"], logged["state"]) == ("concern_alert", voucher["id"], "above")

    adopted = {"HOLDFAST_CONCERNS_FILE": str(proposed)}
    covered = place.holdfast("voice", "discover", "--json", **adopted)
    assert voucher["id"] not in [each["id"] for each in json.loads(covered.stdout)["concerns"]]
    followed = json.loads(place.holdfast("voice", "trends", "--json", **adopted).stdout)
    assert followed["alerts"] == [voucher["id"]]
    assert [each["discovered"] for each in followed["concerns"] if each["concern"] == voucher["id"]] == [False]

    page = place.folder / "week.html"
    assert f"wrote {page}" in place.do("voice", "report", "--out", str(page))
    check_page(page, voucher["id"])


def check_page(page: Path, concern: str) -> None:
    """The page is complete, shows the alert, and does not obey what customers are called."""
    content = page.read_text(encoding="utf-8")
    assert f"Alert in {write_week(WEEK)}" in content
    assert concern in content
    assert "&lt;i&gt;eve" in content
    assert not [each for each in ("<i>eve", "<script", "http://", "https://", "src=") if each in content]


def test_a_conversation_is_summed_up(place: Workplace) -> None:
    """Messages in another language and emoji are counted; only readable ones name concerns."""
    (found,) = json.loads(place.do("voice", "conversations", "ann", "--json"))["conversations"]
    assert (found["messages"], found["key_concerns"], found["wants_to_cancel"]) == (3, ["delivery"], True)
    assert (found["urgency"], 0 <= found["satisfaction"] <= 10) == ("high", True)
    shown = place.do("voice", "conversations", "<i>eve</i>")
    assert "negative" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("trends", "--week", "2011-24"), "'2011-24' is no ISO week; write it like 2011-W24"),
        (("report", "--out", "/nowhere/a.html"), "/nowhere/a.html cannot be written"),
    ],
)
def test_a_mistake_gives_one_sentence(place: Workplace, arguments: tuple[Any, ...], said: str) -> None:
    """And exit code 2."""
    ended = place.holdfast("voice", *arguments)
    assert (ended.returncode, said in ended.stderr, "Traceback" in ended.stderr) == (2, True, False)
