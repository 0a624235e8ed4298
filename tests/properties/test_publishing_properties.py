"""Whatever fails while the outbox is published, each row is published once, as itself or as its dead letter."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from campaigns.ports import BatchChanges, OutboxRow
from campaigns.triggers import Message
from streams.errors import SinkUnavailableError
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.runtime.outbox_relay import OutboxRelay
from streams.runtime.retry import RetryPolicy
from tests.examples import examples
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.trigger_sink import InMemoryTopics, InMemoryTriggerSink

PARTITION = 1
LIMIT = 100
METRICS = Metrics()


@dataclass
class CrashingSink(InMemoryTriggerSink):
    """A sink whose worker ends before, or after, some of its calls."""

    topics: InMemoryTopics
    crashes: list[str] = field(default_factory=list)
    away: bool = False
    fails_after_publishing: bool = False

    async def publish(self, partition: int, rows: list[OutboxRow]) -> None:  # type: ignore[override]
        """See the port."""
        how = self.crashes.pop(0) if self.crashes else ""
        if how == "before":
            raise CrashError
        await super().publish(partition, rows)
        if how == "after":
            raise CrashError
        if how == "in doubt":
            raise SinkUnavailableError("the answer was lost")


class CrashError(Exception):
    """The worker ends here."""


class CrashingLedger(InMemoryLedger):
    """A ledger whose worker may end after it has stored what failed."""

    crashes = 0

    async def mark_failed(self, rows: list[OutboxRow]) -> None:  # type: ignore[override]
        """See the port."""
        await super().mark_failed(rows)
        if self.crashes:
            self.crashes -= 1
            raise CrashError


@given(
    batches=st.lists(st.lists(st.integers(0, 2 * LIMIT), min_size=1, max_size=5), min_size=1, max_size=5),
    crashes=st.lists(st.sampled_from(["", "before", "after", "in doubt"]), max_size=12),
    crashes_of_ledger=st.integers(0, 2),
)
@examples(200)
def test_each_row_is_published_once_in_order_as_itself_or_as_its_letter(
    batches: list[list[int]], crashes: list[str], crashes_of_ledger: int
) -> None:
    topics = InMemoryTopics(limits={"campaign_triggers": LIMIT})
    ledger = CrashingLedger()
    ledger.crashes = crashes_of_ledger
    sizes = asyncio.run(publish(batches, topics, ledger, list(crashes)))
    as_itself = [each.message_id for each in topics.published if each.destination == "campaign_triggers"]
    assert as_itself == [name for name, size in sizes.items() if size <= LIMIT]
    letters = [each.message_id for each in topics.published if each.destination == "dead_letters"]
    assert len(letters) == len(set(letters)) == sum(size > LIMIT for size in sizes.values())
    assert asyncio.run(ledger.unsent(PARTITION)) == []
    assert set(letters) == set(ledger.letters)


async def publish(
    batches: list[list[int]], topics: InMemoryTopics, ledger: CrashingLedger, crashes: list[str]
) -> dict[str, int]:
    """Commit and publish batches, the worker starting again after each crash; return the size of each message."""
    sizes: dict[str, int] = {}
    for batch in batches:
        messages = [_message(len(sizes) + place, size) for place, size in enumerate(batch)]
        sizes.update({each.message_id: len(each.value or b"") for each in messages})
        committed = await ledger.commit(BatchChanges(messages=messages), owners={})
        await publish_until_done(committed.outbox, topics, ledger, crashes)
    return sizes


async def publish_until_done(rows: object, topics: InMemoryTopics, ledger: CrashingLedger, crashes: list[str]) -> None:
    """Publish as a worker does that has just committed, and after a crash as the one that takes over."""
    left: list[OutboxRow] = list(rows)  # type: ignore[call-overload]
    while left:
        sink = CrashingSink(topics, crashes)
        retry = RetryPolicy(Health())
        relay = OutboxRelay(ledger, sink, lambda _: True, retry, METRICS)
        await sink.fence(PARTITION)
        with contextlib.suppress(CrashError):
            await relay.mark_sent(await relay.publish(left))
        left = list(await ledger.unsent(PARTITION))


def _message(number: int, size: int) -> Message:
    return Message(f"m{number:03}", "ann", "campaign_triggers", b"ann", (), b"x" * size, PARTITION)
