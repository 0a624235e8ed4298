"""`holdfast updates`: announce that customers changed."""

from __future__ import annotations

import click

from console.use_cases.updates import publish_updates
from streams.settings import load_settings


@click.group()
def updates() -> None:
    """Announce that customers changed."""


@updates.command("publish")
@click.argument("customer_ids", nargs=-1, required=True)
def publish(customer_ids: tuple[str, ...]) -> None:
    """Publish an update of each customer, as the warehouse's producer does: the worker reads and evaluates them."""
    click.echo(f"published {publish_updates(load_settings(), customer_ids):,} updates")
