"""Claiming customers who are due."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from campaigns.ports import BatchChanges
from streams.errors import BrokerUnavailableError
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.runtime.due_claims import FAR_BEHIND_S, DueClaims, DuePace
from streams.runtime.retry import RetryPolicy
from tests.builders import AS_OF, segment
from tests.fakes.due_customers import InMemoryDueCustomers
from tests.fakes.ledger import InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.ports import DueCustomer


@dataclass
class Place:
    """What a worker claims from, and what it requests."""

    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    now: int | None = 100
    behind: bool = False
    failures: int = 0
    requested: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.customers = InMemoryDueCustomers(self.ledger)
        self.metrics = Metrics()

    async def wait(self, due_times: Mapping[str, int]) -> None:
        """Store due times."""
        if not self.ledger.epochs:
            await self.ledger.activate([segment()], [], at=AS_OF)
            await self.ledger.claim(1)
        await self.ledger.commit(BatchChanges(evaluated=list(due_times), due_times=due_times), owners={1: 1})

    def claims(self, *, jumps: bool = False) -> DueClaims:
        """Return what a worker runs."""
        return DueClaims(
            self.customers,
            self.request,
            clock=self.tell_time,
            jumps=jumps,
            is_behind=lambda: self.behind,
            pace=DuePace(100, page=2),
            retry=RetryPolicy(Health(), first_pause_s=0),
            metrics=self.metrics,
        )

    async def tell_time(self) -> int | None:
        """Return the present time."""
        return self.now

    async def request(self, customers: Sequence[DueCustomer], _: int) -> None:
        """Note the requests."""
        self.failures -= 1
        if self.failures >= 0:
            raise BrokerUnavailableError("the broker is away")
        self.requested += [each.customer_id for each in customers]


@pytest.fixture
async def place() -> Place:
    """Three customers wait, two of whom are due."""
    place = Place()
    await place.wait({"ann": 90, "bob": 80, "cy": 103})
    return place


async def test_customers_are_requested_page_by_page_at_the_rate(place: Place) -> None:
    """When none is due any more, until the next one is, but not for long."""
    await place.wait({"dora": 99})
    claims = place.claims()
    pauses = [await claims.claim_page() for _ in range(3)]
    assert place.requested == ["bob", "ann", "dora"]
    assert pauses == [0.02, 0.01, 3]
    place.ledger.customers.clear()
    assert await claims.claim_page() == 5


async def test_a_worker_that_is_behind_claims_none(place: Place) -> None:
    place.behind = True
    assert await place.claims().claim_page() == 1
    assert place.requested == []


async def test_requests_that_the_broker_did_not_take_are_published_again(place: Place) -> None:
    place.failures = 2
    await place.claims().claim_page()
    assert place.requested == ["bob", "ann"]


async def test_without_a_time_none_is_due(place: Place) -> None:
    """Before the first event, where the time is that of events."""
    place.now = None
    await place.claims(jumps=True).claim_page()
    assert place.customers.calls == 0


async def test_where_time_stands_the_ledger_is_left_alone(place: Place) -> None:
    claims = place.claims(jumps=True)
    for _ in range(9):
        await claims.claim_page()
    assert place.customers.calls == 3  # a page, none, and when the next is due
    place.now = 103
    await claims.claim_page()
    assert place.requested == ["bob", "ann", "cy"]


async def test_customers_who_wait_for_long_show(place: Place) -> None:
    claims = place.claims()
    await claims.claim_page()
    assert (claims.overdue_s, claims.describe()) == (20, [])
    place.now, place.behind = 103 + FAR_BEHIND_S, True
    await claims.claim_page()
    assert claims.overdue_s == FAR_BEHIND_S
    assert "the first has waited for 600 s" in claims.describe()[0]
