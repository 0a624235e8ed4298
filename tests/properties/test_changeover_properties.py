"""A promotion or rollback of a model fires what its mode says, whatever the delivery and whichever worker is behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.candidates import Definitions
from campaigns.decide import Outcome
from features.store import FeatureStore
from models.changeovers import Serving, begin_changeover, find_former, find_restored
from models.inputs import FEATURE_MAPPING, model_inputs
from models.registry import FormerScorer, load_scorers
from models.versions import Promotion
from streams.decision_config import DecisionConfig
from streams.pipeline import Pipeline
from tests.builders import AS_OF, campaign, offers, segment
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import arrive, body, decode_batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from models.changeovers import PromotionMode
    from models.registry import Scorers

SETTINGS = settings(derandomize=True, deadline=None, max_examples=60)
PARTITION = 1
CUSTOMERS = ("ann", "bob")
RFM_COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")
KINDS: Any = {"email_consent": "boolean", "p": "number", **dict.fromkeys(RFM_COLUMNS, "number")}
ROW = {"email_consent": True, "p": 0.0, **dict.fromkeys(RFM_COLUMNS, 5.0)}
RISK = segment("risk", {">=": [{"var": "churn_probability"}, 0.5]})
PLAIN = segment("plain", {">=": [{"var": "p"}, 5]})
SEGMENTS = [RISK, PLAIN]
CAMPAIGNS = [campaign(segment="risk"), campaign(key="plain", segment="plain", competes=False)]
RULES = load_scorers(Path("nowhere"), FEATURE_MAPPING)
LEVELS = {"one": 5, "two": 3, "three": 7}
"""By version, the value from which a customer is at risk."""


class LevelScorer:
    """A model of churn: .9 from a value on, .1 below."""

    basis = "model"
    columns = ("p",)
    spreads = 0
    categories: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __init__(self, version: str) -> None:
        self.version = version

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """See Scorer."""
        return np.where(model_inputs(table, self.columns) >= LEVELS[self.version], 0.9, 0.1).astype(np.float32)

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the same."""
        return self.score(table)


@dataclass
class Models:
    """The folder of the model of churn: what was promoted, and what a worker loads of it."""

    history: list[Promotion] = field(default_factory=list)
    serving: Serving = field(default_factory=lambda: Serving("one"))

    def promote(self, version: str, mode: PromotionMode, *, back: bool = False) -> None:
        """Promote a version, or roll back to it."""
        if version == self.serving.version:
            return
        changeover = find_restored(self.history, self.serving, version) if back else None
        if changeover is None:
            at = AS_OF + timedelta(hours=len(self.history))
            changeover = self.serving.changeover if mode == "emit" else begin_changeover(self.history, mode, at)
        line = Promotion("promoted", "", "ann", self.serving.version, version, mode=mode, changeover=changeover)
        self.history.append(line)
        self.serving = Serving(version, changeover)

    def load(self) -> Scorers:
        """Return the scorers of a worker that loads what serves now."""
        name, changeover = self.serving
        scorers = RULES.with_scorer("churn", LevelScorer(str(name)))
        if not changeover:
            return scorers
        before = find_former(self.history, changeover)
        formers = {}
        if changeover.endswith("-new") and before is not None:
            formers["churn"] = FormerScorer(LevelScorer(str(before.version)), before.changeover)
        return replace(scorers, changeovers={"churn": changeover}, formers=formers)


@dataclass
class Place:
    """Two workers over one ledger in memory; each takes up a promotion when it likes."""

    models: Models = field(default_factory=Models)
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    warehouse: InMemoryWarehouse = field(
        default_factory=lambda: InMemoryWarehouse(KINDS, dict.fromkeys(CUSTOMERS, ROW))
    )
    workers: list[Pipeline] = field(default_factory=list)
    sent: int = 0

    async def start(self) -> None:
        """Start both, and evaluate every customer."""
        activations = await self.ledger.activate(SEGMENTS, CAMPAIGNS, at=AS_OF)
        versions = {each.key: each.version for each in SEGMENTS}
        for _ in range(2):
            scorers = self.models.load()
            definitions = Definitions(CAMPAIGNS, offers(), scorers.versions, versions)
            config = DecisionConfig(scorers, SEGMENTS, activations, definitions)
            features = FeatureStore(self.warehouse, InMemoryFeatureCache(), generation=1)
            self.workers.append(Pipeline(features, self.ledger, config, decode=decode_batch))
        await self.decide(0, dict.fromkeys(CUSTOMERS))

    def reload(self, worker: int) -> None:
        """Let a worker take up what serves."""
        self.workers[worker].use_scorers(self.models.load())

    async def decide(self, worker: int, values: dict[str, int | None], again: int = 0) -> None:
        """Change values of customers, and decide an event of each, delivered again so many times."""
        records = []
        for name, value in values.items():
            if value is not None:
                self.warehouse.rows[name]["p"] = float(value)
            self.sent += 1
            at = AS_OF + timedelta(minutes=self.sent)
            event = body(id=f"e{self.sent}", customer_id=name, occurred_at=at.isoformat())
            stamped = round(at.timestamp() * 1000)
            records.append(arrive(event, offset=self.sent, partition=PARTITION, timestamp=stamped))
        for _ in range(1 + again):
            owners = {PARTITION: await self.ledger.claim(PARTITION)}
            await self.workers[worker].decide(await self.workers[worker].prepare(records), owners)

    def triggers(self, segment: str) -> Counter[str]:
        """Return the number of triggers of each customer for a segment."""
        return Counter(
            name
            for name, each in self.ledger.customers.items()
            for made in each.decisions.values()
            if made.outcome is Outcome.FIRED and made.candidate.campaign.segment == segment
        )

    def members(self, segment: str) -> set[str]:
        """Return the members in the ledger."""
        known = self.ledger.customers.items()
        return {name for name, each in known if segment in each.episodes and each.episodes[segment].is_member}


SILENT_MODES = st.sampled_from(["silent", "new"])
SWAPS = st.tuples(st.just("swap"), st.sampled_from(sorted(LEVELS)), SILENT_MODES, st.booleans())
RELOADS = st.tuples(st.just("reload"), st.integers(0, 1))
LOOKS = st.tuples(st.just("look"), st.integers(0, 1), st.sampled_from(CUSTOMERS), st.integers(0, 1))
START = st.fixed_dictionaries({name: st.integers(0, 9) for name in CUSTOMERS})


async def play(start: dict[str, int], acts: Sequence[tuple[Any, ...]]) -> Place:
    """Let promotions, reloads and events without any change of a customer happen."""
    place = Place()
    for name, value in start.items():
        place.warehouse.rows[name]["p"] = float(value)
    await place.start()
    for kind, *what in acts:
        if kind == "swap":
            version, mode, back = what
            place.models.promote(version, mode, back=back)
        elif kind == "reload":
            place.reload(what[0])
        else:
            worker, name, again = what
            await place.decide(worker, {name: None}, again)
    place.reload(0)
    await place.decide(0, dict.fromkeys(CUSTOMERS))
    return place


@SETTINGS
@given(START, st.lists(SWAPS | RELOADS | LOOKS | LOOKS, max_size=14))
def test_promotions_and_rollbacks_alone_fire_nothing(start: dict[str, int], acts: list[tuple[Any, ...]]) -> None:
    """In modes silent and new, with a worker behind, events delivered again, several promotions and rollbacks."""
    place = asyncio.run(play(start, acts))
    assert not place.triggers("risk")
    level = LEVELS[str(place.models.serving.version)]
    assert place.members("risk") == {name for name, value in start.items() if value >= level}


VALUES = st.lists(st.tuples(st.sampled_from(CUSTOMERS), st.integers(0, 9)), max_size=4)
ROUNDS = st.lists(st.tuples(st.sampled_from(sorted(LEVELS)), VALUES), min_size=1, max_size=4)


async def change(rounds: Sequence[tuple[str, list[tuple[str, int]]]], mode: PromotionMode | None) -> Place:
    """Promote a version in each round, and let customers change; every customer has an event in each round."""
    place = Place()
    await place.start()
    for version, values in rounds:
        if mode is not None:
            place.models.promote(version, mode)
            place.reload(0)
        for name, value in [*values, *((name, None) for name in CUSTOMERS)]:
            await place.decide(0, {name: value})
    return place


@SETTINGS
@given(ROUNDS, SILENT_MODES)
def test_a_segment_that_reads_no_score_fires_as_without_promotions(
    rounds: list[tuple[str, list[tuple[str, int]]]], mode: PromotionMode
) -> None:
    promoted, alone = (asyncio.run(change(rounds, each)) for each in (mode, None))
    assert promoted.triggers("plain") == alone.triggers("plain")


@SETTINGS
@given(ROUNDS)
def test_with_mode_new_equal_models_take_no_entry_from_anybody(
    rounds: list[tuple[str, list[tuple[str, int]]]],
) -> None:
    """What both versions give is the customer's own change, at the first evaluation under the new one, too."""
    levels = dict(LEVELS)
    try:
        LEVELS.update(dict.fromkeys(LEVELS, 5))
        promoted, alone = (asyncio.run(change(rounds, each)) for each in ("new", None))
    finally:
        LEVELS.update(levels)
    assert promoted.triggers("risk") == alone.triggers("risk")


async def move(mode: PromotionMode, value: int | None = None, then: int | None = None) -> Place:
    """Promote a version that moves ann, at 4, into the segment; at the first event under it ann has another value."""
    place = Place()
    place.warehouse.rows["ann"]["p"] = 4.0
    await place.start()
    place.models.promote("two", mode)
    place.reload(0)
    await place.decide(0, {"ann": value})
    await place.decide(0, {"ann": then})
    return place


def test_the_mode_says_what_the_first_evaluation_fires() -> None:
    """Ann enters by the model alone, or at 6 by her own change as well, or twice."""
    fired = {
        (mode, value): asyncio.run(move(mode, value)).triggers("risk")["ann"]
        for mode in ("silent", "new", "emit")
        for value in (4, 6)
    }
    assert fired == {("silent", 4): 0, ("silent", 6): 0, ("new", 4): 0, ("new", 6): 1, ("emit", 4): 1, ("emit", 6): 1}


def test_from_the_second_evaluation_on_every_mode_fires_what_the_customer_does() -> None:
    async def leave_and_return() -> Place:
        place = await move("silent", 4, 0)
        await place.decide(0, {"ann": 9})
        return place

    assert asyncio.run(leave_and_return()).triggers("risk") == Counter(["ann"])


def test_a_customer_who_was_never_evaluated_is_not_silenced_by_a_promotion() -> None:
    """One who joined after the segments were activated enters by the first evaluation, as without the promotion."""

    async def join() -> Place:
        place = Place()
        place.warehouse.rows["bob"]["p"] = 9.0
        await place.start()
        place.models.promote("two", "silent")
        place.reload(0)
        del place.ledger.customers["bob"]
        place.warehouse.kinds["customer_since"] = "other"
        place.warehouse.rows["bob"]["customer_since"] = (AS_OF + timedelta(days=1)).isoformat()
        await place.decide(0, {"bob": None})
        return place

    assert asyncio.run(join()).triggers("risk") == Counter(["bob"])


def test_a_promotion_that_may_fire_everything_does_not_fire_what_an_earlier_one_may_not() -> None:
    """Ann was not evaluated between them: what moved her is the first one."""

    async def twice(first: PromotionMode, second: PromotionMode) -> Place:
        place = Place()
        place.warehouse.rows["ann"]["p"] = 4.0
        await place.start()
        place.models.promote("three", first)
        place.models.promote("two", second)
        place.reload(0)
        await place.decide(0, {"ann": None})
        return place

    assert not asyncio.run(twice("silent", "emit")).triggers("risk")
    assert not asyncio.run(twice("emit", "silent")).triggers("risk")
    assert asyncio.run(twice("emit", "emit")).triggers("risk")
