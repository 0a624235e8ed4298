"""`holdfast ledger`: the database that stores every decision."""

from __future__ import annotations

import click

from campaigns.migrations import migrate
from console.use_cases.ledger import ask_ledger
from streams.settings import load_settings


@click.group()
def ledger() -> None:
    """Manage the PostgreSQL database that stores every decision."""


@ledger.command("migrate")
def migrate_ledger() -> None:
    """Bring the ledger's schema up to date; workers also do it when they start."""
    steps = migrate(load_settings().ledger_url)
    click.echo(f"applied {', '.join(steps)}" if steps else "the ledger is up to date")


@ledger.command("renew")
def renew_ledger() -> None:
    """Put a ledger restored from a backup into use; stop the workers first.

    The ledger gets a new name, so that none of its messages counts as published. Messages published after the backup
    are published again, under the same trigger ids.
    """
    name = ask_ledger(load_settings(), lambda ledger: ledger.renew())
    click.echo(f"the ledger has the new name {name}; start the workers")
