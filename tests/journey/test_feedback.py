"""Feedback of staff by command, through Kafka, a worker and the ledger."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

VIPS = {"key": "vips", "name": "VIPs", "rule": {"or": [{"var": "always_vip"}, {">": [{"var": "total_revenue"}, 9000]}]}}


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A worker whose segment of VIPs reads feedback."""
    with workplace(endpoints, tmp_path_factory.mktemp("feedback")) as lent:
        definitions = Path(lent.environment["HOLDFAST_DEFINITIONS_DIR"])
        write_json(definitions / "segments" / "vips.json", VIPS)
        write_json(definitions / "campaigns" / "vips.json", campaign("vips", "vips", "on_enter"))
        lent.start_worker()
        yield lent


def say(place: Workplace, *words: str) -> str:
    """Run `holdfast customers feedback`, and return what it prints when the worker has read it."""
    ended = place.holdfast("customers", "feedback", *words)
    assert ended.returncode == 0, ended.stderr
    place.settle()
    return ended.stdout


def lapse(place: Workplace, customer: str) -> None:
    """Let a customer enter the segment that win-back waits for, once more."""
    for days in (5, 90):
        place.set_customer(customer, days=days)
        place.update(customer)


def test_a_customer_is_not_contacted_until_the_feedback_is_withdrawn(place: Workplace) -> None:
    """The list and explain show who asked for it, and what became of it."""
    place.set_customer("vera")
    place.update("vera")
    asked = ("do-not-contact", "vera", "--until", "2100-01-01", "--by", "sam", "--why", "in hospital")
    feedback_id = say(place, *asked).split()[1]
    lapse(place, "vera")
    assert place.decisions("vera") == [("win-back", "withheld", "do_not_contact")]
    explained = place.holdfast("explain", "vera").stdout
    assert f"withheld, staff asked for no contact until 2100-01-01 00:00: feedback {feedback_id}" in explained
    assert "do not contact until 2100-01-01 00:00 UTC (in hospital); in force" in explained

    say(place, "withdraw", "vera", feedback_id, "--by", "kim", "--why", "is well again")
    lapse(place, "vera")
    assert [outcome for _, outcome, _ in place.decisions("vera")] == ["withheld", "fired"]
    recomputed = place.holdfast("explain", "vera", "--recompute")
    assert recomputed.stdout.count("    recomputed: the same") == 2, recomputed.stdout
    (listed,) = json.loads(say(place, "list", "vera", "--json"))["feedback"]
    assert (listed["state"], listed["by"], listed["withdrawn_by"]) == ("withdrawn", "sam", "kim")
    again = place.holdfast("customers", "feedback", "withdraw", "vera", feedback_id, "--why", "again")
    assert (again.returncode, "was withdrawn at" in again.stderr) == (2, True)


def test_a_customer_who_is_always_vip_enters_a_segment_that_reads_it(place: Workplace) -> None:
    """At the next event."""
    place.set_customer("ned")
    place.update("ned")
    printed = say(place, "always-vip", "ned", "--why", "the founder's brother")
    assert printed.endswith("to request one: holdfast updates publish ned\n")
    place.update("ned")
    assert place.decisions("ned") == [("vips", "fired", "entered_segment")]
    assert "always VIP (the founder's brother); in force" in place.holdfast("explain", "ned").stdout
    preview = place.holdfast("segments", "preview", "vips")
    assert "ned" in preview.stdout, preview.stderr


def test_a_wrong_score_changes_no_decision_and_is_exported(place: Workplace, tmp_path: Path) -> None:
    place.set_customer("wim")
    place.update("wim")
    say(
        place,
        "wrong-score",
        "wim",
        "--model",
        "churn",
        "--should-be",
        "0.05",
        "--by",
        "sam",
        "--why",
        "signed, 2 years",
    )
    lapse(place, "wim")
    assert place.decisions("wim") == [("win-back", "fired", "entered_segment")]
    file = tmp_path / "churn.csv"
    assert say(place, "export", str(file), "--model", "churn") == f"wrote 1 rows to {file}\n"
    (row,) = csv.DictReader(file.read_text().splitlines())
    assert (row["customer_id"], row["value"], row["why"]) == ("wim", "0.05", "signed, 2 years")
    again = place.holdfast("customers", "feedback", "export", str(file))
    assert (again.returncode, "name a file that does not exist" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("do-not-contact", "nobody", "--until", "2100-01-01", "--why", "x"), "the warehouse has no customer 'nobody'"),
        (("do-not-contact", "xena", "--until", "2001-01-01", "--why", "x"), "it must be later than"),
        (("do-not-contact", "xena", "--until", "2100-01-01", "--why", " "), "it must say why"),
        (("wrong-score", "xena", "--model", "churn", "--should-be", "7", "--why", "x"), "a probability from 0 to 1"),
        (("withdraw", "xena", "f-1", "--why", "x"), "no feedback 'f-1' of customer 'xena'; it has: none"),
        (("always-vip", "xena", "--by", "x" * 201, "--why", "x"), "length <= 200"),
    ],
)
def test_feedback_that_no_worker_would_accept_is_refused(
    place: Workplace, words: tuple[str, ...], sentence: str
) -> None:
    place.set_customer("xena")
    ended = place.holdfast("customers", "feedback", *words)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
