"""Definitions that a worker takes up in the middle of a stream."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from campaigns.decide import Outcome
from features.store import FeatureStore
from segments.engine import Activation
from streams.pipeline import Pipeline
from tests.builders import AS_OF, segment
from tests.examples import examples
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.properties.test_redelivery_properties import (
    CAMPAIGNS,
    EVENTS,
    KNOWLEDGE,
    PARTITION,
    RFM_COLUMNS,
    SEGMENTS,
    Delivery,
    Said,
    remembered,
    work,
    write,
)
from tests.records import decode_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.decision_config import DecisionConfig
    from tests.records import Arrived

SETTINGS = examples(60)
CUSTOMERS = ("ann", "bob", "cy")
SIZES = st.lists(st.integers(1, 8), min_size=30, max_size=30)
EDITED = segment("talkers", {">=": [{"var": "message_count"}, 1]})
AFTER = [EDITED if each.key == EDITED.key else each for each in SEGMENTS]
EDIT = replace(
    KNOWLEDGE,
    segments=AFTER,
    activations={**KNOWLEDGE.activations, EDITED.key: Activation(EDITED.version, AS_OF)},
    definitions=replace(KNOWLEDGE.definitions, segment_versions={each.key: each.version for each in AFTER}),
)


async def start_worker(ledger: InMemoryLedger) -> Pipeline:
    """Return a worker with the definitions before the edit."""
    kinds = {"email_consent": "boolean", "customer_since": "other", **dict.fromkeys(RFM_COLUMNS, "number")}
    row = {"email_consent": True, "customer_since": None, **dict.fromkeys(RFM_COLUMNS, 5.0)}
    warehouse = InMemoryWarehouse(kinds, dict.fromkeys(CUSTOMERS, row))
    await ledger.activate(SEGMENTS, CAMPAIGNS, at=AS_OF)
    features = FeatureStore(warehouse, InMemoryFeatureCache(), generation=1)
    return Pipeline(features, ledger, KNOWLEDGE, decode=decode_batch)


async def decide(
    ledger: InMemoryLedger, worker: Pipeline, batch: Sequence[Arrived], meanwhile: DecisionConfig | None = None
) -> None:
    """Decide a batch; the worker takes up other definitions when it has prepared it."""
    owners = {PARTITION: await ledger.claim(PARTITION)}
    prepared = await worker.prepare(batch)
    if meanwhile is not None:
        await ledger.activate(meanwhile.segments, CAMPAIGNS, at=AS_OF)
        worker.use_definitions(meanwhile)
    await worker.decide(prepared, owners)


def versions_fired(ledger: InMemoryLedger, key: str) -> set[str]:
    """Return the versions of a segment under which entries contacted, or held out, a customer."""
    return {
        decision.candidate.versions["segment"]
        for customer in ledger.customers.values()
        for decision in customer.decisions.values()
        if decision.candidate.campaign.key == f"to-{key}" and decision.outcome is not Outcome.WITHHELD
    }


@SETTINGS
@given(EVENTS, SIZES)
def test_taking_up_the_same_definitions_again_changes_nothing(history: list[Said], sizes: list[int]) -> None:
    records = write(history)

    async def reload_often() -> InMemoryLedger:
        ledger = InMemoryLedger()
        worker, place = await start_worker(ledger), 0
        for size in sizes:
            await decide(ledger, worker, records[place : place + size], meanwhile=KNOWLEDGE)
            place += size
        return ledger

    plain = asyncio.run(work(records, Delivery(sizes, [0] * len(sizes))))
    assert remembered(asyncio.run(reload_often())) == remembered(plain)


@SETTINGS
@given(EVENTS, st.integers(1, 25), st.lists(st.sampled_from([0, 1]), max_size=4))
def test_an_edit_fires_nothing_at_first_whenever_workers_take_it_up(
    history: list[Said], size: int, owners: list[int]
) -> None:
    """One worker takes it up in the middle of a batch, the other one later, and the partition moves between them."""
    records = write([*history, *(Said(each, "update", "") for each in CUSTOMERS)])
    batch, updates = records[: min(size, len(history))], records[-len(CUSTOMERS) :]

    async def take_up() -> InMemoryLedger:
        ledger = InMemoryLedger()
        workers = [await start_worker(ledger), await start_worker(ledger)]
        await decide(ledger, workers[0], batch, meanwhile=EDIT)
        for owner in owners:  # the batch is delivered again, to whoever owns the partition now
            await decide(ledger, workers[owner], batch)
        workers[1].use_definitions(EDIT)
        evaluated = [each for each in updates if each.key and each.key.decode() in ledger.customers]
        await decide(ledger, workers[1], evaluated)
        return ledger

    before = KNOWLEDGE.definitions.segment_versions[EDITED.key]
    assert versions_fired(asyncio.run(take_up()), EDITED.key) <= {before}


def test_the_edit_of_this_test_fires_after_the_first_evaluation() -> None:
    """Or the property above would hold of anything."""
    records = write([Said("ann", "update", ""), Said("ann", "update", ""), Said("ann", "message", "")])

    async def take_up() -> InMemoryLedger:
        ledger = InMemoryLedger()
        worker = await start_worker(ledger)
        await decide(ledger, worker, records[:1], meanwhile=EDIT)
        for each in records[1:]:
            await decide(ledger, worker, [each])
        return ledger

    assert versions_fired(asyncio.run(take_up()), EDITED.key) == {EDITED.version}
