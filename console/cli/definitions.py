"""`holdfast definitions`: the JSON Schemas of definition files."""

from __future__ import annotations

from pathlib import Path

import click

from campaigns.definition_schemas import SCHEMA_SUFFIX, definition_schemas, write_schema


@click.group()
def definitions() -> None:
    """Show what definition files may contain."""


@definitions.command("schema")
@click.argument("kind", required=False, type=click.Choice(["segment", "campaign", "offers", "channels", "limits"]))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write schemas into.")
def write_schemas(kind: str | None, out: Path | None) -> None:
    """Print the JSON Schema of one kind of definition file, or write all of them into a folder.

    An editor that knows the schema completes fields and marks mistakes.
    """
    schemas = {name: each for name, each in definition_schemas().items() if kind in (None, name)}
    if out is None:
        if kind is None:
            raise click.UsageError("name a kind of file, or a folder for all schemas: --out FOLDER")
        click.echo(write_schema(schemas[kind]), nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas.items():
        file = out / f"{name}{SCHEMA_SUFFIX}"
        file.write_text(write_schema(schema), encoding="utf-8")
        click.echo(f"wrote {file}")
