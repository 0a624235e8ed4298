"""The `holdfast` command."""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import psycopg

from campaigns.definition import load_definitions
from campaigns.errors import CampaignError
from campaigns.migrations import migrate
from console.cli.backtest import backtest
from console.cli.campaigns import campaigns
from console.cli.contracts import contracts
from console.cli.customers import customers
from console.cli.dead_letters import dead_letters
from console.cli.definitions import definitions
from console.cli.doctor import doctor
from console.cli.explanation import describe_customer
from console.cli.progress_bar import INTERRUPTED
from console.cli.replay import replay
from console.cli.retention import forget, prune
from console.cli.segments import segments
from console.cli.status import show_status
from console.cli.timeline import timeline
from console.cli.warehouse import init, warehouse
from console.cli.what_if import what_if
from console.embedded.errors import EmbeddedError
from console.models import models
from console.use_cases.explanations import explain_customer
from console.use_cases.ledger import ask_ledger
from console.use_cases.updates import publish_updates
from console.warehouse import ExampleError
from delivery.errors import DeliveryError
from delivery.services import run_delivery
from features.errors import FeaturesError
from models.errors import ModelError
from segments.errors import SegmentsError
from streams.__main__ import run
from streams.errors import HoldfastStreamError
from streams.kafka.topics import create_missing_topics
from streams.settings import load_settings
from training.__main__ import train
from training.errors import TrainingError

FOR_PEOPLE = (
    CampaignError,
    DeliveryError,
    EmbeddedError,
    ExampleError,
    FeaturesError,
    HoldfastStreamError,
    ModelError,
    SegmentsError,
    TrainingError,
)
REFUSED = 2


def main() -> None:
    """Run the command; an error that a person can fix gives one sentence and exit code 2, without a traceback."""
    try:
        holdfast(prog_name="holdfast")
    except FOR_PEOPLE as error:
        click.echo(f"holdfast: {error}", err=True)
        sys.exit(REFUSED)
    except psycopg.OperationalError as error:
        click.echo(f"holdfast: PostgreSQL cannot be used: {str(error).strip().splitlines()[0]}", err=True)
        sys.exit(REFUSED)
    except BaseExceptionGroup as group:
        known, unknown = group.split(FOR_PEOPLE)
        if unknown or known is None:
            raise
        click.echo(f"holdfast: {_first(known)}", err=True)
        sys.exit(REFUSED)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


class _Interruptible(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C gives one sentence and exit code 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("holdfast: interrupted", err=True)
            sys.exit(INTERRUPTED)


@click.group(cls=_Interruptible, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="holdfast")
@click.pass_context
def holdfast(context: click.Context) -> None:
    """Decide on a stream of events which customers to contact, and explain every decision."""
    # Training knows no definitions: the number of offers is a default from here, read when an option asks for it.
    context.default_map = {"train": {name: {"offers": count_offers} for name in train.commands}}


def count_offers() -> int:
    """Return the number of offers in HOLDFAST_DEFINITIONS_DIR, or of the shipped ones."""
    folder = os.environ.get("HOLDFAST_DEFINITIONS_DIR")
    return len(load_definitions(Path(folder) if folder else None).offers)


@holdfast.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var"),
    show_default=True,
    help="Folder for the services' data.",
)
def up(data: Path) -> None:
    """Run Kafka, Redis and PostgreSQL on loopback until Ctrl-C, and print the settings to connect to them."""
    from console.embedded.up import run_until_stopped  # noqa: PLC0415 - needs the extra `local`, which a production worker has not

    sys.exit(run_until_stopped(data))


@holdfast.command()
def worker() -> None:
    """Run a worker until SIGTERM or Ctrl-C."""
    run()


@holdfast.command()
def deliver() -> None:
    """Deliver triggers by e-mail and webhooks until SIGTERM or Ctrl-C; see docs/delivery.md.

    For companies without a campaign system. HOLDFAST_DEFINITIONS_DIR has a file delivery.json with the channels to
    deliver.
    """
    run(run_delivery)


@holdfast.group()
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


@holdfast.group()
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


@holdfast.group()
def updates() -> None:
    """Announce that customers changed."""


@updates.command("publish")
@click.argument("customer_ids", nargs=-1, required=True)
def publish(customer_ids: tuple[str, ...]) -> None:
    """Publish an update of each customer, as the warehouse's producer does: the worker reads and evaluates them."""
    click.echo(f"published {publish_updates(load_settings(), customer_ids):,} updates")


holdfast.add_command(warehouse)
holdfast.add_command(segments)
holdfast.add_command(definitions)
holdfast.add_command(contracts)
holdfast.add_command(init)
holdfast.add_command(campaigns)
holdfast.add_command(customers)
holdfast.add_command(dead_letters)
holdfast.add_command(forget)
holdfast.add_command(prune)
holdfast.add_command(models)
holdfast.add_command(replay)
holdfast.add_command(train)
holdfast.add_command(show_status)
holdfast.add_command(doctor)
holdfast.add_command(timeline)
holdfast.add_command(backtest)
holdfast.add_command(what_if)


@holdfast.command()
@click.argument("customer_id")
@click.option("--recompute", is_flag=True, help="Make each decision again from its record, and compare.")
def explain(customer_id: str, recompute: bool) -> None:
    """Explain why a customer was contacted or not."""
    for line in describe_customer(explain_customer(load_settings(), customer_id, recomputes=recompute)):
        click.echo(line)


@holdfast.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help="Folder for the demo's data.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object last.")
@click.option("--keep", is_flag=True, help="Keep the services running and print commands to explore them.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2011-12-10",
    show_default=True,
    help="First day that is not replayed.",
)
def demo(data: Path, as_json: bool, keep: bool, until: datetime) -> None:
    """Replay half a year of a real retailer through real services; check that no trigger is lost or duplicated."""
    from console.demo.run import run_demo  # noqa: PLC0415 - needs the extra `local`, which a production worker has not

    sys.exit(run_demo(data, until=date(until.year, until.month, until.day), as_json=as_json, keep=keep))
