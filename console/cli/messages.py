"""`holdfast messages`: the store of messages that search, clusters and reports read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from console.cli.progress_bar import ProgressBar
from console.use_cases.messages import copy_messages, update_index
from intelligence.migrations import migrate
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intelligence.message_index import IndexReport
    from intelligence.message_sync import SyncReport


@click.group()
def messages() -> None:
    """Manage the PostgreSQL store of messages that search, clusters and reports read."""


@messages.command("migrate")
def migrate_store() -> None:
    """Create the message store in HOLDFAST_INTELLIGENCE_URL, or bring it up to date; it needs pgvector."""
    steps = migrate(load_settings().store_url)
    click.echo(f"applied {', '.join(steps)}" if steps else "the message store is up to date")


@messages.command("sync")
@click.option("--index/--no-index", default=True, help="Also give the messages vectors; default: yes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def sync(index: bool, as_json: bool) -> None:
    """Copy new messages from the conversations topic; see docs/search.md.

    After a promotion of a model of sentiment, or with another file of concerns, stored messages are read again. It may
    be interrupted at any time and run again. Messages of erased customers are left out.
    """
    with ProgressBar() as bar:
        copied, again, indexed = copy_messages(load_settings(), bar.show, index=index)
    if as_json:
        click.echo(msgspec.json.encode({"copied": copied, "read_again": again, "indexed": indexed}))
        return
    if again.read:
        click.echo(
            f"read again by {again.version.split()[0]}: {again.read:,} messages, of which {again.changed:,} changed"
        )
    for line in describe_sync(copied):
        click.echo(line)
    if indexed is not None:
        click.echo(describe_index(indexed))


@messages.command("index")
@click.option("--learn", is_flag=True, help="Learn the vectors again, and give every message a new one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def index_store(learn: bool, as_json: bool) -> None:
    """Give every message a vector, learned from all messages; see docs/search.md.

    It may be interrupted at any time and run again.
    """
    with ProgressBar() as bar:
        report = update_index(load_settings(), bar.show, learn=learn)
    click.echo(msgspec.json.encode(report) if as_json else describe_index(report))


def describe_sync(report: SyncReport) -> Iterator[str]:
    """Yield what was copied, line by line."""
    yield f"new messages: {report.new:,} of {report.records:,} records"
    counts = (
        ("stored before", report.known),
        ("of erased customers, left out", report.erased),
        ("not decodable, left out; workers make dead letters of them", report.rejected),
        ("of other kinds", report.other),
        ("deleted from the topic before they were read", report.expired),
    )
    for what, count in counts:
        if count:
            yield f"  {what}: {count:,}"


def describe_index(report: IndexReport) -> str:
    """Return what was indexed, in a line."""
    if not report.messages:
        return "the message store is empty; nothing to index"
    learned = "learned in this run" if report.learned else "as before"
    return f"messages: {report.messages:,}; new vectors: {report.encoded:,}; version {report.version}, {learned}"
