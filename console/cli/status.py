"""`holdfast status`: the present state of a deployment, once or as a live view."""

from __future__ import annotations

import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import msgspec
from rich.live import Live

from console.status_view import render_status, status_object
from console.tables import open_console
from console.use_cases.status import TIMEOUT_S, read_status
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.use_cases.status import Status
    from streams.settings import Settings

ATTENTION = 1


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--watch", is_flag=True, help="Refresh until q or Ctrl-C. Without a terminal it is printed once.")
@click.option(
    "--every",
    type=click.FloatRange(0.5, 3_600),
    default=2.0,
    show_default=True,
    help="Seconds between two looks of --watch.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=TIMEOUT_S,
    show_default=True,
    help="Longest wait for any part, in seconds.",
)
def show_status(as_json: bool, watch: bool, every: float, timeout: float) -> None:
    """Show services, workers, lag, rate, outbox, dead letters, models, stopped campaigns and definitions.

    A service that is away costs its own lines only. Exit code 0 if all is fine, 1 if something needs attention.
    """
    if as_json and watch:
        raise click.UsageError("--watch is a view for people; leave out --json or --watch")
    settings = load_settings()
    if watch and sys.stdin.isatty() and sys.stdout.isatty():
        status = _watch(settings, every, timeout)
    else:
        status = read_status(settings, timeout_s=timeout)
        if as_json:
            click.echo(msgspec.json.encode(status_object(status)))
        else:
            open_console().print(render_status(status))
    sys.exit(ATTENTION if status.attention else 0)


def _watch(settings: Settings, every: float, timeout: float) -> Status:
    """Show a look after another until q or Ctrl-C, and return the last one."""
    status = read_status(settings, timeout_s=timeout)
    with _reading_keys(), Live(console=open_console(), screen=True, auto_refresh=False) as live:
        try:
            live.update(render_status(status), refresh=True)
            while not _quits_within(every):
                status = read_status(settings, former=status.marks, timeout_s=timeout)
                live.update(render_status(status), refresh=True)
        except KeyboardInterrupt:
            pass  # the end that was asked for
    return status


@contextmanager
def _reading_keys() -> Iterator[None]:
    """Let the terminal give each key at once, without showing it."""
    former = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, former)


def _quits_within(seconds: float) -> bool:
    """Return whether q is pressed within so many seconds, or the input ends."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready) and sys.stdin.read(1) in {"q", "Q", ""}
