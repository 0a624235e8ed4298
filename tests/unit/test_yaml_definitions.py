"""Definitions in YAML: the same content as in JSON, and what YAML reads in two ways is refused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from campaigns.definition import load_campaigns
from features.yaml_values import YamlError, find_lines, read_yaml
from segments.definition import load_segments
from segments.definition_files import MAX_FILE_BYTES, read_content
from segments.errors import DefinitionError, RuleError

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT = """\
# Who may leave soon.
key: at-risk
name: At risk
rule:
  and:
    - ">=": [{var: churn_probability}, 0.70]
    - "==": [{var: country}, "no"]
exit_rule: {"<": [{var: churn_probability}, 6e-1]}
"""
CAMPAIGN = """\
key: win-back
name: Win back
segment: at-risk
offers: [1]
channels:
  - email
message: |-
  Dear customer,
  take {{ offer.name }}
holdout_percent: 10
"""
# 1e3 is a number in JSON and here; writers of YAML 1.1 take it for text and leave out the quotes.
TEXTS = st.text().filter(lambda text: not re.fullmatch(r"-?\d+[eE][+-]?\d+", text))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def refusal(text: str) -> str:
    with pytest.raises(YamlError) as refused:
        read_yaml(text)
    return str(refused.value)


def test_the_same_content_has_one_version_in_json_and_yaml(tmp_path: Path) -> None:
    contents = {name: read_yaml(text).value for name, text in (("s", SEGMENT), ("c", CAMPAIGN))}
    versions = set()
    for suffix in ("json", "yaml", "yml"):
        folder = tmp_path / suffix
        folder.mkdir()
        texts = {"s": SEGMENT, "c": CAMPAIGN} if suffix != "json" else {k: json.dumps(v) for k, v in contents.items()}
        (folder / "segments").mkdir()
        (folder / "segments" / f"risk.{suffix}").write_text(texts["s"])
        (folder / f"win-back.{suffix}").write_text(texts["c"])
        (folder / f"offers.{suffix}").write_text('[{"id": 1, "key": "gift", "name": "A gift"}]')
        (segment,) = load_segments(folder / "segments")
        ((campaign,), _) = load_campaigns(folder, segments=["at-risk"])
        versions.add((segment.version, campaign.version))
    assert len(versions) == 1


@given(JSON_VALUES)
def test_every_json_text_is_yaml_of_the_same_value(value: Any) -> None:
    """Unless it has characters that YAML forbids; then it is refused."""
    try:
        read = read_yaml(json.dumps(value, indent=2, ensure_ascii=True)).value
    except YamlError:
        return
    # As JSON, so that 1, 1.0 and true differ.
    assert json.dumps(read) == json.dumps(value)


@given(JSON_VALUES)
def test_what_is_read_of_a_yaml_writer_is_what_was_written(value: Any) -> None:
    """Text that YAML would take for something else is quoted by a writer, and stays text here."""
    try:
        read = read_yaml(yaml.safe_dump(value, allow_unicode=True, sort_keys=False)).value
    except YamlError as error:
        assert any(said in str(error) for said in ("in quotes", "as JSON", "in double quotes"))  # noqa: PT017 - each is right
        return
    assert json.dumps(read) == json.dumps(value)


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "Yes", "NO", "y", "N"])
def test_a_word_that_yaml_takes_for_a_boolean_is_refused(text: str) -> None:
    assert refusal(f"key: a\nrule: {{'==': [x, {text}]}}") == (
        f'line 2: {text} is a boolean in YAML 1.1; put it in quotes, "{text}", for text, or write true or false'
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2011-06-01", "a date or time"),
        ("2011-06-01T12:00:00Z", "a date or time"),
        ("010", "an octal number"),
        ("0o17", "an octal number"),
        ("0x1F", "a number"),
        ("21:00", "a number"),
        ("1_000", "a number"),
        ("+1", "a number"),
        (".5", "a number"),
        ("1.", "a number"),
        (".inf", "a number"),
        (".nan", "a number"),
    ],
)
def test_text_that_yaml_takes_for_a_date_or_a_number_is_refused(text: str, kind: str) -> None:
    assert refusal(f"a: {text}").startswith(f'line 1: {text} is {kind} in YAML 1.1; put it in quotes, "{text}"')
    assert read_yaml(f'a: "{text}"').value == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.0", 1.0),
        ("-2.5e3", -2500.0),
        ("1e3", 1000.0),
        ("true", True),
        ("~", None),
        ("Norway", "Norway"),
        ("no way", "no way"),
        ("1.2.3", "1.2.3"),
        ("2 for 1", "2 for 1"),
    ],
)
def test_text_without_quotes_is_what_it_is_in_json_or_text(text: str, value: Any) -> None:
    assert json.dumps(read_yaml(f"a: {text}").value) == json.dumps({"a": value})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("# a comment\n", "it is empty"),
        ("key: a\nkey: b", "line 2: key 'key' appears twice in one object, first in line 1"),
        ("a: {b: 1,\n c: 2, b: 3}", "line 2: key 'b' appears twice in one object, first in line 1"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins; write one to a file"),
        ("a: &x [1]\nb: *x", "line 1: anchors and aliases (& and *) are refused; write the value out"),
        ("a:\n  <<: *x", "line 2: << is a merge of objects in YAML 1.1; put it in quotes"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        ("a: !!set {b}", "line 1: the tag 'tag:yaml.org,2002:set' is refused"),
        ("no: Hei", 'line 1: no is a boolean in YAML 1.1; put it in quotes, "no", for text'),
        ("1: a", "line 1: a key is text; 1 is none; put it in quotes"),
        ("[1]: a", "line 1: a key is text; put it in quotes"),
        ("key: a\nrule:", "line 2: a value is missing; write null where nothing is meant"),
        ("a: [1, 2", "line 2: "),
        ("a: >= 3", "line 1: "),
        ("a: 'x\n", "put text with special characters in quotes"),
        ("a: 1\nb: 'x\u2028y'", "line 2: U+2028 breaks a line in YAML 1.1; write \\u2028, in double quotes"),
        ("[" * 5000, ""),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_line(text: str, said: str) -> None:
    assert said in refusal(text)


def test_aliases_do_not_grow() -> None:
    """Nine lines of them could stand for a billion values."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))]
    assert "anchors and aliases" in refusal("\n".join(lines))


def test_lines_are_those_of_the_parts() -> None:
    lines = find_lines('{\n\t"a": [\n\t\t1,\n\t\t{"<=": 2}\n\t]\n}')
    assert lines == {"$": 1, "$.a": 2, "$.a[0]": 3, "$.a[1]": 4, '$.a[1]["<="]': 4}


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_an_error_names_file_path_and_line(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"bad{suffix}"
    content = {"key": "at-risk", "name": "At risk", "rule": {"and": [True, {"matches": [1]}]}}
    text = yaml.safe_dump(content, sort_keys=False) if suffix == ".yaml" else json.dumps(content, indent=2)
    file.write_text(text)
    line = 1 + next(number for number, each in enumerate(text.splitlines()) if "matches" in each)
    with pytest.raises(RuleError, match=rf"unknown operator 'matches' at \$\.and\[1\]\.matches \(line {line}\), value"):
        load_segments(tmp_path)
    file.write_text(text.replace("at-risk", "At Risk").replace("At risk", "x" * 201))
    with pytest.raises(DefinitionError, match=r"\$\.key \(line [12]\): .*; \$\.name \(line [23]\): "):
        load_segments(tmp_path)


def test_a_repeated_key_of_json_has_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text('{\n\t"key": "a",\n\t"key": "b"\n}')
    with pytest.raises(DefinitionError) as refused:
        read_content(file)
    assert str(refused.value) == (
        f"{file}: not valid JSON: line 3: key 'key' appears twice in one object, first in line 2"
    )


def test_bad_yaml_is_refused_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("key: no")
    with pytest.raises(DefinitionError, match=r"bad\.yaml: not valid YAML: line 1: no is a boolean"):
        load_segments(tmp_path)
    (tmp_path / "bad.yaml").write_bytes(b"key: \xff")
    with pytest.raises(DefinitionError, match=r"bad\.yaml: not valid YAML: "):
        load_segments(tmp_path)
    (tmp_path / "bad.yaml").write_text(" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(DefinitionError, match="may have 262,144 at most"):
        load_segments(tmp_path)


def test_two_files_of_one_key_are_refused_with_both_names(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(read_yaml(SEGMENT).value))
    (tmp_path / "b.yaml").write_text(SEGMENT)
    with pytest.raises(DefinitionError) as refused:
        load_segments(tmp_path)
    used = f"{tmp_path / 'a.json'}; choose another"
    assert str(refused.value) == f"{tmp_path / 'b.yaml'}: $.key (line 2) 'at-risk' is already used by {used}"


@pytest.mark.parametrize("name", ["offers", "channels", "limits"])
def test_two_files_of_one_list_are_refused_with_both_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "offers.json").write_text('[{"id": 1, "key": "gift", "name": "A gift"}]')
    first, second = tmp_path / f"{name}.json", tmp_path / f"{name}.yml"
    for file in (first, second):
        file.write_text("[]")
    with pytest.raises(DefinitionError) as refused:
        load_campaigns(tmp_path, segments=[])
    assert str(refused.value) == f"{second}: {first} defines {name}, too; keep one of the two"


def test_the_schema_of_a_file_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SEGMENT)
    plain = load_segments(tmp_path)[0].version
    (tmp_path / "a.yaml").write_text("$schema: ../segment.schema.json\n" + SEGMENT)
    assert load_segments(tmp_path)[0].version == plain
