"""`holdfast segments check` and `preview` on an extract, which needs no service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from campaigns.errors import CampaignDefinitionError
from console.cli.segments import show_value
from console.segment_views import number, percent
from console.use_cases.segment_check import check_segments
from console.use_cases.segment_preview import preview_segment
from segments.errors import SegmentsError
from streams.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings

HEADER = "customer_id,spend,plan,secret"
ROWS = ("1,10,gold,x", "2,,gold,x", "3,30,,x", ",40,gold,x", "5,50,silver,x")
SPENDERS = {">": [{"var": "spend"}, 5]}


def write_view(folder: Path, *rows: str) -> Settings:
    path = folder / "customers.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return load_settings(warehouse_url=f"csv:{path}", private_columns="secret")


def write_rule(folder: Path, rule: Any, **more: Any) -> str:
    file = folder / "draft.json"
    file.write_text(json.dumps({"key": "draft", "name": "Draft", "rule": rule, **more}))
    return str(file)


@pytest.mark.parametrize(
    ("rule", "matching"),
    [
        (SPENDERS, ["1", "3", "5"]),
        ({"<": [{"var": "spend"}, 5]}, ["2"]),
        ({"==": [{"var": "plan"}, "gold"]}, ["1", "2"]),
        ({"!=": [{"var": "plan"}, "gold"]}, ["3", "5"]),
        ({}, ["1", "2", "3", "5"]),
        (False, []),
    ],
    ids=str,
)
def test_a_preview_counts_every_customer_with_an_id(tmp_path: Path, rule: Any, matching: list[str]) -> None:
    """Null is less than 5, and is not gold; a rule may read nothing."""
    found = preview_segment(write_view(tmp_path, *ROWS), write_rule(tmp_path, rule), limit=10)
    assert (found.matching, found.customers) == (len(matching), 4)
    assert [each.customer_id for each in found.examples] == matching


def test_examples_have_the_facts_that_the_rule_reads_and_no_more_than_asked_for(tmp_path: Path) -> None:
    settings = write_view(tmp_path, *ROWS)
    rule = {"or": [{"!=": [{"var": "spend"}, None]}, {"==": [{"var": "plan"}, "gold"]}]}
    found = preview_segment(settings, write_rule(tmp_path, rule), limit=2)
    assert found.matching == 4
    assert [dict(each.facts) for each in found.examples] == [
        {"plan": "gold", "spend": 10.0},
        {"plan": "gold", "spend": None},
    ]


def test_an_exit_rule_plays_no_part_in_a_preview(tmp_path: Path) -> None:
    """Nor do the columns that only it reads."""
    file = write_rule(tmp_path, SPENDERS, exit_rule={"==": [{"var": "plan"}, "none"]})
    found = preview_segment(write_view(tmp_path, *ROWS), file, limit=1)
    assert [dict(each.facts) for each in found.examples] == [{"spend": 10.0}]


def test_no_row_is_stale(tmp_path: Path) -> None:
    """The next event of a customer reads the row again."""
    settings = write_view(tmp_path, *ROWS).model_copy(update={"updated_at_column": "plan"})
    found = preview_segment(settings, write_rule(tmp_path, {"==": [{"var": "stale"}, False]}), limit=0)
    assert (found.matching, found.customers) == (4, 4)


def test_a_rule_on_the_event_time_is_previewed_as_of_now_without_the_ledger(tmp_path: Path) -> None:
    """The settings name no ledger that exists."""
    rule = {"time.within_last": [{"var": "event_time"}, 1]}
    found = preview_segment(write_view(tmp_path, *ROWS), write_rule(tmp_path, rule), limit=0)
    assert (found.matching, found.customers) == (4, 4)


def test_a_part_of_a_json_column_is_read_as_in_a_worker(tmp_path: Path) -> None:
    """The example shows the whole column."""
    path = tmp_path / "customers.parquet"
    rows = "('1', {'city': 'Lyon'}), ('2', {'city': 'Nice'}), ('3', NULL)"
    duckdb.execute(f"COPY (FROM (VALUES {rows}) t (customer_id, address)) TO '{path}'")
    file = write_rule(tmp_path, {"==": [{"var": "address.city"}, "Nice"]})
    found = preview_segment(load_settings(warehouse_url=f"parquet:{path}"), file, limit=5)
    assert [(each.customer_id, dict(each.facts)) for each in found.examples] == [("2", {"address": {"city": "Nice"}})]


def test_an_empty_view_has_no_customer(tmp_path: Path) -> None:
    found = preview_segment(write_view(tmp_path), write_rule(tmp_path, {}), limit=10)
    assert (found.matching, found.customers, found.share, list(found.examples)) == (0, 0, 0.0, [])


@pytest.mark.parametrize(
    ("rule", "error", "says"),
    [
        ({">": [{"var": "spent"}, 5]}, CampaignDefinitionError, "reads 'spent'.*did you mean 'spend'"),
        ({"==": [{"var": "secret"}, "x"]}, CampaignDefinitionError, "reads 'secret', which neither"),
        ({"==": [{"var": "rfm_recency"}, 5]}, SegmentsError, "'rfm_recency', which cannot be computed.* no days_since"),
    ],
)
def test_a_rule_that_a_worker_would_not_evaluate_is_refused(
    tmp_path: Path, rule: Any, error: type[Exception], says: str
) -> None:
    """On an unknown fact, a private column, and a score that lacks its columns."""
    settings, file = write_view(tmp_path, *ROWS), write_rule(tmp_path, rule)
    with pytest.raises(error, match=says):
        preview_segment(settings, file, limit=10)
    (verdict,) = check_segments(settings, file)
    assert len(verdict.problems) == 1


def test_a_check_names_both_rules_and_every_problem(tmp_path: Path) -> None:
    file = write_rule(tmp_path, {">": [{"var": "plan"}, 3]}, exit_rule={"<": [{"var": "spent"}, 3]})
    (verdict,) = check_segments(write_view(tmp_path, *ROWS), file)
    unknown, mismatch = verdict.problems
    assert "draft.json: $.exit_rule reads 'spent'" in unknown
    assert "draft.json: $.rule compares 'plan'" in mismatch


def test_a_text_in_a_numeric_score_is_no_surprise(tmp_path: Path) -> None:
    """The kinds of scores are known without a row."""
    file = write_rule(tmp_path, {"==": [{"var": "churn_risk"}, 3]})
    (verdict,) = check_segments(write_view(tmp_path), file)
    assert "compares 'churn_risk', which is text" in verdict.problems[0]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"==": [{"var": "churn_risk"}, "critical"]}, "it is low, medium, high; churn_risk_level may be"),
        (
            {"in": [{"var": "churn_risk_level"}, ["high", "severe"]]},
            "'severe', which it never is: it is low, medium, h",
        ),
        ({"!=": ["lost", {"var": "rfm_segment"}]}, "'lost', which it never is: it is Champions, "),
    ],
)
def test_a_text_that_a_score_never_is_is_named(tmp_path: Path, rule: Any, sentence: str) -> None:
    (verdict,) = check_segments(write_view(tmp_path), write_rule(tmp_path, rule))
    assert any(sentence in each for each in verdict.problems)


def test_bands_of_risk_are_no_problem(tmp_path: Path) -> None:
    rules = [{"==": [{"var": name}, "high"]} for name in ("churn_risk", "churn_risk_level", "value_segment")]
    (verdict,) = check_segments(write_view(tmp_path), write_rule(tmp_path, {"or": rules}))
    assert not [each for each in verdict.problems if "never" in each]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (1234567.5, "1,234,567.5"),
        (3.0, "3"),
        ("a\x1b[31m", r"a\x1b[31m"),
        ("x" * 70, "x" * 60 + "..."),
        (["a", 1.0], '["a",1.0]'),
    ],
)
def test_values_are_short_and_safe_on_a_terminal(value: Any, shown: str) -> None:
    assert show_value(value) == shown


def test_numbers_have_separators_and_small_shares_are_not_zero() -> None:
    assert (number(1, "member"), number(1234, "member")) == ("1 member", "1,234 members")
    assert [percent(share) for share in (0.0, 0.0001, 0.1234, 1.0)] == ["0.0 %", "below 0.1 %", "12.3 %", "100.0 %"]
