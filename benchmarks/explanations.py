"""Measures `holdfast explain` and `timeline` on a large ledger: `python -m benchmarks.explanations [--decisions N]`.

Starts its own services and fills a ledger with 10,000,000 decisions, ten of each customer, of which four are contacts;
that takes some 10 GB. Measured, for some customers across the ledger, after one as a warm-up: the queries of the
command, the use case from connecting to its value (definitions and models included), and the whole command with
Python's start and imports. The last line is a JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import psycopg

from benchmarks.machine import describe
from benchmarks.peers import ROOT
from campaigns.migrations import migrate
from campaigns.postgres_ledger import PostgresLedger
from console.embedded.services import EmbeddedServices
from console.use_cases.explanations import explain_customer
from console.use_cases.timelines import find_timeline
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from console.embedded.services import Endpoints

PER_CUSTOMER = 10
MEASURED = 50
COMMANDS = 3
PAGE = 1_000_000
TARGET_MS = 100.0
DECISIONS = """
INSERT INTO decision (customer_id, decision_id, campaign, segment, occasion, outcome, reason, detail, event_id, as_of,
                      facts, versions, net_value, inputs)
SELECT 'customer-' || n / 10, md5(n::text)::uuid, 'win-back', 'lapsing', (n %% 10 + 1)::text,
       CASE WHEN n %% 10 < 4 THEN 'fired' ELSE 'withheld' END,
       CASE WHEN n %% 10 < 4 THEN 'entered_segment' ELSE 'cooldown' END,
       'contacted in the last 30 days', 'event-' || n, timestamptz '2024-01-01' + n %% 10 * interval '31 days',
       jsonb_build_object(
           'days_since_last_transaction', n %% 400, 'total_revenue', n %% 5000, 'transaction_count', n %% 40,
           'churn_probability', (n %% 1000) / 1000.0, 'churn_risk', 'high', 'decision_basis', 'model',
           'predicted_ltv', n %% 9000, 'value_segment', 'medium', 'email_consent', true, 'preferred_channel', 'email'),
       '{"churn": "churn-20260301", "campaign": "c0ffee", "segment": "f00d", "ltv": "rules", "nbo": "rules"}', 12.5,
       '{"received_ms": 1700000000000, "scores": {"2": 0.25}}'
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
CONTACTS = """
INSERT INTO contact (customer_id, trigger_id, campaign, channel, variant, offer_id, status, decided_at, propensity)
SELECT customer_id, decision_id, campaign, 'email', 'treatment', 2, 'delivered', as_of, 1
  FROM decision WHERE outcome = 'fired'
"""
CUSTOMERS = """
CREATE TABLE customer_features_view (
    customer_id text PRIMARY KEY, days_since_last_transaction integer, total_revenue double precision,
    transaction_count integer, avg_transaction_value double precision, lifetime_value double precision,
    email_consent boolean, sms_consent boolean, push_consent boolean, preferred_channel text, tenure_days integer)
"""
ROWS = """
INSERT INTO customer_features_view
SELECT id, 90, 900, 5, 45, 900, true, true, true, 'email', 700 FROM unnest(%s::text[]) AS t (id)
"""


def fill(endpoints: Endpoints, decisions: int, customers: Sequence[str]) -> None:
    """Write the decisions, and a row of the warehouse for each customer that is asked for."""
    migrate(endpoints.ledger_url)
    with psycopg.connect(endpoints.ledger_url, autocommit=True) as ledger:
        for first in range(0, decisions, PAGE):
            ledger.execute(DECISIONS.encode(), {"first": first, "last": min(first + PAGE, decisions) - 1})
        ledger.execute(CONTACTS.encode())
        ledger.execute(b"VACUUM ANALYZE")
    with psycopg.connect(endpoints.warehouse_url) as warehouse:
        warehouse.execute(CUSTOMERS.encode())
        warehouse.execute(ROWS.encode(), [list(customers)])


def time_each(measured: Callable[[str], object], customers: Sequence[str]) -> dict[str, float]:
    """Return quantiles in milliseconds, the first customer left out."""
    taken = []
    for customer in customers:
        begin = time.perf_counter()
        measured(customer)
        taken.append(1000 * (time.perf_counter() - begin))
    return {f"p{each}": round(float(np.quantile(taken[1:], each / 100)), 1) for each in (50, 99)}


async def time_queries(url: str, customers: Sequence[str]) -> dict[str, float]:
    """Return quantiles in milliseconds of the queries of `explain` on an open connection."""
    ledger, taken = PostgresLedger(url), []
    await ledger.open()
    for customer in customers:
        begin = time.perf_counter()
        found = await ledger.decisions_of(customer)
        await ledger.memberships_of(customer)
        await ledger.consent_history(customer)
        await ledger.feedback_of(customer)
        taken.append(1000 * (time.perf_counter() - begin))
        assert len(found) == PER_CUSTOMER  # noqa: S101 - a benchmark of nothing would be fast
    await ledger.close()
    return {f"p{each}": round(float(np.quantile(taken[1:], each / 100)), 1) for each in (50, 99)}


def run_command(environment: dict[str, str], command: str, customer: str) -> None:
    """Run a command to its end."""
    words = [sys.executable, "-m", "console", command, customer]
    subprocess.run(words, cwd=ROOT, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own


@click.command()
@click.option("--decisions", default=10_000_000, show_default=True, help="Decisions in the ledger.")
def main(decisions: int) -> None:
    """Fill a ledger and time the commands."""
    step = max(decisions // PER_CUSTOMER // MEASURED, 1)
    customers = [f"customer-{number * step}" for number in range(MEASURED)]
    with tempfile.TemporaryDirectory() as folder, EmbeddedServices(Path(folder)) as services:
        endpoints = services.start()
        fill(endpoints, decisions, customers)
        environment = endpoints.as_environment()
        os.environ.update(environment)
        settings = Settings()
        result: dict[str, Any] = {
            "machine": describe(),
            "decisions": decisions,
            "queries_ms": asyncio.run(time_queries(endpoints.ledger_url, customers)),
            "explain_ms": time_each(lambda each: explain_customer(settings, each), customers),
            "timeline_ms": time_each(lambda each: find_timeline(settings, each, since=None, limit=100), customers),
            "command_ms": {
                command: time_each(partial(run_command, environment, command), customers[:COMMANDS])
                for command in ("explain", "timeline")
            },
            "target_ms": TARGET_MS,
        }
    click.echo(json.dumps(result))


if __name__ == "__main__":
    main()
