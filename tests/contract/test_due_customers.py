"""The contract of due customers, run on the in-memory fake and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.ports import BatchChanges, DueCustomer
from campaigns.postgres_due_customers import PostgresDueCustomers
from campaigns.postgres_ledger import PostgresLedger
from tests.builders import AS_OF, segment, transition
from tests.examples import examples
from tests.fakes.due_customers import InMemoryDueCustomers
from tests.fakes.ledger import InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from campaigns.ports import DueCustomers, Ledger

OWNED = {3: 1}
NAMES = ("ann", "bob", "cy", "dora")
# Never two customers at one time: which of them a claim of one returns is left open.
DUE = st.fixed_dictionaries({}, optional={name: st.integers(1, 9) | st.none() for name in NAMES})
STEPS = st.lists(
    st.tuples(st.just("evaluate"), DUE, st.booleans())
    | st.tuples(st.just("claim"), st.integers(0, 99), st.integers(1, 3), st.sampled_from([0.0, 60.0]))
    | st.tuples(st.just("look")),
    max_size=12,
)
LEASE_S = 60.0


@dataclass
class Stores:
    """A worker's ledger, and its due customers for two workers."""

    ledger: Ledger
    one: DueCustomers
    two: DueCustomers

    async def evaluate(self, due_times: Mapping[str, int | None], *, first: bool = True) -> None:
        """Let a worker commit due times, of customers evaluated for the first time or not."""
        evaluated = list(due_times) if first else []
        await self.ledger.commit(BatchChanges(evaluated=evaluated, due_times=due_times), owners=OWNED)

    async def due_times(self, *customer_ids: str) -> Mapping[str, int]:
        """Return what a batch reads."""
        return (await self.ledger.read(customer_ids, [])).due_times


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """A ledger without customers."""
    if request.param == "memory":
        ledger = InMemoryLedger()
        await prepare(ledger)
        both = InMemoryDueCustomers(ledger)
        yield Stores(ledger, both, both)
        return
    url = request.getfixturevalue("ledger_url")
    postgres, one, two = PostgresLedger(url), PostgresDueCustomers(url), PostgresDueCustomers(url)
    for each in (postgres, one, two):
        await each.open()
    await prepare(postgres)
    yield Stores(postgres, one, two)
    for each in (postgres, one, two):
        await each.close()


async def prepare(ledger: Ledger) -> None:
    """Activate a segment and claim a partition."""
    await ledger.activate([segment()], [], at=AS_OF)
    await ledger.claim(3)


async def test_two_workers_have_one_clock(stores: Stores) -> None:
    """Their own clocks may be wrong."""
    one, two = await stores.one.now(), await stores.two.now()
    assert 0 <= two - one <= LEASE_S
    assert one > AS_OF.timestamp()


async def test_a_due_time_is_read_with_the_customer(stores: Stores) -> None:
    """As 0 where there is none; unknown customers have none. Later ones replace it, None clears it."""
    await stores.evaluate({"ann": 100, "bob": None})
    assert await stores.due_times("ann", "bob", "cy") == {"ann": 100, "bob": 0}
    await stores.evaluate({"ann": 50, "bob": 70}, first=False)
    assert await stores.due_times("ann", "bob") == {"ann": 50, "bob": 70}
    await stores.evaluate({"ann": None}, first=False)
    assert await stores.due_times("ann", "bob") == {"ann": 0, "bob": 70}


async def test_another_version_leaves_the_due_time_unless_the_batch_gives_one(stores: Stores) -> None:
    await stores.evaluate({"ann": 100, "bob": 100})
    await stores.ledger.activate([segment(rule={">": [{"var": "p"}, 5]})], [], at=AS_OF)
    await stores.ledger.commit(BatchChanges(evaluated=["ann", "bob"], due_times={"bob": 80}), owners=OWNED)
    assert await stores.due_times("ann", "bob") == {"ann": 100, "bob": 80}


async def test_the_latest_transition_of_all_customers_is_known(stores: Stores) -> None:
    """It stands for the event time in a worker that has just started."""
    assert await stores.one.last_transition() is None
    later = AS_OF + timedelta(hours=1, milliseconds=700)
    for at, change in ((AS_OF, transition()), (later, transition("bob")), (AS_OF, transition("cy"))):
        moved = BatchChanges(transitions=[change], transitions_at={change.customer_id: at})
        await stores.ledger.commit(moved, owners=OWNED)
    assert await stores.one.last_transition() == int(later.timestamp())


async def test_a_customer_who_is_not_known_is_never_due(stores: Stores) -> None:
    """Nor does a due time bring back a customer who was erased."""
    await stores.evaluate({"ann": 100}, first=False)
    assert await stores.due_times("ann") == {}
    assert await stores.one.claim(200, limit=9, lease_s=LEASE_S) == []


async def test_those_due_are_claimed_once_the_longest_due_first(stores: Stores) -> None:
    await stores.evaluate({"ann": 30, "bob": 10, "cy": 20, "dora": 40, "eve": None})
    assert await stores.one.next_due() == 10
    assert await stores.one.claim(30, limit=2, lease_s=LEASE_S) == [DueCustomer("bob", 10), DueCustomer("cy", 20)]
    assert await stores.two.next_due() == 30
    assert await stores.two.claim(30, limit=9, lease_s=LEASE_S) == [DueCustomer("ann", 30)]
    assert await stores.two.claim(30, limit=9, lease_s=LEASE_S) == []
    assert await stores.one.next_due() == 40


async def test_two_who_claim_at_once_share_the_customers(stores: Stores) -> None:
    names = [f"c{number:03}" for number in range(200)]
    await stores.evaluate(dict.fromkeys(names, 10))
    claims = [each.claim(10, limit=30, lease_s=LEASE_S) for each in (stores.one, stores.two) * 4]
    claimed = [each.customer_id for page in await asyncio.gather(*claims) for each in page]
    rest = [each.customer_id for each in await stores.one.claim(10, limit=999, lease_s=LEASE_S)]
    assert sorted([*claimed, *rest]) == names


async def test_a_claim_ends_with_the_lease_or_with_another_due_time(stores: Stores) -> None:
    await stores.evaluate({"ann": 10, "bob": 10})
    assert len(await stores.one.claim(10, limit=9, lease_s=0.0)) == 2
    assert len(await stores.two.claim(10, limit=9, lease_s=LEASE_S)) == 2
    await stores.evaluate({"ann": 15}, first=False)
    assert await stores.one.claim(20, limit=9, lease_s=LEASE_S) == [DueCustomer("ann", 15)]
    await stores.evaluate({"bob": 16})
    assert await stores.one.claim(20, limit=9, lease_s=LEASE_S) == [DueCustomer("bob", 16)]


def test_any_evaluations_and_claims_have_the_same_effect_in_both(ledger_url: str) -> None:
    """Whatever is evaluated, claimed, claimed again, or given no due time, in any order."""
    with asyncio.Runner() as runner:
        memory, postgres = InMemoryLedger(), PostgresLedger(ledger_url)
        both = [Stores(memory, fake := InMemoryDueCustomers(memory), fake)]
        both.append(Stores(postgres, found := PostgresDueCustomers(ledger_url), found))

        async def begin() -> None:
            await postgres.open()
            await found.open()
            await prepare(memory)
            await prepare(postgres)

        async def end() -> None:
            await found.close()
            await postgres.close()

        @examples(60)
        @given(steps=STEPS)
        def compare(steps: list[tuple[Any, ...]]) -> None:
            for step in [("evaluate", dict.fromkeys(NAMES), True), *steps]:
                in_memory, in_postgres = (runner.run(take(step, each)) for each in both)
                assert in_memory == in_postgres, step

        runner.run(begin())
        try:
            compare()
        finally:
            runner.run(end())


async def take(step: tuple[Any, ...], stores: Stores) -> object:
    """Take a step, and return what it shows."""
    match step:
        case ("evaluate", due_times, first):
            spread = {name: due and 10 * due + NAMES.index(name) for name, due in due_times.items()}
            await stores.evaluate(spread, first=first)
            return await stores.due_times(*NAMES)
        case ("claim", now, limit, lease_s):
            return await stores.one.claim(now, limit=limit, lease_s=lease_s)
        case _:
            return await stores.one.next_due()
