"""Customers whom only time moves end in the segments that the rules give, with one trigger, whatever the delivery."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.candidates import Definitions
from campaigns.decide import Outcome
from features.store import FeatureStore
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from segments.definition import build_segment
from streams.decision_config import DecisionConfig
from streams.due_customers import DAY_S, Timing
from streams.pipeline import Pipeline
from tests.builders import campaign, offers
from tests.fakes.due_customers import InMemoryDueCustomers
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import arrive, body, decode_batch

if TYPE_CHECKING:
    from campaigns.ports import DueCustomer

SETTINGS = settings(derandomize=True, deadline=None, max_examples=100)
SCORERS = load_scorers(Path(), FEATURE_MAPPING, mock=True)
BEGIN = int(datetime(2011, 6, 1, tzinfo=UTC).timestamp())
CUSTOMERS = ("ann", "bob")
LAPSED = 10
RFM_COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")
KINDS: Any = {"email_consent": "boolean", **dict.fromkeys(RFM_COLUMNS, "number")}
SEGMENT = build_segment(
    {"key": "at-risk", "name": "At Risk", "rule": {">": [{"var": "days_since_last_transaction"}, LAPSED]}}, where="test"
)
CAMPAIGNS = [campaign(cooldown_days=0)]


@dataclass
class Place:
    """A worker over stores in memory, and a warehouse in which days pass."""

    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    now: int = BEGIN
    ordered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CUSTOMERS, BEGIN))
    sent: int = 0

    async def start(self) -> None:
        """Put the segment into force."""
        row = {"email_consent": True, **dict.fromkeys(RFM_COLUMNS, 5.0)}
        self.warehouse = InMemoryWarehouse(KINDS, {name: dict(row) for name in CUSTOMERS})
        self.customers = InMemoryDueCustomers(self.ledger)
        at = datetime.fromtimestamp(BEGIN, UTC)
        activations = await self.ledger.activate([SEGMENT], CAMPAIGNS, at=at)
        definitions = Definitions(CAMPAIGNS, offers(), SCORERS.versions, {SEGMENT.key: SEGMENT.version})
        config = DecisionConfig(SCORERS, [SEGMENT], activations, definitions, Timing(recheck_s=0))
        store = FeatureStore(self.warehouse, InMemoryFeatureCache(), generation=1)
        self.pipeline = Pipeline(store, self.ledger, config, decode=decode_batch)

    def pass_time(self, seconds: int) -> None:
        """Let the view show the days as of a later time."""
        self.now += seconds
        for name, row in self.warehouse.rows.items():
            row["days_since_last_transaction"] = float(self.now // DAY_S - self.ordered[name] // DAY_S)

    async def decide(self, *bodies: dict[str, Any], again: int = 0) -> None:
        """Decide a batch as often as it is delivered."""
        self.sent += 1
        records = [arrive(each, offset=self.sent, timestamp=self.now * 1000) for each in bodies]
        for _ in range(1 + again):
            owners = {1: await self.ledger.claim(1)}
            await self.pipeline.decide(await self.pipeline.prepare(records), owners)

    def event(self, customer: str, **more: Any) -> dict[str, Any]:
        """Return an event of this moment."""
        self.sent += 1
        at = datetime.fromtimestamp(self.now, UTC).isoformat()
        return body(**{"id": f"e{self.sent}", "customer_id": customer, "occurred_at": at, **more})

    def request(self, due: DueCustomer) -> dict[str, Any]:
        """Return what a worker publishes for a customer who is due."""
        name = f"due-{due.due_at}-{due.customer_id}"
        return self.event(due.customer_id, id=name, type="evaluation.requested", reason="due")


ORDER, SAID, CLAIM, CRASH = "order", "said", "claim", "crash"
STEPS = st.lists(
    st.tuples(
        st.sampled_from([ORDER, SAID, CLAIM, CLAIM, CRASH]),
        st.sampled_from(CUSTOMERS),
        st.sampled_from([0, 3600, DAY_S, 4 * DAY_S, 11 * DAY_S]),
        st.integers(0, 2),
    ),
    max_size=8,
)


async def take(place: Place, step: tuple[str, str, int, int]) -> None:
    """Let time pass, and something happen."""
    what, customer, seconds, again = step
    place.pass_time(seconds)
    if what == ORDER:
        place.ordered[customer] = place.now
        place.pass_time(0)
        await place.decide(place.event(customer), again=again)
    elif what == SAID:
        said = {"type": "conversation.message", "role": "customer", "text": "hello"}
        await place.decide(place.event(customer, **said), again=again)
    else:
        claimed = await place.customers.claim(place.now, limit=9, lease_s=60)
        if claimed and what == CLAIM:
            await place.decide(*map(place.request, claimed), again=again)
        place.customers.end_leases()


@SETTINGS
@given(STEPS)
def test_at_last_the_silent_are_members_with_one_trigger_for_each_lapse(steps: list[tuple[str, str, int, int]]) -> None:
    """Messages read the cached row; workers crash between claim and request; requests and events come again."""

    async def run() -> Place:
        place = Place()
        await place.start()
        await place.decide(*(place.event(each) for each in CUSTOMERS))
        for step in [*steps, (CLAIM, "ann", 30 * DAY_S, 0)]:
            await take(place, step)
        return place

    place = asyncio.run(run())
    assert not place.ledger.letters
    for name in CUSTOMERS:
        customer = place.ledger.customers[name]
        episode = customer.episodes[SEGMENT.key]
        fired = Counter(each.outcome for each in customer.decisions.values())
        assert episode.is_member
        assert fired == {Outcome.FIRED: episode.number}
        assert customer.due_at is None


def test_a_customer_who_has_left_the_warehouse_is_not_asked_for_in_a_loop() -> None:
    """Nor is there a dead letter; after a deletion, never again."""

    async def run() -> Place:
        place = Place()
        await place.start()
        await place.decide(*(place.event(each) for each in CUSTOMERS))
        place.pass_time(12 * DAY_S)
        del place.warehouse.rows["ann"]
        claimed = await place.customers.claim(place.now, limit=9, lease_s=60)
        await place.decide(*map(place.request, claimed))
        return place

    place = asyncio.run(run())
    ann, bob = (place.ledger.customers[name] for name in CUSTOMERS)
    assert (ann.due_at, bob.due_at) == (place.now + 7 * DAY_S, None)
    assert bob.episodes[SEGMENT.key].is_member
    assert not place.ledger.letters
