"""Comparisons of facts with values of another type, and the choice of a segment by key or file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from console.use_cases.segment_check import find_mismatches
from console.use_cases.segment_choice import choose_segment
from segments.definition import build_segment
from segments.errors import SegmentsError
from segments.jsonlogic import compile_rule

if TYPE_CHECKING:
    from pathlib import Path

    from features.table import Kind

KINDS: dict[str, Kind] = {
    "spend": "number",
    "orders": "number",
    "plan": "other",
    "since": "other",
    "vip": "boolean",
    "kpi.x": "number",
}


def problems(rule: Any) -> list[str]:
    return find_mismatches(compile_rule(rule, where="test"), KINDS)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        True,
        {">": [{"var": "spend"}, 3]},
        {"<": [1, {"var": "spend"}, 9]},
        {"==": [{"var": "plan"}, "gold"]},
        {">": [{"var": "since"}, "2020-01-01"]},
        {"!=": [{"var": "plan"}, None]},
        {"in": [{"var": "plan"}, ["gold", None]]},
        {"in": ["gold", {"var": "plan"}]},
        {"==": [{"var": "vip"}, True]},
        {"==": [{"var": "vip"}, 1]},
        {"==": [{"var": "spend"}, {"var": "vip"}]},
        {"==": [{"var": "plan"}, {"var": "since"}]},
        {">": [{"var": "plan.level"}, 3]},
        {"==": [{"var": "kpi.x"}, 3]},
        {">": [{"+": [{"var": "plan"}, 1]}, 3]},
        {"==": [3, "3"]},
        {"!": {"var": "plan"}},
    ],
    ids=json.dumps,
)
def test_values_of_the_same_type_fit(rule: Any) -> None:
    """So do null, truth values as numbers, parts of a JSON column, and what is computed."""
    assert problems(rule) == []


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({">": [{"var": "plan"}, 3]}, "compares 'plan', which is text, time or JSON, with the number 3; "),
        ({">": [3, {"var": "plan"}]}, "compares 'plan', which is text, time or JSON, with the number 3; "),
        ({"==": [{"var": "spend"}, "100"]}, "compares 'spend', which is a number, with the text '100'; "),
        ({"==": [{"var": "vip"}, "Y"]}, "compares 'vip', which is true or false, with the text 'Y'; "),
        ({"==": [{"var": "kpi.x"}, "3"]}, "compares 'kpi.x', which is a number, with the text '3'; "),
        ({"in": [{"var": "plan"}, ["gold", 4]]}, "compares 'plan', which is text, time or JSON, with the number 4; "),
        ({"in": [{"var": "spend"}, ["many"]]}, "compares 'spend', which is a number, with the text 'many'; "),
        ({"<": [0, {"var": "plan"}, 9]}, "with the number 0; "),
        ({"<": [{"var": "plan"}, {"var": "spend"}]}, "with 'spend', which is a number; "),
        ({"in": [{"var": "plan"}, [{"var": "spend"}]]}, "with 'spend', which is a number; "),
        ({"if": [{"!": {"or": [{"==": [{"var": "plan"}, 1]}]}}, True, False]}, "with the number 1; "),
    ],
    ids=str,
)
def test_values_of_another_type_are_named_wherever_the_rule_compares_them(rule: Any, says: str) -> None:
    found = problems(rule)
    assert says in found[0]


def test_every_mismatch_of_a_rule_is_named() -> None:
    rule = {"and": [{">": [{"var": "plan"}, 3]}, {"==": [{"var": "orders"}, "3"]}]}
    assert [sentence.split(",")[0] for sentence in problems(rule)] == ["compares 'plan'", "compares 'orders'"]


SEGMENTS = [build_segment({"key": key, "name": key}, where="x") for key in ("vip-customers", "lapsing", "json")]


def test_a_key_comes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lapsing").write_text('{"key": "other", "name": "x"}')
    assert choose_segment(SEGMENTS, "lapsing").key == "lapsing"


@pytest.mark.parametrize("name", ["draft.json", "draft"])
def test_a_file_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text('{"key": "new", "name": "New"}')
    assert choose_segment(SEGMENTS, name).key == "new"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vip-custmers", "no segment 'vip-custmers'; did you mean 'vip-customers'"),
        ("zzzzzz", "no segment 'zzzzzz'; there are: vip-customers, lapsing, json"),
        ("nowhere/draft.json", "nowhere/draft.json: cannot be read"),
        (".", "this is a folder"),
    ],
)
def test_what_is_no_segment_is_refused_with_what_could_be_meant(name: str, says: str) -> None:
    with pytest.raises(SegmentsError, match=says):
        choose_segment(SEGMENTS, name)
