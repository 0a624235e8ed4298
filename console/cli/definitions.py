"""`holdfast definitions`: the JSON Schemas of definition files, and definitions in the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from campaigns.definition_schemas import SCHEMA_SUFFIX, definition_schemas, write_schema
from console.use_cases.definition_edits import export_definitions, import_definitions, is_editable
from models.current_user import current_user
from streams.settings import load_settings


@click.group()
def definitions() -> None:
    """Show what definition files may contain, and put definitions into the ledger and out of it."""


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


def _reject_blank(_context: click.Context, _parameter: click.Parameter, why: str) -> str:
    if not why.strip():
        raise click.BadParameter("say why, in a few words")
    return why.strip()


@definitions.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--why", required=True, callback=_reject_blank, help="Reason recorded with each version.")
@click.option("--by", default=current_user, help="Name recorded; default: the current user.")
@click.option("--retire-missing", is_flag=True, help="Retire what the ledger has and the folder has not.")
def import_folder(folder: Path, why: str, by: str, *, retire_missing: bool) -> None:
    """Put the definitions of a folder into the ledger: what differs becomes a version, all or none.

    With HOLDFAST_DEFINITIONS=ledger, running workers take them up within seconds.
    """
    settings = load_settings()
    versions = import_definitions(settings, folder, by=by, why=why, retires_missing=retire_missing)
    for each in versions:
        click.echo(f"{each.name}: {'retired' if each.is_retired else f'version {each.number}'}")
    click.echo(f"{len(versions)} of the definitions changed" if versions else "nothing changed")
    if not is_editable(settings):
        click.echo("workers read files; to let them read the ledger: HOLDFAST_DEFINITIONS=ledger")


@definitions.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def export_folder(folder: Path) -> None:
    """Write the definitions of the ledger as the files of a folder."""
    for file in export_definitions(load_settings(), folder):
        click.echo(f"wrote {file}")
