"""The event time as a fact, through the whole pipeline: made where a rule or a message reads it."""

from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from campaigns.candidates import Definitions
from features.store import FeatureStore
from features.times import event_times
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from segments.engine import Activation
from streams.decision_config import DecisionConfig
from streams.pipeline import Pipeline
from tests.builders import AS_OF, campaign, offers, segment
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import arrive, body, decode_batch

PARTITION = 1
KINDS: Any = {"email_consent": "boolean", "signed_on": "other", "transaction_count": "number"}
ROW = {"email_consent": True, "signed_on": "2011-06-01", "transaction_count": 5.0}
SCORERS = load_scorers(Path(), FEATURE_MAPPING, mock=True)
PLAIN = {">": [{"var": "transaction_count"}, 3]}
RECENT = {"time.within_last": [{"var": "signed_on"}, 30]}


class Play:
    """Updates of ann, each decided in a batch of its own."""

    def __init__(self, rule: Any, message: str) -> None:
        self.ledger, self.config = InMemoryLedger(), make_config(rule, message)
        features = FeatureStore(InMemoryWarehouse(KINDS, {"ann": ROW}), InMemoryFeatureCache(), generation=1)
        self._pipeline = Pipeline(features, self.ledger, self.config, decode=decode_batch)

    async def update(self, *days: float) -> None:
        """Decide an update so many days after `AS_OF`, for each."""
        await self.ledger.activate(self.config.segments, self.config.definitions.campaigns, at=AS_OF)
        owners = {PARTITION: await self.ledger.claim(PARTITION)}
        for number, day in enumerate(days):
            at = AS_OF + timedelta(days=day)
            event = body(id=f"e{number}", customer_id="ann", occurred_at=at.isoformat())
            place = {"offset": number, "partition": PARTITION, "timestamp": round(at.timestamp() * 1000)}
            await self._pipeline.decide(await self._pipeline.prepare([arrive(event, **place)]), owners)


def make_config(rule: Any, message: str) -> DecisionConfig:
    """One segment, whose first evaluation may fire, and its campaign."""
    made, by_mail = segment(rule=rule), campaign(channels=("email",), message=message)
    definitions = Definitions([by_mail], offers(), SCORERS.versions, {made.key: made.version}, {made.key: made.facts})
    return DecisionConfig(SCORERS, [made], {made.key: Activation(made.version, AS_OF, "emit")}, definitions)


def test_the_event_time_is_written_in_utc() -> None:
    moment = AS_OF.astimezone(timezone(timedelta(hours=5)))
    assert event_times([moment, AS_OF]).tolist() == [AS_OF.isoformat()] * 2


async def test_a_membership_follows_the_time_of_its_events() -> None:
    play = Play(RECENT, "Hello")
    await play.update(0, 40)
    assert [(each.number, each.is_member) for each in play.ledger.customers["ann"].episodes.values()] == [(1, False)]
    (decision,) = play.ledger.customers["ann"].decisions.values()
    assert decision.facts["event_time"] == AS_OF.isoformat()


async def test_a_message_may_print_the_event_time() -> None:
    play = Play(PLAIN, "As of {{ event_time }}")
    await play.update(0)
    (decision,) = play.ledger.customers["ann"].decisions.values()
    assert decision.message == f"As of {AS_OF.isoformat()}"


@pytest.mark.parametrize(
    ("rule", "message", "read"),
    [(PLAIN, "Hello", False), (RECENT, "Hello", True), (PLAIN, "{{ event_time }}", True)],
    ids=["neither", "rule", "message"],
)
def test_the_event_time_is_made_where_it_is_read(rule: Any, message: str, *, read: bool) -> None:
    assert make_config(rule, message).reads_event_time == read
