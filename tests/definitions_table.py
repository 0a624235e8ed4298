"""Writes what is generated from the types of definition files: `python -m tests.definitions_table`.

The published schemas, and the table of all fields at the end of docs/definitions.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaigns.definition_schemas import SCHEMA_SUFFIX, definition_schemas, write_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "definitions.md"
BEGIN = "\n## All fields\n"
INTRODUCTION = """
From the published schemas, `holdfast definitions schema KIND`; a test compares the two. A field without a default must
be there.
"""
TYPES = {"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number", "null": "null"}


def find_schema_files() -> Mapping[str, Path]:
    """Return the shipped file of each kind's schema."""
    folders = {kind: "segments" if kind == "segment" else "campaigns" for kind in definition_schemas()}
    return {kind: ROOT / folder / "schemas" / f"{kind}{SCHEMA_SUFFIX}" for kind, folder in folders.items()}


def render_tables() -> str:
    """Return the section of the page."""
    tables = (_render(kind, schema) for kind, schema in definition_schemas().items())
    return f"{BEGIN}{INTRODUCTION}\n" + "\n".join(tables)


def _render(kind: str, schema: Mapping[str, Any]) -> str:
    shapes = [(f"`{kind}`", schema.get("items", schema)), *((f"`{n}`", s) for n, s in schema.get("$defs", {}).items())]
    rows = [row for place, (name, each) in enumerate(shapes) for row in _rows(name, each, schema, inner=place > 0)]
    head = f"**{schema['title'].removeprefix('Holdfast ').capitalize()}**"
    return "\n".join([head, "", "| field | value | default | meaning |", "|---|---|---|---|", *rows, ""])


def _rows(name: str, shape: Mapping[str, Any], schema: Mapping[str, Any], *, inner: bool) -> Iterator[str]:
    shape = _resolve(shape, schema)
    if inner and name.strip("`") in _names_of_items(schema):
        return
    for field, described in shape.get("properties", {}).items():
        if field == "$schema":
            continue
        default = "" if field in shape.get("required", ()) else _default(described)
        meaning = described.get("description", _resolve(described, schema).get("description", ""))
        prefix = f"{_owner(name, schema)}." if inner else ""
        yield f"| `{prefix}{field}` | {_value(described, schema)} | {default} | {meaning.replace('|', chr(92) + '|')} |"


def _names_of_items(schema: Mapping[str, Any]) -> set[str]:
    return {schema["items"]["$ref"].rpartition("/")[2]} if "items" in schema else set()


def _owner(name: str, schema: Mapping[str, Any]) -> str:
    """Return the field whose value has the shape of a name."""
    reference = f"#/$defs/{name.strip('`')}"
    shapes = [schema, *schema["$defs"].values()]
    fields = [(field, described) for each in shapes for field, described in each.get("properties", {}).items()]
    return next(field for field, described in fields if reference in str(described))


def _resolve(shape: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in shape:
        return shape
    found: Mapping[str, Any] = schema["$defs"][shape["$ref"].rpartition("/")[2]]
    return found


def _default(described: Mapping[str, Any]) -> str:
    default = described.get("default")
    if default in (None, "", [], {}):
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _value(described: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    shape = _resolve(described, schema)
    if "anyOf" in shape:
        kinds = [_value(each, schema) for each in shape["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in shape:
        return ", ".join(f"`{each}`" for each in shape["enum"])
    kind = shape.get("type", "any")
    if isinstance(kind, list) or kind == "any":
        return "a rule"
    if kind == "array":
        return f"list of {_value(shape['items'], schema)}"
    if kind == "object":
        inner = shape.get("additionalProperties")
        return f"object of {_value(inner, schema)}" if isinstance(inner, dict) else "object, see below"
    least, most = shape.get("minimum", shape.get("exclusiveMinimum")), shape.get("maximum")
    bounds = "" if least is None else f", {least:,} or more" if most is None else f", {least:,} to {most:,.0f}"
    return TYPES[kind] + bounds


def main() -> None:
    """Write the files."""
    for kind, file in find_schema_files().items():
        file.write_text(write_schema(definition_schemas()[kind]), encoding="utf-8")
    PAGE.write_text(PAGE.read_text(encoding="utf-8").partition(BEGIN)[0] + render_tables(), encoding="utf-8")


if __name__ == "__main__":
    main()
