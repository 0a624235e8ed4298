"""`holdfast worker`: decide events."""

from __future__ import annotations

import click

from streams.__main__ import run


@click.command()
def worker() -> None:
    """Run a worker until SIGTERM or Ctrl-C."""
    run()
