"""Events that arrive late or again never let time go back for a customer: on the fake ledger and on PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from campaigns.candidates import Definitions
from campaigns.ports import BatchChanges, LedgerFacts
from campaigns.postgres_ledger import PostgresLedger
from features.store import FeatureStore
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from segments.definition import build_segment
from streams.decision_config import DecisionConfig
from streams.pipeline import Pipeline
from tests.builders import campaign, offers, transition
from tests.examples import examples
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import arrive, body, decode_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from campaigns.ports import Ledger
    from segments.engine import Episode, Transition

SCORERS = load_scorers(Path(), FEATURE_MAPPING, mock=True)
BEGIN = datetime(2011, 6, 1, tzinfo=UTC)
SILENT_DAYS = {"time.days_since": [{"var": "last_order_at"}]}
RULES: dict[str, Any] = {
    "lapsed": {">=": [SILENT_DAYS, 30]},
    "lapsing": {"and": [{">=": [SILENT_DAYS, 30]}, {"<": [SILENT_DAYS, 60]}]},
    "called": {">": [{"var": "message_count_30d"}, 0]},
    "talked": {">": [{"var": "message_count"}, 0]},
}
CAMPAIGNS = [campaign(key="to-talkers", segment="talked")]
SEGMENTS = [build_segment({"key": key, "name": key, "rule": rule}, where="test") for key, rule in RULES.items()]
KINDS: Any = {"last_order_at": "other", "customer_since": "other"}
BATCHES = st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=3), max_size=8)
"""Days after the last order, in the order of delivery, by batch."""
LAST_DAY = 200
ARRIVAL_MS = int((BEGIN + timedelta(days=LAST_DAY)).timestamp() * 1000)


@dataclass
class Place:
    """A worker over a ledger, with a warehouse in which customers have ordered once, at the beginning."""

    ledger: Ledger
    warehouse: InMemoryWarehouse
    pipeline: Pipeline

    @classmethod
    async def begin(cls, ledger: Ledger) -> Place:
        """Put the segments into force."""
        activations = await ledger.activate(SEGMENTS, CAMPAIGNS, at=BEGIN - timedelta(days=1))
        versions = {each.key: each.version for each in SEGMENTS}
        config = DecisionConfig(
            SCORERS, SEGMENTS, activations, Definitions(CAMPAIGNS, offers(), SCORERS.versions, versions)
        )
        warehouse = InMemoryWarehouse(KINDS)
        store = FeatureStore(warehouse, InMemoryFeatureCache(), generation=1)
        return cls(ledger, warehouse, Pipeline(store, ledger, config, decode=decode_batch))

    async def deliver(self, customer: str, days: Sequence[int], **more: Any) -> None:
        """Decide events of a customer, of so many days after the order, in one batch."""
        self.warehouse.rows.setdefault(
            customer, {"last_order_at": BEGIN.isoformat(), "customer_since": BEGIN.isoformat()}
        )
        times = [(BEGIN + timedelta(days=each)).isoformat() for each in days]
        bodies = [body(id=f"e{at}", customer_id=customer, occurred_at=at, **more) for at in times]
        records = [arrive(each, offset=place, timestamp=ARRIVAL_MS) for place, each in enumerate(bodies)]
        owners = {1: await self.ledger.claim(1)}
        await self.pipeline.decide(await self.pipeline.prepare(records), owners)

    async def episodes(self, customer: str) -> Mapping[str, Episode]:
        """Return the latest episode of each segment."""
        return (await self.ledger.read([customer], [])).memberships[customer].members


@asynccontextmanager
async def open_ledger(kind: str, url: str) -> AsyncIterator[Ledger]:
    """Lend an empty ledger of a kind."""
    if kind == "memory":
        yield InMemoryLedger()
        return
    postgres = PostgresLedger(url)
    await postgres.open()
    yield postgres
    await postgres.close()


def move_of(segment: str, customer: str = "ann", *, entered: bool = True) -> Transition:
    """Return a transition of a customer."""
    return structs.replace(transition(customer, entered=entered), segment=segment)


KIND = pytest.mark.parametrize("kind", ["memory", "postgres"])


@KIND
def test_each_episode_that_time_begins_begins_once_in_any_order_of_events(kind: str, ledger_url: str) -> None:
    """However late and however often the events are delivered, and in whatever batches."""
    customers = map("c{}".format, count())
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        ledger = runner.run(stack.enter_async_context(open_ledger(kind, ledger_url)))
        place = runner.run(Place.begin(ledger))

        @examples(60)
        @given(batches=BATCHES)
        def deliver(batches: list[list[int]]) -> None:
            customer = next(customers)
            for days in [*batches, [LAST_DAY]]:
                runner.run(place.deliver(customer, days))
            found = runner.run(place.episodes(customer))
            assert (found["lapsed"].number, found["lapsed"].is_member) == (1, True)
            if "lapsing" in found:
                assert (found["lapsing"].number, found["lapsing"].is_member) == (1, False)

        try:
            deliver()
        finally:
            runner.run(stack.aclose())


@KIND
async def test_a_window_of_conversations_that_has_passed_stays_so(kind: str, ledger_url: str) -> None:
    """The message left the window, which an older event must not bring back."""
    async with open_ledger(kind, ledger_url) as ledger:
        place = await Place.begin(ledger)
        said = {"type": "conversation.message", "role": "customer", "text": "hello"}
        await place.deliver("ann", [0], **said)
        for days in ([50], [10], [50]):
            await place.deliver("ann", days)
        assert (await place.episodes("ann"))["called"].number == 1


async def test_a_decision_is_dated_at_its_event_although_the_customer_is_evaluated_as_of_later() -> None:
    """So limits and breakers, whose contacts are read around the event, count those that matter."""
    ledger = InMemoryLedger()
    place = await Place.begin(ledger)
    await place.deliver("ann", [50])
    await place.deliver("ann", [40], type="conversation.message", role="customer", text="hello")
    (decision,) = ledger.customers["ann"].decisions.values()
    assert decision.candidate.as_of == BEGIN + timedelta(days=40)
    assert ledger.customers["ann"].transitions_at["talked", "entered"] == BEGIN + timedelta(days=50)


@KIND
async def test_the_latest_transition_is_read_where_it_is_asked_for(kind: str, ledger_url: str) -> None:
    """Of all segments; none of the future, where a wrong clock would hold the customer; unknown customers have none."""
    async with open_ledger(kind, ledger_url) as ledger:
        await ledger.activate(SEGMENTS, [], at=BEGIN)
        owners = {3: await ledger.claim(3)}
        future = datetime.now(UTC) + timedelta(days=1)

        async def move(change: Transition, at: datetime) -> None:
            changes = BatchChanges(transitions=[change], transitions_at={change.customer_id: at}, evaluated=["ann"])
            await ledger.commit(changes, owners=owners)

        async def last() -> Mapping[str, datetime]:
            return (
                await ledger.read(["ann", "bob", "cy"], [], facts=LedgerFacts(last_transitions=True))
            ).last_transitions

        await move(move_of("lapsed"), BEGIN + timedelta(days=2))
        await move(move_of("called"), BEGIN)
        await move(move_of("called", "bob"), future)
        assert await last() == {"ann": BEGIN + timedelta(days=2)}
        await move(move_of("called", entered=False), BEGIN + timedelta(days=3))
        assert await last() == {"ann": BEGIN + timedelta(days=3)}
        await move(move_of("called", entered=False), future)
        assert await last() == {"ann": BEGIN + timedelta(days=2)}
        assert (await ledger.read(["ann"], [])).last_transitions == {}
