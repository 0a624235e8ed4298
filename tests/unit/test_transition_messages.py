"""Transitions as they are published: ids that never change, and the published schema."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from campaigns.transition_messages import DESTINATION, transition_message
from segments.engine import FIRST_EVALUATION, Transition
from tests.builders import AS_OF
from tests.simulation import Act, play
from tests.unit.test_candidates import TriggerContext

SCHEMA = json.loads((Path(__file__).parents[2] / "campaigns/schemas/transition.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
CONTEXT = TriggerContext("event-1", AS_OF, 1_306_931_400_000, 3)


@pytest.mark.parametrize("kind", ["entered", "exited"])
@pytest.mark.parametrize("reason", [None, FIRST_EVALUATION])
def test_a_transition_is_valid_under_the_published_schema(kind: str, reason: str | None) -> None:
    moved = Transition("ann", "at-risk", kind, 2, suppressed=reason is not None, suppressed_reason=reason)  # type: ignore[arg-type]
    message = transition_message(moved, CONTEXT, "f00d")
    body = msgspec.json.decode(message.value or b"")
    VALIDATOR.validate(body)
    assert (message.partition, message.key, message.destination) == (3, b"ann", DESTINATION)
    assert dict(message.headers)["ce_id"] == body["transition_id"].encode()
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(body)


def test_the_id_of_a_transition_never_changes() -> None:
    moved = Transition("ann", "at-risk", "entered", 1, suppressed=False)
    assert transition_message(moved, CONTEXT, "f00d").message_id == "05dd4228-2af9-5567-a344-47f8b5572176"


def test_entries_and_exits_of_an_episode_alternate_and_come_once_each() -> None:
    """Though records are delivered again."""
    acts = [Act("ann", kind) for kind in ("enters", "leaves", "enters", "launched", "leaves", "enters")]
    ledger = asyncio.run(play([[each] for each in acts], again=3, publishes_transitions=True))
    found = [
        (body["episode"], body["transition"])
        for row in ledger.outbox.values()
        if row.message.destination == DESTINATION
        for body in [msgspec.json.decode(row.message.value or b"")]
    ]
    assert found == [(1, "entered"), (1, "exited"), (2, "entered"), (2, "exited"), (3, "entered")]
    assert all(first != second for first, second in pairwise(found))


def test_nothing_is_published_of_transitions_unless_the_settings_ask_for_it() -> None:
    ledger = asyncio.run(play([[Act("ann", "enters")]]))
    assert DESTINATION not in {row.message.destination for row in ledger.outbox.values()}
