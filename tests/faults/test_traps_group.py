"""Group changes: workers fail at their first event, join, leave and are stopped, and topics get more partitions."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from psycopg import sql

from streams.settings import INPUT_TOPICS, LEADS_TOPIC
from tests.faults.oracle import compare, forget_dead_letters
from tests.faults.run import Run
from tests.faults.scenario import PARTITIONS, without_poison

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.embedded.services import EmbeddedServices, ServiceName
    from tests.faults.oracle import Outcome
    from tests.faults.run import World
    from tests.faults.scenario import InputRecord

ROUNDS = 5
GROWN = 6
BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_a_new_group_that_fails_with_its_first_event_loses_it_not(run: Run, undisturbed: Outcome) -> None:
    """A batch of one event fails with an unexpected error; then another worker starts."""
    run.send()
    crashed = run.start("in_transaction:1:crash", HOLDFAST_BATCH_EVENTS="1")
    assert crashed.wait() == 1, crashed.tail()
    assert run.committed() == 0
    run.start()
    assert compare(undisturbed, run.finish()).complaints == []


def test_a_customer_has_one_owner_on_all_topics(run: Run, undisturbed: Outcome) -> None:
    """With one, two and three workers: one worker owns a partition number on every topic."""
    for members, _ in enumerate(run.send_lots(3), start=1):
        run.start(instance=None)
        run.wait_for_members(members)
        owners = find_owners(run)
        assert sum(map(len, owners)) == PARTITIONS
        assert set().union(*owners) == set(range(PARTITIONS))
    assert compare(undisturbed, run.finish()).complaints == []


def find_owners(run: Run) -> list[set[int]]:
    """Return the partition numbers of each worker, after checking that they are the same on all topics."""
    owners = []
    for places in run.assignments():
        numbers = {place.partition for place in places}
        assert {(each.topic, each.partition) for each in places} == {
            (run.prefix + topic, number) for topic in INPUT_TOPICS if topic != LEADS_TOPIC for number in numbers
        }
        owners.append(numbers)
    return owners


def test_ten_rebalances_under_load_lose_and_double_nothing(run: Run, undisturbed: Outcome) -> None:
    """A second worker joins and leaves five times, each time while input is in flight."""
    lots = run.send_lots(2 * ROUNDS + 1)
    run.start(instance=None)
    next(lots)
    run.wait_until(lambda: min(count_claims(run), default=0) >= 1)
    for _ in range(ROUNDS):
        with claiming(run):
            next(lots)
            second = run.start(instance=None)
        with claiming(run):
            next(lots)
            second.signal(signal.SIGTERM)
        assert second.wait() in (0, -signal.SIGTERM), second.tail()
    assert compare(undisturbed, run.finish()).complaints == []


@contextmanager
def claiming(run: Run) -> Iterator[None]:
    """After the block, wait until every partition has been claimed again: the group has another generation."""
    before = count_claims(run)
    yield
    run.wait_until(lambda: all(now > then for now, then in zip(count_claims(run), before, strict=True)))


def count_claims(run: Run) -> list[int]:
    """Return the number of claims of each partition; partitions without claims are missing."""
    with psycopg.connect(run.ledger_url) as ledger:
        if ledger.execute("SELECT to_regclass('partition_owner')").fetchone() == (None,):
            return []
        claims = [epoch for (epoch,) in ledger.execute("SELECT epoch FROM partition_owner ORDER BY partition")]
    return claims if len(claims) == PARTITIONS else []


@pytest.mark.parametrize("service", ["postgres", "redis"])
def test_a_service_away_across_a_rebalance_costs_time_and_nothing_else(
    services: EmbeddedServices, run: Run, undisturbed: Outcome, service: ServiceName
) -> None:
    """One of two workers dies during the outage, and the other one gets its partitions.

    The outage is longer than the session timeout, which is 6 s here. A session timeout of 60 s would only need a
    longer outage: no other limit of the group is as long.
    """
    lots = run.send_lots(2)
    dying, _ = run.start(instance=None), run.start(instance=None)
    run.wait_for_members(2)
    run.wait_for(next(lots))
    services.stop_service(service)
    try:
        next(lots)
        dying.signal(signal.SIGKILL)
        run.wait_for_members(1)
    finally:
        services.start_service(service)
    assert compare(undisturbed, run.finish()).complaints == []


@pytest.mark.parametrize("table", ["customer_features_view", "membership"])
def test_a_worker_told_to_end_in_the_middle_of_a_slow_batch_loses_and_doubles_nothing(
    run: Run, undisturbed: Outcome, table: str
) -> None:
    """While it reads features or writes the ledger; it ends gracefully before the slow statement does."""
    lots = run.send_lots(2)
    slow = run.start()
    run.wait_for(next(lots) // 2)
    url = run.ledger_url if table == "membership" else run.world.warehouse_url
    with psycopg.connect(url) as database, psycopg.connect(url, autocommit=True) as watcher:
        database.execute(sql.SQL("LOCK TABLE {}").format(sql.Identifier(table)))
        next(lots)
        run.wait_until(lambda: watcher.execute(BLOCKED).fetchone() is not None)
        slow.signal(signal.SIGTERM)
        assert slow.wait() in (0, -signal.SIGTERM), slow.tail()
    assert run.committed() < len(run.records)
    run.start()
    assert compare(undisturbed, run.finish()).complaints == []


def test_topics_that_grow_under_a_worker_lose_and_double_nothing(
    world: World, records: Sequence[InputRecord], undisturbed: Outcome
) -> None:
    """From four partitions to six, in the middle of the input; customers move to other partitions.

    Guarantees: the worker discovers the new partitions (within METADATA_MAX_AGE_MS, half a second here), reads them
    from their beginning, and the decisions do not change. The order of events of a moved customer is kept if the group
    has read everything before producers use the new partitions, as here. A worker does not start while the partition
    counts of the topics differ.
    """
    sound = without_poison(records)
    half = len(sound) // 2
    moved = [replace(record, partition=number_of(record) % GROWN) for record in sound[half:]]
    with Run(world, [*sound[:half], *moved]) as run:
        lots = run.send_lots(2)
        sent = next(lots)
        run.start(HOLDFAST_FAUST_CONSUMER_METADATA_MAX_AGE_MS="500")
        run.wait_for(300)
        grow(run)
        run.wait_for(sent)
        next(lots)
        run.progress.partitions = GROWN
        outcome = run.finish()
    assert compare(forget_dead_letters(undisturbed), outcome).complaints == []


def number_of(record: InputRecord) -> int:
    """Return the customer number of a record."""
    return int((record.key or b"").removeprefix(b"c"))


def grow(run: Run) -> None:
    """Give every input topic more partitions."""
    client = AdminClient({"bootstrap.servers": run.world.endpoints.broker, "log_level": 0})
    asked = client.create_partitions([NewPartitions(run.prefix + topic, GROWN) for topic in INPUT_TOPICS])
    for answer in asked.values():
        answer.result()
    deadline = time.monotonic() + 20
    while {len(client.list_topics().topics[run.prefix + topic].partitions) for topic in INPUT_TOPICS} != {GROWN}:
        assert time.monotonic() < deadline, "the topics have not grown"
        time.sleep(0.05)
