"""`holdfast contracts`: the AsyncAPI document of all topics and the JSON Schemas of all messages."""

from __future__ import annotations

from pathlib import Path

import click

from streams.contracts.asyncapi import DOCUMENT, describe_topics, write_document
from streams.contracts.messages import all_messages
from streams.settings import load_settings


@click.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the document and the schemas."
)
def contracts(out: Path | None) -> None:
    """Print the AsyncAPI document of all topics, or write it and a JSON Schema of each message into a folder.

    The topics have the prefix of HOLDFAST_TOPIC_PREFIX.
    """
    document = write_document(describe_topics(load_settings().topic_prefix))
    if out is None:
        click.echo(document, nl=False)
        return
    texts = {DOCUMENT: document}
    for message in all_messages():
        if message.payload:
            texts[f"schemas/{message.key}.schema.json"] = write_document(message.payload)
    try:
        (out / "schemas").mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8")
            click.echo(f"wrote {out / name}")
    except OSError as error:
        raise click.ClickException(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
