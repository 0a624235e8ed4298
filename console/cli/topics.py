"""`holdfast topics`: the topics on the broker."""

from __future__ import annotations

import click

from streams.kafka.topics import create_missing_topics
from streams.settings import load_settings


@click.group()
def topics() -> None:
    """Manage the topics on the broker."""


@topics.command("create")
@click.option(
    "--partitions",
    type=click.IntRange(1, 10_000),
    help="Partitions of each topic; default: as many as the existing topics have, or 4.",
)
@click.option(
    "--replication",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="Replicas of each partition.",
)
def create(partitions: int | None, replication: int) -> None:
    """Create the topics of Holdfast that are missing.

    It changes no topic that exists, and creates none when one has another number of partitions than --partitions says.
    """
    made = create_missing_topics(load_settings(), partitions=partitions, replication=replication)
    click.echo(f"created {', '.join(made)}" if made else "all topics exist")
