"""`holdfast segments` on a warehouse and a ledger: what it shows, and how it is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from console.cli import main
from tests.journey.test_worker import workplace
from tests.journey.workplace import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from console.embedded.services import Endpoints

VIEW = """
CREATE TABLE customer_features_view (customer_id text PRIMARY KEY, spend numeric, plan text, tags jsonb, email text);
INSERT INTO customer_features_view VALUES
    ('ann', 900, 'gold', '["a"]', 'ann@example.org'), ('bob', 400, 'gold', NULL, NULL), ('cid', 100, NULL, NULL, NULL),
    ('dan', NULL, 'silver', NULL, NULL), ('eve', 2000.5, 'silver', NULL, NULL);
"""
SPENDERS = {
    "key": "spenders",
    "name": "Spenders",
    "rule": {">": [{"var": "spend"}, 500]},
    "exit_rule": {"<": [{"var": "spend"}, 300]},
}
GOLD = {"key": "gold-plan", "name": "Gold", "rule": {"==": [{"var": "plan"}, "gold"]}}
WRITERS = {"key": "writers", "name": "Writers", "rule": {">": [{"var": "message_count"}, 1]}}
ENTERED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> dict[str, Any]:
        """What it printed, as JSON."""
        return dict(json.loads(self.output))

    @property
    def lines(self) -> list[str]:
        """What it printed, each line with single blanks."""
        return [" ".join(line.split()) for line in self.output.splitlines()]


@dataclass(slots=True)
class Place:
    """Settings in the environment, and the command as a shell runs it."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    folder: Path
    warehouse_url: str
    ledger_url: str

    def segments(self, *arguments: str) -> Ended:
        """Run `holdfast segments`."""
        self.monkeypatch.setattr(sys, "argv", ["holdfast", "segments", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    def draft(self, **changes: Any) -> str:
        """Write a definition that is not in the folder of definitions."""
        file = self.folder / "draft.json"
        file.write_text(json.dumps({**SPENDERS, **changes}))
        return str(file)

    def add_members(self, *customers: str, segment: str = "spenders") -> None:
        """Make customers members, evaluated under another version."""
        with psycopg.connect(self.ledger_url) as ledger, ledger.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO membership (customer_id, segment, episode, is_member, entered_at, definition_version)
                   VALUES (%s, %s, 1, true, %s, 'before')""",
                [(customer, segment, ENTERED) for customer in customers],
            )


@pytest.fixture
def place(
    warehouse_url: str,
    migrated_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Place:
    """Five customers and three segments; an empty ledger."""
    with psycopg.connect(warehouse_url) as warehouse:
        warehouse.execute(VIEW)
    definitions = tmp_path / "definitions"
    for part in ("segments", "campaigns"):
        (definitions / part).mkdir(parents=True)
    for each in (SPENDERS, GOLD, WRITERS):
        write_json(definitions / "segments" / f"{each['key']}.json", each)
    write_json(definitions / "campaigns" / "offers.json", [{"id": 1, "key": "gift", "name": "A gift"}])
    for name, value in {
        "HOLDFAST_WAREHOUSE_URL": warehouse_url,
        "HOLDFAST_LEDGER_URL": migrated_url,
        "HOLDFAST_DEFINITIONS_DIR": str(definitions),
        "HOLDFAST_PRIVATE_COLUMNS": "email",
    }.items():
        monkeypatch.setenv(name, value)
    return Place(monkeypatch, capsys, tmp_path, warehouse_url, migrated_url)


def test_columns_show_facts_with_coverage_and_values_and_nothing_private(place: Place) -> None:
    shown = place.segments("columns")
    assert shown.code == 0, shown.errors
    assert "spend number financial 80.0 % 100, 400, 900, 2,000.5" in shown.lines
    assert "plan text warehouse 80.0 % gold, silver" in shown.lines
    assert 'tags list warehouse 20.0 % ["a"]' in shown.lines
    assert "customer_id text warehouse 100.0 %" in shown.lines
    assert "message_count number conversation 100.0 % 0" in shown.lines
    assert shown.lines[-1].endswith("coverage and values of 5 sampled customers")
    assert "example.org" not in shown.output
    facts = {each["name"]: each for each in place.segments("columns", "--json").json["facts"]}
    assert facts["spend"]["values"] == [100, 400, 900, 2000.5]
    assert "email" not in facts
    assert "rfm_segment" not in facts  # the view has none of the columns that it is computed from


def test_columns_of_an_empty_view_without_a_ledger(place: Place) -> None:
    """The facts are listed; the ledger is named."""
    with psycopg.connect(place.warehouse_url) as warehouse:
        warehouse.execute("DELETE FROM customer_features_view")
    place.monkeypatch.setenv("HOLDFAST_LEDGER_URL", "postgresql://127.0.0.1:1/none")
    shown = place.segments("columns")
    assert "spend number financial" in shown.lines
    assert shown.lines[-2].endswith("coverage and values of 0 sampled customers")
    assert shown.lines[-1].startswith("the facts of conversations were not sampled: HOLDFAST_LEDGER_URL: ")


def test_a_check_of_all_segments_or_of_a_file(place: Place) -> None:
    fits = place.segments("check")
    assert (fits.code, fits.errors) == (0, "")
    *table, note = fits.lines[1:]
    assert [line.split()[::2] for line in table] == [[k, "fits"] for k in ("gold-plan", "spenders", "writers")]
    assert note == 'note: segment "spenders": $.exit_rule would hold without "spend" for 5 of 5 customers'
    wrong = place.segments("check", place.draft(rule={"and": [{">": [{"var": "plan"}, 3]}, {"!": {"var": "spent"}}]}))
    assert (wrong.code, wrong.lines[-1].endswith("2 problems")) == (1, True)
    assert "$.rule reads 'spent', which neither" in wrong.errors
    assert "did you mean 'spend'?" in wrong.errors
    assert "$.rule compares 'plan', which is text, time or JSON, with the number 3" in wrong.errors


def test_a_check_notes_the_facts_without_which_a_rule_would_hold(place: Place) -> None:
    """Which may be meant: the rule fits."""
    checked = place.segments("check", place.draft(rule={"<": [{"var": "spend"}, 1000]}))
    assert (checked.code, checked.errors) == (0, "")
    assert any(line.endswith('$.rule would hold without "spend" for 5 of 5 customers') for line in checked.lines)
    guarded = {"and": [{"!=": [{"var": "spend"}, None]}, {"<": [{"var": "spend"}, 1000]}]}
    assert not any("$.rule" in line for line in place.segments("check", place.draft(rule=guarded)).lines)


def test_a_preview_counts_the_whole_view(place: Place) -> None:
    shown = place.segments("preview", "spenders", "--limit", "1")
    assert shown.code == 0, shown.errors
    assert shown.lines[0].endswith("holds for 2 of 5 customers of customer_features_view (40.0 %)")
    assert shown.lines[1:] == ["customer spend", "ann 900", "1 more"]
    found = place.segments("preview", place.draft(rule={}), "--json").json
    assert (found["matching"], found["customers"], found["share"]) == (5, 5, 1.0)
    assert found["examples"][0] == {"customer_id": "ann", "facts": {}}


def test_a_preview_reads_conversations_from_the_ledger(place: Place) -> None:
    """And only where the rule reads them."""
    with psycopg.connect(place.ledger_url) as ledger:
        ledger.execute("""INSERT INTO signal VALUES ('bob', '{"message_count": 3}'), ('cid', '{"message_count": 1}')""")
    found = place.segments("preview", "writers", "--json").json
    assert found["examples"] == [{"customer_id": "bob", "facts": {"message_count": 3.0}}]
    place.monkeypatch.setenv("HOLDFAST_LEDGER_URL", "postgresql://127.0.0.1:1/none")
    assert place.segments("preview", "spenders").code == 0
    refused = place.segments("preview", "writers")
    assert (refused.code, refused.errors.count("\n")) == (2, 1)
    assert "HOLDFAST_LEDGER_URL" in refused.errors


def test_a_preview_scores_as_a_worker_does(place: Place) -> None:
    """Here by the rules that stand in for models, which take a missing column as null."""
    with psycopg.connect(place.warehouse_url) as warehouse:
        warehouse.execute("ALTER TABLE customer_features_view ADD COLUMN days_since_last_transaction integer")
        warehouse.execute("UPDATE customer_features_view SET days_since_last_transaction = 500 WHERE plan = 'gold'")
    shown = place.segments("preview", place.draft(rule={">=": [{"var": "churn_probability"}, 0.7]}))
    assert "holds for 2 of 5 customers" in shown.lines[0], shown.errors
    assert shown.lines[-1] == "scores: churn rules"


def test_a_diff_names_who_enters_who_leaves_and_whom_the_exit_rule_keeps(place: Place) -> None:
    """400 is above the exit rule's 300 and below the rule's 500; a member whom the view lacks stays."""
    place.add_members("bob", "cid", "ann", "gone")
    found = place.segments("diff", "spenders", "--json").json
    assert (found["customers"], found["members"]) == (5, 4)
    assert found["entering"]["customers"] == 1
    assert found["entering"]["examples"] == [{"customer_id": "eve", "facts": {"spend": 2000.5}}]
    assert found["leaving"] == {"customers": 1, "examples": [{"customer_id": "cid", "facts": {"spend": 100.0}}]}
    assert (found["kept_by_exit_rule"], found["not_in_view"]) == (1, 1)
    shown = place.segments("diff", "spenders")
    assert "4 members now; of 5 customers of customer_features_view, 1 would enter and 1 would leave" in shown.lines[0]
    assert shown.lines[1:4] == [
        "1 of those who enter would fire no campaign: their first evaluation is suppressed",
        "1 of those who stay do so because the exit rule does not hold",
        "1 member not in the view: nothing evaluates them, so they stay",
    ]
    assert shown.lines[4:] == [
        "would enter:",
        "customer spend",
        "eve 2,000.5",
        "would leave:",
        "customer spend",
        "cid 100",
    ]


def test_a_diff_of_a_file_is_against_the_members_of_its_key(place: Place) -> None:
    """Without an exit rule bob leaves, too. A new key has no members."""
    place.add_members("bob")
    file = place.draft(exit_rule=None)
    found = place.segments("diff", file, "--json").json
    assert [each["customer_id"] for each in found["leaving"]["examples"]] == ["bob"]
    assert (found["entering"]["customers"], found["entering"]["silent"]) == (2, 2)
    assert place.segments("diff", place.draft(key="new"), "--json").json["entering"]["customers"] == 2


def test_a_diff_of_an_activated_segment_says_that_entries_fire(place: Place) -> None:
    with psycopg.connect(place.ledger_url) as ledger:
        version = place.segments("diff", "spenders", "--json").json["version"]
        ledger.execute(
            "INSERT INTO activation (kind, key, version, mode, activated_at, activated_by) "
            "VALUES ('segment', 'spenders', %s, 'emit', now(), 'olga')",
            [version],
        )
    found = place.segments("diff", "spenders", "--json").json
    assert (found["entering"]["customers"], found["entering"]["silent"]) == (2, 0)


def test_a_diff_of_an_empty_view_moves_no_customer(place: Place) -> None:
    with psycopg.connect(place.warehouse_url) as warehouse:
        warehouse.execute("DELETE FROM customer_features_view")
    place.add_members("ann")
    found = place.segments("diff", "spenders", "--json").json
    assert (found["entering"]["customers"], found["leaving"]["customers"], found["not_in_view"]) == (0, 0, 1)


def test_a_diff_foretells_what_a_worker_does(endpoints: Endpoints, tmp_path: Path) -> None:
    """Before the worker has evaluated the customers, after it has, and after the warehouse has changed."""
    with workplace(endpoints, tmp_path) as place:

        def compare(segment: str) -> tuple[int, int, int]:
            shown = place.holdfast("segments", "diff", segment, "--json")
            assert shown.returncode == 0, shown.stderr
            found = json.loads(shown.stdout)
            return found["members"], found["entering"]["customers"], found["leaving"]["customers"]

        customers = [f"v{number}" for number in range(5)]
        place.set_customers(customers, revenue=5000)
        place.set_customer("poor", revenue=5)
        assert compare("big-spenders") == (0, 5, 0)
        worker = place.start_worker()
        try:
            place.update(*customers, "poor")
            assert compare("big-spenders") == (5, 0, 0)
            place.set_customers(customers[:2], revenue=5)
            assert compare("big-spenders") == (5, 0, 2)
            place.update(*customers[:2])
            assert compare("big-spenders") == (3, 0, 0)
        finally:
            worker.stop()


def test_members_are_listed_with_since_when_and_how_many_more(place: Place) -> None:
    place.add_members(*(f"c{number:04}" for number in range(1_500)))
    shown = place.segments("members", "spenders", "--limit", "2")
    assert shown.lines == [
        "customer member since version entry",
        "c0000 2026-01-02 03:04 UTC before may fire",
        "c0001 2026-01-02 03:04 UTC before may fire",
        "1,498 more",
        "spenders: 1,500 members",
    ]
    assert len(place.segments("members", "spenders").lines) == 23
    found = place.segments("members", "spenders", "--limit", "1", "--json").json
    assert (found["members"], found["more"]) == (1_500, 1_499)
    assert found["shown"][0]["customer_id"] == "c0000"
    assert place.segments("members", "gold-plan").lines == ["gold-plan: 0 members"]


@pytest.mark.parametrize("command", ["check", "preview", "diff", "members"])
def test_a_mistyped_key_is_one_sentence_with_the_nearest(place: Place, command: str) -> None:
    refused = place.segments(command, "spendres")
    assert (refused.code, refused.errors) == (2, "holdfast: no segment 'spendres'; did you mean 'spenders'?\n")


@pytest.mark.parametrize(
    ("setting", "arguments"),
    [
        ("HOLDFAST_WAREHOUSE_URL", ("columns",)),
        ("HOLDFAST_WAREHOUSE_URL", ("check",)),
        ("HOLDFAST_WAREHOUSE_URL", ("preview", "spenders")),
        ("HOLDFAST_WAREHOUSE_URL", ("diff", "spenders")),
        ("HOLDFAST_LEDGER_URL", ("diff", "spenders")),
        ("HOLDFAST_LEDGER_URL", ("members", "spenders")),
    ],
)
def test_a_service_out_of_reach_is_one_sentence(place: Place, setting: str, arguments: tuple[str, ...]) -> None:
    place.monkeypatch.setenv(setting, "postgresql://127.0.0.1:1/none")
    refused = place.segments(*arguments)
    assert (refused.code, refused.errors.count("\n"), refused.output) == (2, 1, "")
    assert setting in refused.errors


def test_a_ledger_without_tables_is_named_with_what_to_run(place: Place) -> None:
    place.monkeypatch.setenv("HOLDFAST_LEDGER_URL", place.warehouse_url)
    refused = place.segments("diff", "spenders")
    assert refused.errors.endswith("run: holdfast ledger migrate\n")
