"""The `holdfast` command. Each of its commands has a module, which is imported when the command is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import click
import psycopg

from console.cli.exit_codes import INTERRUPTED, REFUSED
from console.errors import FOR_PEOPLE

COMMANDS = {
    "analytics": "console.cli.analytics:analytics",
    "backtest": "console.cli.backtest:backtest",
    "campaigns": "console.cli.campaigns:campaigns",
    "clusters": "console.cli.clusters:clusters",
    "console": "console.cli.console:console",
    "contracts": "console.cli.contracts:contracts",
    "customers": "console.cli.customers:customers",
    "dead-letters": "console.cli.dead_letters:dead_letters",
    "definitions": "console.cli.definitions:definitions",
    "deliver": "console.cli.delivery:deliver",
    "demo": "console.cli.local:demo",
    "doctor": "console.cli.doctor:doctor",
    "explain": "console.cli.explain:explain",
    "forget": "console.cli.retention:forget",
    "init": "console.cli.warehouse:init",
    "leads": "console.cli.leads:leads",
    "ledger": "console.cli.ledger:ledger",
    "messages": "console.cli.messages:messages",
    "models": "console.models:models",
    "predict": "console.cli.predict:predict",
    "prune": "console.cli.retention:prune",
    "recommend": "console.cli.recommend:recommend",
    "replay": "console.cli.replay:replay",
    "search": "console.cli.search:search",
    "segments": "console.cli.segments:segments",
    "similar": "console.cli.clusters:similar",
    "status": "console.cli.status:show_status",
    "timeline": "console.cli.timeline:timeline",
    "topics": "console.cli.topics:topics",
    "train": "console.cli.train:train",
    "up": "console.cli.local:up",
    "updates": "console.cli.updates:updates",
    "voice": "console.cli.voice:voice",
    "warehouse": "console.cli.warehouse:warehouse",
    "what-if": "console.cli.what_if:what_if",
    "worker": "console.cli.worker:worker",
}
"""Where each command is: module and name."""


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


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, imported when they are looked up.

    Args:
        places: module and name of each command.
    """

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._commands: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._commands:
            module, _, attribute = self._places[name].partition(":")
            self._commands[name] = getattr(import_module(module), attribute)
        return self._commands[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places[name], self._commands[name] = "", command

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class _Interruptible(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C gives one sentence and exit code 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("holdfast: interrupted", err=True)
            sys.exit(INTERRUPTED)


@click.group(
    cls=_Interruptible, commands=LazyCommands(COMMANDS), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="holdfast")
def holdfast() -> None:
    """Decide on a stream of events which customers to contact, and explain every decision."""
