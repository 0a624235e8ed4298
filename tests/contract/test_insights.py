"""The insights of the ledger, as batch jobs write them and workers read them, on the fake and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from campaigns.ports import LedgerFacts
from campaigns.postgres_erasure import PostgresErasure
from campaigns.postgres_insights import count_insights, write_insights
from campaigns.postgres_ledger import PostgresLedger
from features.insights import CLUSTER, RECOMMENDATIONS
from tests.builders import AS_OF
from tests.fakes.ledger import InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.ports import Ledger

LATER = AS_OF + timedelta(days=7)


async def read(ledger: Ledger, *kinds: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the insights of three customers."""
    return (await ledger.read(["ann", "bob", "cy"], [], facts=LedgerFacts(insights=kinds))).insights


async def test_workers_read_the_kinds_that_they_ask_for(ledger_url: str) -> None:
    written = {"ann": {CLUSTER: {"cluster": "c1"}, RECOMMENDATIONS: {"recommendations": []}}, "bob": {CLUSTER: {}}}
    memory, postgres = InMemoryLedger(), PostgresLedger(ledger_url)
    memory.insights = {name: dict(kinds) for name, kinds in written.items()}
    for kind in (CLUSTER, RECOMMENDATIONS):
        rows = [(name, kinds[kind]) for name, kinds in written.items() if kind in kinds]
        assert write_insights(ledger_url, kind, rows, at=AS_OF) == len(rows)
    await postgres.open()
    for kinds in ((), (CLUSTER,), (CLUSTER, RECOMMENDATIONS)):
        assert await read(memory, *kinds) == await read(postgres, *kinds)
    await postgres.close()


async def test_a_run_replaces_the_insights_of_earlier_runs(ledger_url: str) -> None:
    """Also of customers whom it does not see any more. A run that began earlier, and ends later, replaces nothing."""
    write_insights(ledger_url, CLUSTER, [("ann", {"cluster": "c1"}), ("bob", {"cluster": "c1"})], at=AS_OF)
    write_insights(ledger_url, CLUSTER, [("ann", {"cluster": "c2"})], at=LATER)
    assert write_insights(ledger_url, CLUSTER, [("ann", {"cluster": "c3"})], at=AS_OF) == 0
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    assert await read(ledger, CLUSTER) == {"ann": {CLUSTER: {"cluster": "c2"}}}
    await ledger.close()
    assert count_insights(ledger_url) == {CLUSTER: (1, LATER)}


def test_an_erased_customer_gets_no_insights(ledger_url: str) -> None:
    write_insights(ledger_url, CLUSTER, [("ann", {"cluster": "c1"})], at=AS_OF)
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        assert PostgresErasure(connection).erase(["ann"], by="sam", why="asked").rows["insight"] == 1
    assert write_insights(ledger_url, CLUSTER, [("ann", {}), ("bob", {})], at=LATER) == 1
