from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from segments.definition import SHIPPED, build_segment, load_segments, segment_schema
from segments.definition_files import MAX_FILE_BYTES
from segments.errors import DefinitionError, RuleError

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {"key": "big", "name": "Big", "rule": {">": [{"var": "revenue"}, 100]}}


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_segments_come_in_the_order_of_their_files(tmp_path: Path) -> None:
    write(tmp_path, "b.json", {**GOOD, "key": "first"})
    write(tmp_path, "a.json", {**GOOD, "key": "second"})
    write(tmp_path, "notes.txt", "no definition")
    assert [segment.key for segment in load_segments(tmp_path)] == ["second", "first"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"name": "Other", "description": "words"}, True),
        ({"rule": {">": [{"var": "revenue"}, 101]}}, False),
        ({"exit_rule": {"<": [{"var": "revenue"}, 50]}}, False),
    ],
)
def test_the_version_follows_the_rules_and_not_the_words(change: dict[str, Any], *, same: bool) -> None:
    before, after = build_segment(GOOD, where="x"), build_segment({**GOOD, **change}, where="x")
    assert (before.version == after.version) is same
    assert len(before.version) == 12


def test_the_version_is_the_same_for_ever() -> None:
    assert build_segment(GOOD, where="x").version == "a57234bd9072"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("\xff", "not valid JSON"),
        ('{"key": "a", "key": "b"}', "key 'key' appears twice"),
        ('{"key": "a", "name": "A", "rule": {">": [1, NaN]}}', "NaN is not a JSON number"),
        ("[" * 100_000, "not valid JSON"),
        ([GOOD], r"\$: "),
        ({**GOOD, "rules": {}}, r"\$\.rules: Extra inputs"),
        ({"key": "big"}, r"\$\.name: Field required"),
        ({**GOOD, "key": "Big One"}, r"\$\.key: .*'Big One'"),
        ({**GOOD, "key": "x" * 65}, r"\$\.key"),
        ({**GOOD, "name": 3}, r"\$\.name: .*value 3"),
        ({**GOOD, "rule": "revenue > 100"}, r"\$\.rule: .*'revenue > 100'"),
        ({**GOOD, "exit_rule": [1]}, r"\$\.exit_rule"),
        ({**GOOD, "description": "x" * MAX_FILE_BYTES}, "a definition file may have 262,144 at most"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_reason(tmp_path: Path, content: Any, said: str) -> None:
    write(tmp_path, "bad.json", content)
    with pytest.raises(DefinitionError, match=said) as refused:
        load_segments(tmp_path)
    assert str(tmp_path / "bad.json") in str(refused.value)


@pytest.mark.parametrize("field", ["rule", "exit_rule"])
def test_an_unknown_operator_is_refused_with_file_field_and_path(tmp_path: Path, field: str) -> None:
    write(tmp_path, "bad.json", {**GOOD, field: {"and": [True, {"matches": ["a", "b"]}]}})
    with pytest.raises(RuleError, match=rf"bad\.json: {field}: unknown operator 'matches' at \$\.and\[1\]\.matches"):
        load_segments(tmp_path)


def test_a_key_used_twice_is_refused_with_both_files(tmp_path: Path) -> None:
    write(tmp_path, "a.json", GOOD)
    write(tmp_path, "b.json", GOOD)
    with pytest.raises(DefinitionError, match=r"b\.json: \$\.key 'big' is already used by .*a\.json"):
        load_segments(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no such folder"):
        load_segments(tmp_path / "nowhere")


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "segments", "{}")
    with pytest.raises(DefinitionError, match="segments: this is a file; a folder of definition files is needed"):
        load_segments(tmp_path / "segments")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.json").mkdir()
    with pytest.raises(DefinitionError, match=r"big\.json: this is a folder; a JSON or YAML file is needed"):
        load_segments(tmp_path)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    """Windows editors write one."""
    (tmp_path / "big.json").write_text(json.dumps(GOOD), encoding="utf-8-sig")
    assert [segment.key for segment in load_segments(tmp_path)] == ["big"]


def test_every_problem_of_a_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "bad.json", {"key": "Big", "colour": "red"})
    with pytest.raises(DefinitionError, match=r"\$\.key: .*'Big'; \$\.name: Field required; \$\.colour: .*'red'"):
        load_segments(tmp_path)


@pytest.mark.parametrize("empty", [{}, {"exit_rule": None}, {"exit_rule": {}}])
def test_an_empty_exit_rule_is_none(empty: dict[str, Any]) -> None:
    assert build_segment({**GOOD, **empty}, where="x").exit_rule is None


def test_an_exit_rule_of_false_is_kept() -> None:
    assert build_segment({**GOOD, "exit_rule": False}, where="x").exit_rule is not None


def test_the_shipped_segments_load_and_keep_to_the_published_schema() -> None:
    segments = load_segments(SHIPPED)
    for file in SHIPPED.glob("*.json"):
        jsonschema.validate(json.loads(file.read_text()), segment_schema())
    assert {segment.key for segment in segments} >= {"high-churn-risk", "medium-churn-risk", "vip-customers"}


@pytest.mark.parametrize(
    "wrong", [{"rules": {}}, {"key": "Big"}, {"rule": {"matches": [1]}}, {"rule": {"<": 1, ">": 2}}]
)
def test_the_published_schema_refuses_what_the_loader_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**GOOD, **wrong}, segment_schema())
