"""`holdfast explain`: why a customer was contacted or not."""

from __future__ import annotations

import click

from console.explanation_views import describe_customer
from console.use_cases.explanations import explain_customer
from streams.settings import load_settings


@click.command()
@click.argument("customer_id")
@click.option("--recompute", is_flag=True, help="Make each decision again from its record, and compare.")
def explain(customer_id: str, recompute: bool) -> None:
    """Explain why a customer was contacted or not."""
    for line in describe_customer(explain_customer(load_settings(), customer_id, recomputes=recompute)):
        click.echo(line)
