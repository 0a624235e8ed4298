"""`holdfast deliver`: send triggers."""

from __future__ import annotations

import click

from delivery.services import run_delivery
from streams.__main__ import run


@click.command()
def deliver() -> None:
    """Deliver triggers by e-mail and webhooks until SIGTERM or Ctrl-C; see docs/delivery.md.

    For companies without a campaign system. HOLDFAST_DEFINITIONS_DIR has a file delivery.json with the channels to
    deliver.
    """
    run(run_delivery)
