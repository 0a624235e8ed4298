"""The published JSON Schemas equal the code, and say of a file what the loader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from campaigns.channels import SHIPPED
from campaigns.definition_schemas import definition_schemas, write_schema
from console.cli.definitions import definitions
from segments.definition_files import read_content
from tests.definitions_table import PAGE, find_schema_files, render_tables

ROOT = Path(__file__).parents[2]
LISTS = {"offers", "channels", "limits"}
GOOD = {
    "$schema": "../campaign.schema.json",
    "key": "win-back",
    "name": "Win back",
    "segment": "at-risk",
    "offers": [1],
    "channels": ["email"],
    "message": "For you",
}


def check(kind: str, content: Any) -> None:
    schema = definition_schemas()[kind]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("kind", sorted(definition_schemas()))
def test_the_shipped_schemas_equal_the_code(kind: str) -> None:
    """Else run `python -m tests.definitions_table`."""
    assert find_schema_files()[kind].read_text(encoding="utf-8") == write_schema(definition_schemas()[kind])


def test_the_table_of_all_fields_equals_the_code() -> None:
    """Else run `python -m tests.definitions_table`."""
    assert PAGE.read_text(encoding="utf-8").endswith(render_tables())


def test_every_field_has_a_meaning() -> None:
    assert "|  |\n" not in render_tables()


@pytest.mark.parametrize(
    "file",
    [
        *SHIPPED.glob("*.json"),
        *(file for file in ROOT.glob("examples/*/definitions/*/*") if file.suffix in {".json", ".yaml"}),
    ],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_every_shipped_definition_keeps_to_its_schema(file: Path) -> None:
    kind = file.stem if file.stem in LISTS else file.parent.name.removesuffix("s")
    check("campaign" if kind == "definition" else kind, read_content(file))


def test_a_definition_may_name_its_schema() -> None:
    check("campaign", GOOD)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("campaign", {**GOOD, "colour": "red"}),
        ("campaign", {**GOOD, "holdout_percent": 51}),
        ("campaign", {**GOOD, "launch": "whenever"}),
        ("segment", {"key": "Big", "name": "Big"}),
        ("offers", [{"id": 0, "key": "gift", "name": "A gift"}]),
        ("channels", [{"key": "email"}]),
        ("limits", [{"key": "weekly", "contacts": 1, "days": 0}]),
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(kind: str, content: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(kind, content)


def test_the_command_prints_one_schema_or_writes_all(tmp_path: Path) -> None:
    printed = CliRunner().invoke(definitions, ["schema", "campaign"])
    assert json.loads(printed.stdout) == definition_schemas()["campaign"]
    written = CliRunner().invoke(definitions, ["schema", "--out", str(tmp_path / "schemas")])
    assert len(written.stdout.splitlines()) == len(definition_schemas())
    for kind in definition_schemas():
        file = tmp_path / "schemas" / f"{kind}.schema.json"
        assert file.read_text(encoding="utf-8") == find_schema_files()[kind].read_text(encoding="utf-8")


def test_the_command_asks_what_to_print() -> None:
    asked = CliRunner().invoke(definitions, ["schema"])
    assert asked.exit_code == 2
    assert "--out FOLDER" in asked.output
