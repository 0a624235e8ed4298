"""A worker and events without effect: those of before the pruned past, and those of erased customers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns.tombstones import Tombstones
from tests.builders import AS_OF
from tests.records import arrive, body, feedback, message, outcome
from tests.unit.test_worker import Bench, config

if TYPE_CHECKING:
    from typing import Any

ARRIVED = datetime.fromtimestamp(arrive(body()).timestamp / 1000, UTC)


@pytest.fixture
async def bench() -> Bench:
    """A worker among fakes."""
    bench = Bench()
    await bench.ledger.activate(config().segments, [], at=AS_OF)
    return bench


def count_left_out(bench: Bench, reason: str) -> float | None:
    """Return the metric."""
    return bench.metrics.registry.get_sample_value("holdfast_events_left_out_total", {"reason": reason})


@pytest.mark.parametrize(("later_s", "folded"), [(1, 0), (0, 1)])
async def test_a_message_of_before_the_pruned_past_is_not_folded(bench: Bench, later_s: int, folded: int) -> None:
    """One of exactly that time is: its row was not deleted. The update with it is evaluated in both cases."""
    bench.ledger.pruned_before = ARRIVED + timedelta(seconds=later_s)
    async with bench.working():
        bench.put(arrive(message(id="m")), arrive(body(id="u")))
        await bench.acknowledges(1)
    signals = bench.ledger.customers["ann"].signals
    assert (("m" in bench.ledger.customers["ann"].seen), signals is not None) == (folded, folded)
    assert count_left_out(bench, "pruned") == (None if folded else 1)
    assert bench.published == ["ann"]


@pytest.mark.parametrize("event", [outcome("unsubscribed", channel="sms", trigger_id=None), feedback()])
async def test_consent_and_feedback_count_whatever_was_pruned(bench: Bench, event: dict[str, Any]) -> None:
    """The ledger keeps them: twice is as once."""
    bench.ledger.pruned_before = ARRIVED + timedelta(days=1)
    async with bench.working():
        bench.put(arrive(event))
        await bench.acknowledges(1)
    ann = bench.ledger.customers["ann"]
    assert len(ann.consent_changes) + len(ann.feedback) == 1


async def test_old_records_make_no_second_dead_letters(bench: Bench) -> None:
    """An outcome without a contact, and a record that cannot be decoded."""
    bench.ledger.pruned_before = ARRIVED + timedelta(days=1)
    async with bench.working():
        bench.put(arrive(outcome()), arrive(body(), value=b"{"))
        await bench.acknowledges(1)
    assert bench.ledger.letters == {}
    assert count_left_out(bench, "pruned") == 2


async def test_an_erasure_while_a_batch_is_decided_is_seen_before_its_commit(bench: Bench) -> None:
    """The epoch was raised: the lease is acquired again, and with it the tombstones."""
    async with bench.working():
        bench.put_update("bob")
        await bench.acknowledges(1)
        bench.ledger.epochs = {partition: epoch + 1 for partition, epoch in bench.ledger.epochs.items()}
        bench.ledger.erased = Tombstones.from_ids(b"key", ["ann"])
        bench.put_update("ann")
        await bench.acknowledges(2)
    assert bench.published == ["bob"]
    assert "ann" not in bench.ledger.customers
    assert count_left_out(bench, "erased") == 1
