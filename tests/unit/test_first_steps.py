"""`holdfast warehouse check` and `holdfast init` on an extract: what is found, what is written, what is refused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from click.testing import CliRunner

from campaigns.definition import load_definitions
from console.cli.command import holdfast
from console.use_cases.starting_folder import choose_rule, write_starting_folder
from console.use_cases.warehouse_check import check_warehouse
from segments.jsonlogic import compile_rule
from streams.errors import SettingsError
from streams.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from streams.settings import Settings

HEADER = "customer_id,tenure,vip,email_consent,sms_consent,kpi.x,customer_since"
ROWS = ("007,3,true,true,Y,1.5,2020-01-01", "8,,false,false,N,,")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "customers.csv"
    path.write_text("\n".join((HEADER, *ROWS)) + "\n", encoding="utf-8")
    return load_settings(warehouse_url=f"csv:{path}")


def run(settings: Settings, *arguments: str) -> Result:
    environment = {
        "HOLDFAST_WAREHOUSE_URL": settings.warehouse_url,
        "HOLDFAST_DEFINITIONS_DIR": str(settings.definitions_dir or ""),
    }
    return CliRunner().invoke(holdfast, arguments, env={name: value for name, value in environment.items() if value})


@pytest.mark.parametrize(
    ("kinds", "rule", "words"),
    [
        ({"id": "number", "tenure": "number"}, {">": [{"var": "tenure"}, 0]}, "tenure is above 0"),
        ({"id": "other", "vip": "boolean"}, {"==": [{"var": "vip"}, True]}, "vip is true"),
        ({"id": "other", "plan": "other"}, {"!=": [{"var": "plan"}, None]}, "plan has a value"),
        ({"id": "other", "kpi.x": "number"}, {">": [{"var": r"kpi\.x"}, 0]}, "kpi.x is above 0"),
        ({"id": "other"}, {">=": [{"var": "message_count"}, 1]}, "has written a message"),
    ],
)
def test_the_first_rule_reads_a_column_that_exists(kinds: Any, rule: Any, words: str) -> None:
    assert choose_rule(kinds, "id") == (rule, words)
    compile_rule(rule, where="test")


def test_a_starting_folder_fits_the_view(settings: Settings, tmp_path: Path) -> None:
    """A worker would start with it, and the campaign can contact those who consent."""
    written = write_starting_folder(settings, tmp_path / "start")
    assert written.consented == ["email"]
    started = load_settings(warehouse_url=settings.warehouse_url, definitions_dir=tmp_path / "start" / "definitions")
    (campaign,) = load_definitions(started.definitions_dir).campaigns
    assert campaign.channels == ("email",)
    report = check_warehouse(started)
    assert report.problems == []
    assert not [sentence for sentence in report.missing if "contacts no customer" in sentence]


def test_the_settings_of_a_starting_folder_name_the_extract_and_no_password(settings: Settings, tmp_path: Path) -> None:
    write_starting_folder(settings, tmp_path / "start")
    lines = (tmp_path / "start" / "settings.env").read_text().splitlines()
    assert f"export HOLDFAST_WAREHOUSE_URL={settings.warehouse_url}" in lines
    assert f"export HOLDFAST_DEFINITIONS_DIR={tmp_path}/start/definitions" in lines


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_nothing_is_overwritten(settings: Settings, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "start"
    if kind == "folder":
        target.mkdir()
        (target / "mine").write_text("mine")
    else:
        target.write_text("mine")
    with pytest.raises(SettingsError, match="start is not empty; name a folder that does not exist"):
        write_starting_folder(settings, target)


def test_a_check_says_how_each_column_is_used_and_what_is_missing(settings: Settings, tmp_path: Path) -> None:
    write_starting_folder(settings, tmp_path / "start")
    started = load_settings(warehouse_url=settings.warehouse_url, definitions_dir=tmp_path / "start" / "definitions")
    result = run(started, "warehouse", "check")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "customer_id text, time or JSON customer id" in lines
    assert "tenure number segment first-segment" in lines
    assert "email_consent true or false consent for email" in lines
    assert "kpi.x number a fact for rules" in lines
    assert "missing: RFM cannot be computed: no days_since_last_transaction, total_revenue, transaction_count" in lines
    assert lines[-1] == "a worker can start"


def test_a_check_says_what_the_rows_contain(tmp_path: Path) -> None:
    view = tmp_path / "view.parquet"
    rows = (
        "(1,'Y',1), (2,'Y',2), (3,'N',3), (4,'maybe',4), (5,NULL,5), (6,'maybe',6), (7,'x',9007199254740993), (1,'Y',8)"
    )
    duckdb.execute(f"COPY (FROM (VALUES {rows}) t (customer_id, mail_ok, account)) TO '{view}'")
    definitions = tmp_path / "start" / "definitions"
    write_starting_folder(load_settings(warehouse_url=f"parquet:{view}"), tmp_path / "start")
    values = {"given": ["Y"], "denied": ["N"]}
    mail = {"key": "email", "message_format": "html", "consent_column": "mail_ok", "consent_values": values}
    (definitions / "campaigns" / "channels.json").write_text(json.dumps([mail]))
    started = load_settings(warehouse_url=f"parquet:{view}", definitions_dir=definitions)
    lines = run(started, "warehouse", "check").output.splitlines()
    assert (
        "mail_ok: 3 of 8 customers consent, 2 do not; not contacted, because the value is neither: 2 'maybe', 1 'x'"
        in lines
    )
    assert "account: 1 of 8 values cannot be read and count as null; let the view return text" in lines
    assert "customers with more than one row: 1; their events become dead letters" in lines
    sample = json.loads(run(started, "warehouse", "check", "--json").output)["sample"]
    assert (sample["rows"], sample["unreadable"], sample["duplicates"]) == (8, {"account": 1}, 1)


def test_a_check_of_a_view_that_the_definitions_do_not_fit_ends_with_two(settings: Settings, tmp_path: Path) -> None:
    write_starting_folder(settings, tmp_path / "start")
    rule = tmp_path / "start" / "definitions" / "segments" / "first-segment.json"
    rule.write_text(rule.read_text().replace("tenure", "tenor"))
    started = load_settings(warehouse_url=settings.warehouse_url, definitions_dir=tmp_path / "start" / "definitions")
    result = run(started, "warehouse", "check", "--json")
    assert result.exit_code == 2
    (problem,) = json.loads(result.output)["problems"]
    assert re.search(r"\$\.rule \(line \d+\) reads 'tenor'", problem)


def test_the_shipped_definitions_start_on_a_view_that_has_nothing_but_ids(tmp_path: Path) -> None:
    """What lacks its columns is null, and reported once."""
    view = tmp_path / "view.csv"
    view.write_text("customer_id\n1\n")
    result = run(load_settings(warehouse_url=f"csv:{view}"), "warehouse", "check")
    assert result.exit_code == 0, result.output
    assert "RFM cannot be computed" in result.output
    assert "campaign vip-offers contacts no customer" in result.output


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("warehouse", "load-example"), "the example needs PostgreSQL, and HOLDFAST_WAREHOUSE_URL is csv:"),
        (("train", "churn", "--out", "{folder}"), "training reads PostgreSQL, and HOLDFAST_WAREHOUSE_URL is csv:"),
    ],
)
def test_what_needs_a_database_says_so(settings: Settings, tmp_path: Path, command: tuple[str, ...], says: str) -> None:
    result = run(settings, *(each.format(folder=tmp_path / "models") for each in command))
    assert result.exit_code != 0
    assert says in result.output + str(result.exception)
