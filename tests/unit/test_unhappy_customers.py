"""The shipped segment of unhappy customers and its campaign, through the whole pipeline on fakes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from campaigns.candidates import Definitions
from campaigns.definition import load_definitions
from features.store import FeatureStore
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from segments.engine import Activation
from streams.decision_config import DecisionConfig
from streams.pipeline import Pipeline
from tests.builders import AS_OF
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import arrive, body, decode_batch, message

PARTITION = 1
RFM_COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")
SEGMENT, CAMPAIGN = "unhappy-customers", "service-recovery"
REQUEST, PRAISE = "Please cancel my account.", "Great service, thank you, I love it!"


class Conversation:
    """Events of ann by the day, each decided in a batch of its own."""

    def __init__(self) -> None:
        defined = load_definitions(None)
        segments = defined.segments
        scorers = load_scorers(Path(), FEATURE_MAPPING, mock=True)
        activations = {each.key: Activation(each.version, AS_OF) for each in segments}
        versions = {each.key: each.version for each in segments}
        no_holdout = [
            each.model_copy(update={"holdout_percent": 0}) for each in defined.campaigns if each.segment == SEGMENT
        ]
        definitions = Definitions(no_holdout, defined.offers, scorers.versions, versions)
        kinds: Any = {"email_consent": "boolean", **dict.fromkeys(RFM_COLUMNS, "number")}
        row = {"email_consent": True, **dict.fromkeys(RFM_COLUMNS, 5.0)}
        self.ledger = InMemoryLedger()
        self._definitions = segments, no_holdout
        features = FeatureStore(InMemoryWarehouse(kinds, {"ann": row}), InMemoryFeatureCache(), generation=1)
        config = DecisionConfig(scorers, segments, activations, definitions)
        self._pipeline = Pipeline(features, self.ledger, config, decode=decode_batch)
        self._count = 0

    async def start(self) -> None:
        """Evaluate ann for the first time, which is suppressed."""
        await self.ledger.activate(*self._definitions, at=AS_OF)
        await self.update(day=-1)

    async def update(self, *, day: float) -> None:
        """Announce a changed row."""
        await self._decide(body(**self._event(day)))

    async def say(self, text: str, *, day: float) -> None:
        """Send a message of ann."""
        await self._decide(message(text=text, **self._event(day)))

    @property
    def apologies(self) -> list[str]:
        """The episodes of the segment for which a trigger was made."""
        decisions = self.ledger.customers["ann"].decisions.values()
        return [each.candidate.occasion for each in decisions if each.outcome == "fired"]

    @property
    def is_unhappy(self) -> bool:
        """Whether ann is a member of the segment."""
        return self.ledger.customers["ann"].episodes[SEGMENT].is_member

    def _event(self, day: float) -> dict[str, str]:
        self._count += 1
        return {"id": f"e{self._count}", "occurred_at": (AS_OF + timedelta(days=day)).isoformat()}

    async def _decide(self, event: dict[str, Any]) -> None:
        owners = {PARTITION: await self.ledger.claim(PARTITION)}
        timestamp = round(datetime.fromisoformat(event["occurred_at"]).timestamp() * 1000)
        record = arrive(event, partition=PARTITION, timestamp=timestamp)
        await self._pipeline.decide(await self._pipeline.prepare([record]), owners)


async def test_one_request_to_cancel_brings_one_apology_and_a_new_request_another() -> None:
    ann = Conversation()
    await ann.start()
    await ann.say(REQUEST, day=0)
    assert (ann.apologies, ann.is_unhappy) == (["1"], True)
    await ann.update(day=40)
    for day in (200, 201, 202, 203):
        await ann.say(PRAISE, day=day)
        assert (ann.apologies, ann.is_unhappy) == (["1"], False)
    await ann.say(REQUEST, day=210)
    assert (ann.apologies, ann.is_unhappy) == (["1", "2"], True)


async def test_a_request_stops_counting_without_another_message() -> None:
    """Any event will do to notice it, such as an update of the row."""
    ann = Conversation()
    await ann.start()
    await ann.say(REQUEST, day=0)
    await ann.update(day=29)
    assert ann.is_unhappy
    await ann.update(day=30)
    assert not ann.is_unhappy


async def test_old_anger_does_not_weigh_on_a_neutral_message() -> None:
    ann = Conversation()
    await ann.start()
    for day in (0, 1, 2):
        await ann.say("This is terrible, I hate it, worst ever!", day=day)
    assert ann.apologies == ["1"]
    await ann.update(day=60)
    await ann.say("Where do I find my invoice?", day=200)
    assert (ann.apologies, ann.is_unhappy) == (["1"], False)
