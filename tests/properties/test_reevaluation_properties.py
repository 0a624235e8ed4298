"""An edited rule ends with the memberships that it gives and fires as its mode says, whatever the delivery."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
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
from segments.engine import MODES
from streams.decision_config import DecisionConfig
from streams.pipeline import Pipeline
from tests.builders import AS_OF, campaign, offers
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import arrive, body, decode_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segments.definition import Segment
    from segments.engine import Mode
    from tests.records import Arrived

SETTINGS = settings(derandomize=True, deadline=None, max_examples=200)
PARTITION = 1
CUSTOMERS = ("ann", "bob")
SCORERS = load_scorers(Path(), FEATURE_MAPPING, mock=True)
RFM_COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")
KINDS: Any = {"email_consent": "boolean", "p": "number", **dict.fromkeys(RFM_COLUMNS, "number")}
ROW = {"email_consent": True, "p": 0.0, **dict.fromkeys(RFM_COLUMNS, 5.0)}
CAMPAIGNS = [campaign(segment="risk"), campaign(key="farewell", segment="risk", launch="on_leave")]
Mail = dict[str, Any]


def define(enters: int) -> Segment:
    """Members have at least so many."""
    return build_segment({"key": "risk", "name": "Risk", "rule": {">=": [{"var": "p"}, enters]}}, where="test")


@dataclass(frozen=True)
class Act:
    """A customer's value changes, which an event announces; or, without a value, a request arrives."""

    customer: str
    value: int | None


CHANGES = st.builds(Act, st.sampled_from(CUSTOMERS), st.integers(0, 9))
REQUESTS = st.builds(Act, st.sampled_from(CUSTOMERS), st.none())
BATCHES = st.lists(st.lists(CHANGES | CHANGES | REQUESTS, min_size=1, max_size=3), min_size=1, max_size=6)
BEFORE = st.lists(st.lists(CHANGES, min_size=1, max_size=3), min_size=1, max_size=3)


@dataclass
class Place:
    """A worker over stores in memory, restarted with each version of the segment."""

    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    warehouse: InMemoryWarehouse = field(
        default_factory=lambda: InMemoryWarehouse(KINDS, dict.fromkeys(CUSTOMERS, ROW))
    )
    sent: int = 0

    async def start(self, segment: Segment, mode: Mode = "silent") -> None:
        """Put a version into force."""
        if mode != "silent":
            await self.ledger.set_mode(segment, mode, at=AS_OF, by="olga", why="")
        activations = await self.ledger.activate([segment], CAMPAIGNS, at=AS_OF)
        versions = {segment.key: segment.version}
        config = DecisionConfig(
            SCORERS, [segment], activations, Definitions(CAMPAIGNS, offers(), SCORERS.versions, versions)
        )
        features = FeatureStore(self.warehouse, InMemoryFeatureCache(), generation=1)
        self.pipeline = Pipeline(features, self.ledger, config, decode=decode_batch)
        self.fingerprint = config.fingerprint

    async def decide(self, acts: Sequence[Act], again: int = 0) -> None:
        """Change the rows, and decide the batch as often as it is delivered."""
        records = [self._record(act) for act in acts]
        for act in acts:
            if act.value is not None:
                self.warehouse.rows[act.customer]["p"] = float(act.value)
        for _ in range(1 + again):
            owners = {PARTITION: await self.ledger.claim(PARTITION)}
            await self.pipeline.decide(await self.pipeline.prepare(records), owners)

    def _record(self, act: Act) -> Arrived:
        self.sent += 1
        at = AS_OF + timedelta(minutes=self.sent)
        common: Mail = {"id": f"e{self.sent}", "customer_id": act.customer, "occurred_at": at.isoformat()}
        if act.value is None:
            common |= {"type": "evaluation.definitions_changed", "definitions": self.fingerprint}
        stamped = round(at.timestamp() * 1000)
        return arrive(body(**common), offset=self.sent, partition=PARTITION, timestamp=stamped)

    def members(self) -> set[str]:
        """Return the members in the ledger."""
        known = self.ledger.customers.items()
        return {name for name, each in known if "risk" in each.episodes and each.episodes["risk"].is_member}

    def triggers(self) -> Counter[str]:
        """Return the number of triggers of each customer."""
        known = self.ledger.customers.items()
        return Counter(
            name for name, each in known for made in each.decisions.values() if made.outcome is Outcome.FIRED
        )


@dataclass
class Reference:
    """What the decision record promises, one customer at a time, without columns, ledgers and pipelines."""

    value: int = 0
    is_member: bool = False
    evaluated: int | None = None
    triggers: int = 0

    def evaluate(self, enters: int, mode: Mode, *, requested: bool) -> None:
        """Evaluate under the version that lets customers in at `enters`."""
        first, before = self.evaluated != enters, self.evaluated
        if requested and not first:
            return
        holds = self.value >= enters
        fires = not first or mode == "emit"
        if mode == "new" and not requested and before is not None:
            fires = fires or (self.value >= before) == holds
        self.triggers += holds != self.is_member and fires
        self.is_member, self.evaluated = holds, enters


def replay(
    before: Sequence[Sequence[Act]], after: Sequence[Sequence[Act]], thresholds: tuple[int, int], mode: Mode
) -> dict[str, Reference]:
    """Return what each customer ends as."""
    found = {name: Reference() for name in CUSTOMERS}
    for enters, how, batches in ((thresholds[0], "silent", before), (thresholds[1], mode, after)):
        for acts in batches:
            for name in dict.fromkeys(act.customer for act in acts):
                values = [act.value for act in acts if act.customer == name and act.value is not None]
                found[name].value = values[-1] if values else found[name].value
                found[name].evaluate(enters, how, requested=not values)  # type: ignore[arg-type]
    return found


async def work(
    before: Sequence[Sequence[Act]],
    after: Sequence[Sequence[Act]],
    thresholds: tuple[int, int],
    mode: Mode,
    again: Sequence[int],
) -> Place:
    """Decide batches under the one version and, after a restart, under the other."""
    place = Place()
    for version, how, batches in zip(map(define, thresholds), ("silent", mode), (before, after), strict=True):
        await place.start(version, how)  # type: ignore[arg-type]
        for acts, times in zip(batches, again, strict=False):
            await place.decide(acts, times)
    return place


THRESHOLDS = st.tuples(st.integers(3, 7), st.integers(3, 7)).filter(lambda both: both[0] != both[1])
AGAIN = st.lists(st.integers(0, 2), min_size=9, max_size=9)


@SETTINGS
@given(BEFORE, BATCHES, THRESHOLDS, st.sampled_from(MODES), AGAIN, st.permutations(CUSTOMERS))
def test_an_edit_ends_with_the_memberships_of_the_new_rule_and_the_triggers_of_its_mode(
    before: list[list[Act]],
    after: list[list[Act]],
    thresholds: tuple[int, int],
    mode: Mode,
    again: list[int],
    order: list[str],
) -> None:
    """Requests and events come in any order, are batched and delivered again in any way; at last everybody is asked."""
    after = [*after, [Act(name, None) for name in order]]
    place = asyncio.run(work(before, after, thresholds, mode, again))
    expected = replay(before, after, thresholds, mode)
    values = {name: row["p"] for name, row in place.warehouse.rows.items()}
    assert place.members() == {name for name, value in values.items() if value >= thresholds[1]}
    assert place.triggers() == Counter({name: each.triggers for name, each in expected.items() if each.triggers})


@SETTINGS
@given(BEFORE, THRESHOLDS, st.sampled_from(["silent", "new"]), st.lists(st.integers(0, 1), min_size=1, max_size=4))
def test_requests_alone_fire_nothing_unless_the_mode_is_emit(
    before: list[list[Act]], thresholds: tuple[int, int], mode: Mode, rollbacks: list[int]
) -> None:
    """Also after rollbacks, and although values changed without an event."""

    async def run() -> tuple[Counter[str], Counter[str]]:
        place = await work(before, [], thresholds, "silent", [0] * 9)
        fired = place.triggers()
        for number, version in enumerate(rollbacks):
            await place.start(define(thresholds[version]), mode)
            for row in place.warehouse.rows.values():
                row["p"] = float(9 - row["p"] if number % 2 else row["p"])
            await place.decide([Act(name, None) for name in CUSTOMERS])
        return fired, place.triggers()

    fired, after = asyncio.run(run())
    assert after == fired


@SETTINGS
@given(BEFORE, THRESHOLDS)
def test_a_request_that_comes_again_or_too_late_changes_nothing(
    before: list[list[Act]], thresholds: tuple[int, int]
) -> None:
    """Not in the state of the ledger, nor in what is published."""

    async def run() -> None:
        place = await work(before, [[Act(name, None) for name in CUSTOMERS]], thresholds, "emit", [0] * 9)
        state, sent = repr(place.ledger.customers), list(place.ledger.outbox)
        await place.decide([Act(name, None) for name in CUSTOMERS])
        assert (repr(place.ledger.customers), list(place.ledger.outbox)) == (state, sent)

    asyncio.run(run())
