"""However events are cut into batches, sent twice and given again after a crash, the ledger ends the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from campaigns.candidates import Definitions
from campaigns.guardrails import Reason
from features.store import FeatureStore
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from segments.engine import Activation
from streams.decision_config import DecisionConfig
from streams.pipeline import Pipeline
from tests.builders import AS_OF, campaign, offers, segment
from tests.examples import examples
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import Arrived, arrive, body, decode_batch, message

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = examples(100)
PARTITION = 1
RFM_COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")
OPERATIONS = {"snapshot": "r", "deletion": "d"}
TEXTS = ("I want to cancel.", "Great service!", "Where is it?")
# Counts that only grow: a rule on them does not depend on what one batch coalesces.
RULES = {
    "everybody": None,
    "talkers": {">=": [{"var": "message_count"}, 2]},
    "leavers": {">=": [{"var": "cancellation_requests"}, 1]},
}
SEGMENTS = [segment(key, rule) for key, rule in RULES.items()]
VARIANTS = [{"key": "plain"}, {"key": "warm", "message": "Dear customer"}]
CAMPAIGNS = [
    # Which of them compete would depend on which events come in one batch.
    *(campaign(key=f"to-{key}", segment=key, holdout_percent=20, competes=False, variants=VARIANTS) for key in RULES),
    campaign(key="launched", segment="everybody", launch="by_operator"),
    campaign(key="answer", segment="everybody", launch="on_event", event="conversation.message", competes=False),
    campaign(key="thanks", segment="everybody", launch="on_event", event="customer.updated", competes=False),
]
SCORERS = load_scorers(Path(), FEATURE_MAPPING, mock=True)
KNOWLEDGE = DecisionConfig(
    SCORERS,
    SEGMENTS,
    {each.key: Activation(each.version, AS_OF, "emit") for each in SEGMENTS},
    Definitions(CAMPAIGNS, offers(), SCORERS.versions, {each.key: each.version for each in SEGMENTS}),
)


@dataclass(frozen=True)
class Said:
    """An event to be: who, what, which text."""

    customer: str
    kind: str
    text: str


@dataclass(frozen=True)
class Delivery:
    """How a history is delivered: batch sizes, and after which of them how many records are given again."""

    sizes: Sequence[int]
    again: Sequence[int]


EVENTS = st.lists(
    st.builds(
        Said,
        st.sampled_from(["ann", "bob", "cy"]),
        st.sampled_from(["update", "message", "agent", "launch", "twice", "snapshot", "deletion"]),
        st.sampled_from(TEXTS),
    ),
    min_size=1,
    max_size=25,
)
DELIVERIES = st.builds(
    Delivery,
    st.lists(st.integers(1, 8), min_size=30, max_size=30),
    st.lists(st.sampled_from([0, 0, 0, 1, 3, 9]), min_size=30, max_size=30),
)


def write(history: Sequence[Said]) -> list[Arrived]:
    """Return the records of a history; `twice` sends the customer's last event once more."""
    records: list[Arrived] = []
    for number, said in enumerate(history):
        before = [each for each in records if each.key == said.customer.encode()]
        if said.kind in OPERATIONS:
            records.append(change(said, number))
        elif said.kind != "twice":
            records.append(arrive(content_of(said, number), offset=number, partition=PARTITION))
        elif before:
            records.append(replace(before[-1], offset=number))
    return records


def change(said: Said, number: int) -> Arrived:
    """Return a row of a snapshot, or a deletion, as Debezium writes it."""
    moment = int((AS_OF + timedelta(minutes=number)).timestamp() * 1000)
    row, operation = {"customer_id": said.customer}, OPERATIONS[said.kind]
    envelope = {"op": operation, "before": row, "after": row, "source": {"ts_ms": moment}}
    value, key = msgspec.json.encode(envelope), said.customer.encode()
    return Arrived(offset=number, partition=PARTITION, timestamp=moment, key=key, value=value)


def content_of(said: Said, number: int) -> dict[str, Any]:
    """Return an event as it is written."""
    at = (AS_OF + timedelta(minutes=number)).isoformat()
    values: dict[str, Any] = {"id": f"e{number}", "customer_id": said.customer, "occurred_at": at}
    if said.kind == "launch":
        return body(type="evaluation.requested", campaign="launched", launch="l", **values)
    if said.kind == "update":
        return body(**values)
    return message(**values, text=said.text, role="agent" if said.kind == "agent" else "customer")


async def work(
    records: Sequence[Arrived], delivery: Delivery, config: DecisionConfig = KNOWLEDGE, since: str | None = None
) -> InMemoryLedger:
    """Decide records as they are delivered and return the ledger; each batch given again was committed before."""
    kinds: Any = {"email_consent": "boolean", "customer_since": "other", **dict.fromkeys(RFM_COLUMNS, "number")}
    row = {"email_consent": True, "customer_since": since, **dict.fromkeys(RFM_COLUMNS, 5.0)}
    warehouse = InMemoryWarehouse(kinds, dict.fromkeys(("ann", "bob", "cy"), row))
    ledger = InMemoryLedger()
    await ledger.activate(SEGMENTS, CAMPAIGNS, at=AS_OF)
    features = FeatureStore(warehouse, InMemoryFeatureCache(), generation=1)
    pipeline = Pipeline(features, ledger, config, decode=decode_batch)
    place = 0
    for size, again in zip(delivery.sizes, delivery.again, strict=True):
        place = await _decide(pipeline, ledger, records, slice(place, place + size)) - again
        place = max(0, place)
    await _decide(pipeline, ledger, records, slice(place, len(records)))
    return ledger


async def _decide(pipeline: Pipeline, ledger: InMemoryLedger, records: Sequence[Arrived], part: slice) -> int:
    batch = records[part]
    owners = {PARTITION: await ledger.claim(PARTITION)}
    await pipeline.decide(await pipeline.prepare(batch), owners)
    return int(part.start) + len(batch)


def remembered(ledger: InMemoryLedger) -> dict[str, Any]:
    """Return what must not depend on delivery; the facts of a decision are those of its batch's latest event."""
    return {
        name: (
            customer.episodes,
            customer.signals,
            customer.seen,
            {key: (each.outcome, each.reason, each.channel) for key, each in customer.decisions.items()},
            {
                key: (each.campaign, each.channel, each.variant, each.campaign_variant)
                for key, each in customer.contacts.items()
            },
        )
        for name, customer in ledger.customers.items()
    }


@SETTINGS
@given(EVENTS, DELIVERIES)
def test_any_redelivery_duplication_and_batching_ends_in_the_same_ledger(
    history: list[Said], delivery: Delivery
) -> None:
    records = write(history)
    plain = asyncio.run(work(records, Delivery([1] * len(records), [0] * len(records))))
    disturbed = asyncio.run(work(records, delivery))
    assert remembered(disturbed) == remembered(plain)
    assert sorted(disturbed.outbox) == sorted(plain.outbox)


@SETTINGS
@given(
    st.lists(st.builds(Said, st.sampled_from(["ann", "bob"]), st.sampled_from(sorted(OPERATIONS)), st.just(""))),
    DELIVERIES,
    st.sampled_from(["silent", "emit"]),
    st.sampled_from([None, "2000-01-01", (AS_OF + timedelta(days=1)).isoformat()]),
)
def test_snapshots_and_deletions_never_fire(
    history: list[Said], delivery: Delivery, mode: Literal["silent", "emit"], since: str | None
) -> None:
    """In any mode of the segments and whenever the customers joined; nor do they take the entry from a later event."""
    activations = {each.key: Activation(each.version, AS_OF, mode) for each in SEGMENTS}
    config = replace(KNOWLEDGE, activations=activations)
    ledger = asyncio.run(work(write(history), delivery, config, since))
    reasons = {each.reason for customer in ledger.customers.values() for each in customer.decisions.values()}
    assert reasons <= {Reason.FIRST_EVALUATION}

    # The updates of both runs have other ids, which a campaign that waits for updates would tell apart.
    others = [each for each in CAMPAIGNS if each.event != "customer.updated"]
    config = replace(config, definitions=replace(config.definitions, campaigns=others))
    updated = write([*history, Said("ann", "update", "")])
    expected = asyncio.run(work(write([Said("ann", "update", "")]), Delivery([1], [0]), config, since))
    found = asyncio.run(work(updated, delivery, config, since))
    assert remembered(found)["ann"] == remembered(expected)["ann"]


def test_the_history_of_this_test_makes_triggers() -> None:
    """Or the property above would compare nothing with nothing."""
    history = [Said("ann", kind, TEXTS[0]) for kind in ("update", "message", "message", "launch")]
    ledger = asyncio.run(work(write(history), Delivery([1], [0])))
    campaigns = {each.candidate.campaign.key for each in ledger.customers["ann"].decisions.values()}
    assert campaigns == {"to-everybody", "to-talkers", "to-leavers", "launched", "answer", "thanks"}
