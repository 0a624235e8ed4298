"""The contract of re-evaluations in a ledger, run on the in-memory fake and on PostgreSQL."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.errors import ReevaluationError
from campaigns.ports import BatchChanges
from campaigns.postgres_ledger import PostgresLedger
from campaigns.postgres_reevaluations import open_reevaluations
from tests.builders import AS_OF, segment
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.reevaluations import InMemoryReevaluations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from campaigns.ports import Ledger, Reevaluations

OLD, NEW, OTHER = segment(), segment(rule={">": [{"var": "p"}, 5]}), segment("other")
VERSIONS = {"at-risk": NEW.version, "other": OTHER.version}


@dataclass
class Stores:
    """A worker's ledger, and the same for two commands."""

    ledger: Ledger
    one: Reevaluations
    two: Reevaluations


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """A ledger without customers."""
    if request.param == "memory":
        ledger = InMemoryLedger()
        await ledger.claim(3)
        both = InMemoryReevaluations(ledger)
        yield Stores(ledger, both, both)
        return
    url = request.getfixturevalue("ledger_url")
    postgres = PostgresLedger(url)
    await postgres.open()
    await postgres.claim(3)
    with ExitStack() as stack:
        one, two = (stack.enter_context(open_reevaluations(url)) for _ in range(2))
        yield Stores(postgres, one, two)
    await postgres.close()


async def evaluate(ledger: Ledger, segments: list[Any], *customers: str) -> None:
    """Let a worker record that customers were evaluated under the segments."""
    await ledger.activate(segments, [], at=AS_OF)
    await ledger.commit(BatchChanges(evaluated=customers), owners={3: 1})


async def test_customers_are_evaluated_under_exactly_the_versions_of_their_last_evaluation(stores: Stores) -> None:
    """Not under those of an earlier one, nor under some of them; an unknown customer is under none."""
    everybody = ["ann", "bob", "cy", "dora", "eve"]
    assert not stores.one.evaluated(everybody, VERSIONS)
    await evaluate(stores.ledger, [NEW, OTHER], "ann", "bob", "cy")
    await evaluate(stores.ledger, [OLD, OTHER], "bob")
    await evaluate(stores.ledger, [NEW], "dora")
    assert set(stores.one.evaluated(everybody, VERSIONS)) == {"ann", "cy"}
    assert set(stores.one.evaluated(everybody, {"other": OTHER.version, "at-risk": NEW.version})) == {"ann", "cy"}
    assert set(stores.one.evaluated(["cy"], VERSIONS)) == {"cy"}
    assert not stores.one.evaluated([], VERSIONS)


async def test_a_reevaluation_is_found_with_its_progress_until_it_is_complete(stores: Stores) -> None:
    """By the versions that it is for."""
    assert stores.one.find_unfinished("f00d") is None
    begun = stores.one.begin("r1", "f00d", as_of=AS_OF, by="olga")
    assert (begun.reevaluation_id, begun.fingerprint, begun.as_of, begun.actor) == ("r1", "f00d", AS_OF, "olga")
    assert (begun.last_customer_id, begun.customers, begun.done_at) == (None, 0, None)
    stores.one.begin("r2", "beef", as_of=AS_OF, by="ann")
    stores.one.advance("r1", last="bob", customers=250)
    stores.one.advance("r1", last="dora", customers=3)
    found = stores.two.find_unfinished("f00d")
    assert found is not None
    assert (found.reevaluation_id, found.last_customer_id, found.customers) == ("r1", "dora", 253)
    stores.two.finish("r1")
    assert stores.one.find_unfinished("f00d") is None
    other = stores.one.find_unfinished("beef")
    assert other is not None
    assert (other.reevaluation_id, other.customers) == ("r2", 0)


async def test_one_process_at_a_time_reevaluates(stores: Stores) -> None:
    with stores.one.alone(), pytest.raises(ReevaluationError, match="another process"), stores.two.alone():
        pass
    with stores.two.alone():
        pass
